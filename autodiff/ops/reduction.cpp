#include <algorithm>
#include <limits>

#include <xtape/autodiff/kernels/softmax.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/reducing.hpp>

namespace xtape {

namespace rules {
std::vector<Sample> reduction_samples(const Sampler& s, ReductionFunction f, bool empty) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const Axes& axes, bool keepdims) {
    out.push_back({shape.str() + " over " + axes.str() + (keepdims ? " keepdims" : ""),
                   {s.draw(shape)},
                   [=](std::span<const Var> in) { return f(in[0], axes, keepdims); }});
  };
  add({}, {}, false);
  add({1}, {}, true);
  add({7}, 0, false);
  add({200}, -1, true);
  add({3, 4}, 0, false);
  add({3, 4}, 1, true);
  add({3, 4}, {0, 1}, false);
  add({2, 3, 2, 2}, {1, -1}, false);
  add({2, 3, 2, 2}, {0, 2}, true);
  add({0, 3}, 1, false);
  if (empty) add({0, 3}, 0, false);
  return out;
}
}  // namespace rules

namespace {

using namespace rules;
using kernels::Largest, kernels::Product, kernels::Smallest, kernels::Sum;

Spec extremum_infer(const InferArgs& a) {
  const Spec out = reduce_infer(a);
  const Shape& shape = a.in[0]->shape;
  if (shape.size() == 0 && out.shape.size() > 0) throw_nothing(a.op.name, shape);
  return out;
}

void logsumexp_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    kernels::logsumexp(static_cast<const T*>(a.in[0].data), static_cast<T*>(a.out),
                       a.in[0].spec->shape, attrs.axes);
  });
}

// Over axes of extent 1 there is nothing to reduce.
Var simplify_sum(const Rewrite& r) {
  if (r.in(0).size() == r.spec().shape.size()) return reshape(r.in(0), r.spec().shape);
  const Scaled s = scaled(r, r.in(0));  // a constant factor once, not for each element
  if (!s.x.defined() || s.x.shape() != r.in(0).shape()) return {};
  const auto& a = r.attrs<ReduceAttrs>();
  return s.factor * sum(s.x, a.axes, a.keepdims);
}

Var sum_vjp(const Vjp& v) { return broadcast_to(unreduced(v.ct, v), v.in_spec().shape); }

Var extremum_vjp(const Vjp& v) {
  const auto& a = v.attrs<ReduceAttrs>();
  const Var x = v.in(0);
  const Var ties = cast(equal(x, unreduced(v.out(), v)), x.dtype());
  return chain(unreduced(v.ct, v), ties / sum(ties, a.axes, true));
}

// The product of the others is what comes before times what comes after: no division, so zeros
// need no case of their own, at any order.
Var product_of_others(const Var& x, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  const Var lines = reshape(x, {outer, n, inner});
  const Var before = cumprod(lines, 1, {.exclusive = true});
  const Var after = cumprod(lines, 1, {.reverse = true, .exclusive = true});
  return reshape(before * after, x.shape());
}

Var prod_vjp(const Vjp& v) {
  const Axes axes = v.attrs<ReduceAttrs>().axes;
  const Var x = v.in(0), ct = unreduced(v.ct, v);
  const Shape shape = x.shape();
  const std::int64_t n = reduced_size("prod", shape, axes);
  if (axes.empty()) return ct;
  const auto first = static_cast<int>(axes[0]), last = static_cast<int>(axes[axes.rank() - 1]);
  if (last - first + 1 == axes.rank()) {  // neighbours: one axis
    const std::int64_t inner = Shape(shape.begin() + last + 1, shape.end()).size();
    const std::int64_t outer = Shape(shape.begin(), shape.begin() + first).size();
    return chain(ct, product_of_others(x, outer, n, inner));
  }
  Axes order, back;
  for (int i = 0; i < shape.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) order.push_back(i);
  }
  const std::int64_t outer = reduced(shape, axes, false).size();
  for (const std::int64_t a : axes) order.push_back(a);
  for (int i = 0; i < shape.rank(); ++i) {
    back.push_back(std::find(order.begin(), order.end(), i) - order.begin());
  }
  return chain(ct, transpose(product_of_others(transpose(x, order), outer, n, 1), back));
}

