#include <limits>

#include <xtape/autodiff/kernels/reducer.hpp>
#include <xtape/autodiff/kernels/softmax.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::Largest, kernels::Smallest, kernels::Sum;

struct ReduceAttrs {
  Axes axes;  // normalized
  bool keepdims;
  std::string str() const { return "axes " + axes.str() + (keepdims ? ", keepdims" : ""); }
  bool operator==(const ReduceAttrs&) const = default;
};

Spec reduce_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  const Spec s = numeric_unary(a);
  return {reduced(s.shape, attrs.axes, attrs.keepdims), s.dtype};
}

Spec floating_reduce_infer(const InferArgs& a) {
  floating_unary(a);
  return reduce_infer(a);
}

Spec extremum_infer(const InferArgs& a) {
  const Spec out = reduce_infer(a);
  const Shape& shape = a.in[0]->shape;
  if (shape.size() == 0 && out.shape.size() > 0) throw_nothing(a.op.name, shape);
  return out;
}

template <template <class> class R>
void reduce_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  dispatch_numeric(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    auto* out = static_cast<T*>(a.out);
    kernels::reduce<R<T>>(static_cast<const T*>(a.in[0].data), a.in[0].spec->shape, attrs.axes,
                          [&](std::int64_t i, auto acc) { out[i] = static_cast<T>(acc); });
  });
}
void logsumexp_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    kernels::logsumexp(static_cast<const T*>(a.in[0].data), static_cast<T*>(a.out),
                       a.in[0].spec->shape, attrs.axes);
  });
}

Axes reduced_axes(const Attrs* a) { return get_attrs<ReduceAttrs>(a).axes; }

// Over axes of extent 1 there is nothing to reduce.
Var simplify_sum(const Rewrite& r) {
  if (r.in(0).size() == r.spec().shape.size()) return reshape(r.in(0), r.spec().shape);
  const Scaled s = scaled(r, r.in(0));  // a constant factor once, not for each element
  if (!s.x.defined() || s.x.shape() != r.in(0).shape()) return {};
  const auto& a = r.attrs<ReduceAttrs>();
  return s.factor * sum(s.x, a.axes, a.keepdims);
}

// A reduced value under the shape that broadcasts against the input again.
Var unreduced(const Var& y, const Vjp& v) {
  return reshape(y, reduced(v.in_spec().shape, v.attrs<ReduceAttrs>().axes, true));
}

Var sum_vjp(const Vjp& v) { return broadcast_to(unreduced(v.ct, v), v.in_spec().shape); }

Var extremum_vjp(const Vjp& v) {
  const auto& a = v.attrs<ReduceAttrs>();
  const Var x = v.in(0);
  const Var ties = cast(equal(x, unreduced(v.out(), v)), x.dtype());
  return chain(unreduced(v.ct, v), ties / sum(ties, a.axes, true));
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

std::vector<Sample> reduction_samples(const Sampler& s, Var (*f)(const Var&, const Axes&, bool),
                                      bool empty) {
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

std::vector<Sample> sum_samples(const Sampler& s) { return reduction_samples(s, sum, true); }
std::vector<Sample> max_samples(const Sampler& s) { return reduction_samples(s, max, false); }
std::vector<Sample> min_samples(const Sampler& s) { return reduction_samples(s, min, false); }
std::vector<Sample> logsumexp_samples(const Sampler& s) {
  return reduction_samples(s, logsumexp, true);
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
                  .samples = sum_samples};

constexpr Op kMax{.name = "max",
                  .math = "y = max x",
                  .gradient = "ȳ shared equally by the largest elements",
                  .infer = extremum_infer,
                  .kernel = reduce_kernel<Largest>,
                  .vjp = {{extremum_vjp, reads_in(0) | kReadsOut}},
                  .reducer = kernels::reducer<Largest>,
                  .reduced_axes = reduced_axes,
                  .samples = max_samples};

constexpr Op kMin{.name = "min",
                  .math = "y = min x",
                  .gradient = "ȳ shared equally by the smallest elements",
                  .infer = extremum_infer,
                  .kernel = reduce_kernel<Smallest>,
                  .vjp = {{extremum_vjp, reads_in(0) | kReadsOut}},
                  .reducer = kernels::reducer<Smallest>,
                  .reduced_axes = reduced_axes,
                  .samples = min_samples};

constexpr Op kLogSumExp{.name = "logsumexp",
                        .math = "y = ln Σ eˣ",
                        .gradient = "x̄ = ȳ e^(x − y)",
                        .infer = floating_reduce_infer,
                        .kernel = logsumexp_kernel,
                        .vjp = {{logsumexp_vjp, reads_in(0) | kReadsOut}},
                        .expand = logsumexp_expand,
                        .samples = logsumexp_samples};

Var over(const Op& op, const Var& x, const Axes& axes, bool keepdims) {
  return apply(op, {&x},
               make_attrs(ReduceAttrs{normalize_axes(op.name, axes, x.shape()), keepdims}));
}

}  // namespace

Var sum(const Var& x, const Axes& axes, bool keepdims) { return over(kSum, x, axes, keepdims); }
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
  const Var total = sum(x, axes, keepdims);
  std::int64_t n = 1;
  for (const std::int64_t a : normalize_axes("mean", axes, x.shape())) {
    n *= x.shape()[static_cast<int>(a)];
  }
  return total / static_cast<double>(n);
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
Family reduction() { return {&kSum, &kMax, &kMin, &kLogSumExp}; }
}  // namespace families

}  // namespace xtape