Var logsumexp_expand(const Rewrite& r) {
  const auto& attrs = r.attrs<ReduceAttrs>();
  if (!is_row(r.in(0).shape(), attrs.axes)) return {};
  const double inf = std::numeric_limits<double>::infinity();
  const SoftmaxParts p = softmax_parts(r.in(0), attrs.axes);
  // +∞ wins; and where all of x is −∞, log(0) is right.
  const Var y = where(equal(p.max, inf), inf, p.max + log(p.sum));
  return reshape(y, r.spec().shape);
}

// The weights e^(x − y) sum to 1 but for the rounding of y, which is large when y is: dividing by
// their sum takes that out. Where all of x is −∞ so is y, and the weights are 0, not NaN.
Var logsumexp_vjp(const Vjp& v) {
  const Var y = unreduced(v.out(), v);
  const Var nothing = equal(y, -std::numeric_limits<double>::infinity());
  const Axes& axes = v.attrs<ReduceAttrs>().axes;
  if (axes.rank() == 1) {
    return chain(where(nothing, 0, unreduced(v.ct, v)), softmax(v.in(0), axes[0]));
  }
  const Var weights = exp(v.in(0) - where(nothing, 0, y));
  const Var total = where(nothing, 1, sum(weights, v.attrs<ReduceAttrs>().axes, true));
  return chain(unreduced(v.ct, v), weights / total);
}

constexpr Op kSum{.name = "sum",
                  .math = "y = Σ x",
                  .gradient = "x̄ = ȳ, repeated",
                  .infer = reduce_infer,
                  .kernel = reduce_kernel<Sum>,
                  .vjp = {{sum_vjp}},
                  .linear = Linear::joint,
                  .reducer = kernels::reducer<Sum>,
                  .reduced_axes = reduced_axes,
                  .simplify = simplify_sum,
                  .samples = reduction_samples<sum>};

std::vector<Sample> prod_samples(const Sampler& s) {
  std::vector<Sample> out = reduction_samples<prod>(s);
  for (const Tensor& x : {Tensor({1.5, 0, -2}), Tensor({0, 1.5, 0}), Tensor({0, 0, 0})}) {
    out.push_back(
        {"zeros " + x.str(), {x.to(s.dtype)}, [](std::span<const Var> in) { return prod(in[0]); }});
  }
  return out;
}

Var product_of_three(std::span<const Var> in) { return prod(stack({in[0], in[1], in[2]})); }
constexpr Edge kProdEdges[] = {
    {"one zero: the product of the others", product_of_three, 3, {0, 2, 3}, 0, {6, 0, 0}},
    {"two zeros", product_of_three, 3, {0, 0, 3}, 0, {0, 0, 0}},
};
Var largest_of_three(std::span<const Var> in) { return max(stack({in[0], in[1], in[2]})); }
Var smallest_of_three(std::span<const Var> in) { return min(stack({in[0], in[1], in[2]})); }
constexpr Edge kMaxEdges[] = {
    {"a tie of two", largest_of_three, 3, {2, 1, 2}, 2, {0.5, 0, 0.5}},
};
constexpr Edge kMinEdges[] = {
    {"a tie of two", smallest_of_three, 3, {1, 2, 1}, 1, {0.5, 0, 0.5}},
};
Var logsumexp_of_two(std::span<const Var> in) { return logsumexp(stack({in[0], in[1]})); }
Var logsumexp_over_two_axes(std::span<const Var> in) {
  return logsumexp(reshape(stack({in[0], in[1], in[0] - 2000}), {1, 3}));
}
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Edge kLogSumExpEdges[] = {
    {"one of two −∞", logsumexp_of_two, 2, {-kInfinity, 1}, 1, {0, 1}},
    {"huge elements", logsumexp_over_two_axes, 2, {2000, -2000}, 2000, {1, 0}},
    {"all −∞", logsumexp_of_two, 2, {-kInfinity, -kInfinity}, -kInfinity, {0, 0}},
};

constexpr Op kProd{.name = "prod",
                   .math = "y = Π x",
                   .gradient = "x̄ᵢ = ȳ Π xⱼ, j ≠ i",
                   .edges = kProdEdges,
                   .infer = reduce_infer,
                   .kernel = reduce_kernel<Product>,
                   .vjp = {{prod_vjp, reads_in(0)}},
                   .reducer = kernels::reducer<Product>,
                   .reduced_axes = reduced_axes,
                   .samples = prod_samples};

constexpr Op kMax{.name = "max",
                  .math = "y = max x",
                  .gradient = "ȳ shared equally by the largest elements",
                  .edges = kMaxEdges,
                  .infer = extremum_infer,
                  .kernel = reduce_kernel<Largest>,
                  .vjp = {{extremum_vjp, reads_in(0) | kReadsOut}},
                  .reducer = kernels::reducer<Largest>,
                  .reduced_axes = reduced_axes,
                  .samples = reduction_samples<max, false>};

constexpr Op kMin{.name = "min",
                  .math = "y = min x",
                  .gradient = "ȳ shared equally by the smallest elements",
                  .edges = kMinEdges,
                  .infer = extremum_infer,
                  .kernel = reduce_kernel<Smallest>,
                  .vjp = {{extremum_vjp, reads_in(0) | kReadsOut}},
                  .reducer = kernels::reducer<Smallest>,
                  .reduced_axes = reduced_axes,
                  .samples = reduction_samples<min, false>};

constexpr Op kLogSumExp{.name = "logsumexp",
                        .math = "y = ln Σ eˣ",
                        .gradient = "x̄ = ȳ e^(x − y)",
                        .edges = kLogSumExpEdges,
                        .infer = floating_reduce_infer,
                        .kernel = logsumexp_kernel,
                        .vjp = {{logsumexp_vjp, reads_in(0) | kReadsOut}},
                        .expand = logsumexp_expand,
                        .samples = reduction_samples<logsumexp>};

constexpr Op kMean =
    composed("mean", {"y = Σ x / n", "x̄ = ȳ / n, repeated"}, reduction_samples<mean, false>);

}  // namespace

Var sum(const Var& x, const Axes& axes, bool keepdims) { return over(kSum, x, axes, keepdims); }
Var prod(const Var& x, const Axes& axes, bool keepdims) { return over(kProd, x, axes, keepdims); }
Var max(const Var& x, const Axes& axes, bool keepdims) { return over(kMax, x, axes, keepdims); }
Var min(const Var& x, const Axes& axes, bool keepdims) { return over(kMin, x, axes, keepdims); }
Var logsumexp(const Var& x, const Axes& axes, bool keepdims) {
  return over(kLogSumExp, x, axes, keepdims);
}
Var mean(const Var& x, const Axes& axes, bool keepdims) {
  if (!is_floating(x.dtype())) {
    throw DTypeError("mean", std::string("operand ") + name(x.dtype()) + x.shape().str() +
                                 ": takes f32 or f64, write cast(x, f32)");
  }
  const auto n = static_cast<double>(reduced_size("mean", x.shape(), axes));
  return sum(x, axes, keepdims) / n;
}

SoftmaxParts softmax_parts(const Var& x, const Axes& axes) {
  const Var top = max(x, axes, true);
  const Var shift = where(equal(top, -std::numeric_limits<double>::infinity()), 0, top);
  const Var e = exp_difference(x, shift);
  return {shift, e, sum(e, axes, true)};
}

// Rows of contiguous elements, short enough to stay in the cache, are worth taking apart: the
// exponentials are then shared with the gradient, and all of it is one pass.
bool is_row(const Shape& shape, const Axes& axes) {
  constexpr std::int64_t kLongestRow = 8192;
  std::int64_t row = 1;
  for (int i = 0; i < axes.rank(); ++i) {
    if (axes[axes.rank() - 1 - i] != shape.rank() - 1 - i) return false;
    row *= shape[shape.rank() - 1 - i];
  }
  return row > 0 && row <= kLongestRow && row < shape.size();
}

Var sum_to(const Var& x, const Shape& shape) {
  const Shape& have = x.shape();
  if (have == shape) return x;
  if (shape.rank() > have.rank() || broadcast("sum_to", have, shape) != have) {
    throw ShapeError("sum_to", "shape " + have.str() + " is no broadcast of " + shape.str());
  }
  Axes axes;
  const int extra = have.rank() - shape.rank();
  for (int i = 0; i < have.rank(); ++i) {
    if (i < extra || (shape[i - extra] == 1 && have[i] != 1)) axes.push_back(i);
  }
  return reshape(axes.empty() ? x : sum(x, axes), shape);
}

namespace families {
Family reduction() { return {&kSum, &kProd, &kMax, &kMin, &kLogSumExp, &kMean}; }
}  // namespace families

}  // namespace xtape
