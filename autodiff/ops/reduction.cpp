#include <cmath>
#include <limits>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/kernels/reduce.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

struct ReduceAttrs {
  Axes axes;  // normalized
  bool keepdims;
  std::string str() const { return "axes " + axes.str() + (keepdims ? ", keepdims" : ""); }
  bool operator==(const ReduceAttrs&) const = default;
};

struct AxisAttrs {
  int axis;
  bool keepdims = true;
  std::string str() const { return "axis " + std::to_string(axis); }
  bool operator==(const AxisAttrs&) const = default;
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

[[noreturn]] void throw_nothing(std::string_view op, const Shape& shape) {
  throw ShapeError(op, "shape " + shape.str() + " has no elements to choose from");
}

Spec extremum_infer(const InferArgs& a) {
  const Spec out = reduce_infer(a);
  const Shape& shape = a.in[0]->shape;
  if (shape.size() == 0 && out.shape.size() > 0) throw_nothing(a.op.name, shape);
  return out;
}

// Sums of f32 are taken in double: the result is right to its last bit or so at any length.
template <class T>
struct Sum {
  using Acc = std::conditional_t<std::is_same_v<T, std::int64_t>, std::int64_t, double>;
  static Acc init() { return 0; }
  static void add(Acc& acc, T x) { acc += static_cast<Acc>(x); }
  static void merge(Acc& acc, Acc o) { acc += o; }
};

template <class T, bool kLargest>
struct Extremum {
  using Acc = T;
  static Acc init() {
    if constexpr (std::is_same_v<T, std::int64_t>) {
      return kLargest ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
    } else {
      return kLargest ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    }
  }
  static void add(Acc& acc, T x) { acc = ((kLargest ? x > acc : x < acc) || x != x) ? x : acc; }
  static void merge(Acc& acc, T x) { add(acc, x); }
};

// Σ e^(x−m) and its maximum m, merged without overflow.
template <class T>
struct LogSumExp {
  struct Acc {
    double max = -std::numeric_limits<double>::infinity();
    double sum = 0;
  };
  static Acc init() { return {}; }
  static void merge(Acc& a, const Acc& b) {
    if (b.max != b.max || a.max < b.max) {
      a.sum = std::isinf(a.max) ? b.sum : a.sum * std::exp(a.max - b.max) + b.sum;
      a.max = b.max;
    } else if (b.sum > 0) {
      a.sum += a.max == b.max ? b.sum : b.sum * std::exp(b.max - a.max);
    }
  }
  static void add(Acc& a, T x) { merge(a, {static_cast<double>(x), 1}); }
};

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
template <class T>
using Largest = Extremum<T, true>;
template <class T>
using Smallest = Extremum<T, false>;

void logsumexp_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    auto* out = static_cast<T*>(a.out);
    kernels::reduce<LogSumExp<T>>(
        static_cast<const T*>(a.in[0].data), a.in[0].spec->shape, attrs.axes,
        [&](std::int64_t i, const auto& acc) {
          const bool finite = std::isfinite(acc.max);
          out[i] = static_cast<T>(finite ? acc.max + std::log(acc.sum) : acc.max);
        });
  });
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

// The weights e^(x − y) sum to 1 but for the rounding of y, which is large when y is: dividing by
// their sum takes that out. Where all of x is −∞ so is y, and the weights are 0, not NaN.
Var logsumexp_vjp(const Vjp& v) {
  const Var y = unreduced(v.out(), v);
  const Var nothing = equal(y, -std::numeric_limits<double>::infinity());
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
                  .samples = sum_samples};

constexpr Op kMax{.name = "max",
                  .math = "y = max x",
                  .gradient = "ȳ shared equally by the largest elements",
                  .infer = extremum_infer,
                  .kernel = reduce_kernel<Largest>,
                  .vjp = {{extremum_vjp, reads_in(0) | kReadsOut}},
                  .samples = max_samples};

constexpr Op kMin{.name = "min",
                  .math = "y = min x",
                  .gradient = "ȳ shared equally by the smallest elements",
                  .infer = extremum_infer,
                  .kernel = reduce_kernel<Smallest>,
                  .vjp = {{extremum_vjp, reads_in(0) | kReadsOut}},
                  .samples = min_samples};

constexpr Op kLogSumExp{.name = "logsumexp",
                        .math = "y = ln Σ eˣ",
                        .gradient = "x̄ = ȳ e^(x − y)",
                        .infer = floating_reduce_infer,
                        .kernel = logsumexp_kernel,
                        .vjp = {{logsumexp_vjp, reads_in(0) | kReadsOut}},
                        .samples = logsumexp_samples};

// --- along one axis -------------------------------------------------------------------------

// Calls f(first element, stride) for each line of x along the axis.
template <class F>
void each_line(const Shape& shape, int axis, F&& f) {
  std::int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  const std::int64_t n = axis < shape.rank() ? shape[axis] : 1;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) f(o * n * inner + i, inner, n);
  }
}

template <class T>
T line_max(const T* x, std::int64_t stride, std::int64_t n) {
  if (stride == 1) return kernels::reduce_run<Largest<T>>(x, n);
  T m = Largest<T>::init();
  for (std::int64_t i = 0; i < n; ++i) Largest<T>::add(m, x[i * stride]);
  return m;
}

// out = e^(x − m), and their sum.
template <class T>
double line_exp(const T* x, T* out, T m, std::int64_t stride, std::int64_t n) {
  const auto f = [m](T v) { return math::exp(v - m); };
  if (stride == 1) {
    kernels::run(f, out, n, kernels::Run<T>{x});
    return kernels::reduce_run<Sum<T>>(out, n);
  }
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    out[i * stride] = f(x[i * stride]);
    total += static_cast<double>(out[i * stride]);
  }
  return total;
}

template <bool kLog>
void softmax_kernel(const KernelArgs& a) {
  const int axis = get_attrs<AxisAttrs>(a.attrs).axis;
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    each_line(a.spec.shape, axis, [&](std::int64_t at, std::int64_t stride, std::int64_t n) {
      const auto* x = static_cast<const T*>(a.in[0].data) + at;
      auto* out = static_cast<T*>(a.out) + at;
      const T m = line_max(x, stride, n);
      const double total = line_exp(x, out, m, stride, n);
      const T log_total = static_cast<T>(std::log(total));
      const T scale = static_cast<T>(1 / total);
      for (std::int64_t i = 0; i < n; ++i) {
        T& y = out[i * stride];
        y = kLog ? (x[i * stride] - m) - log_total : y * scale;
      }
    });
  });
}

Var softmax_vjp(const Vjp& v) {
  const Var y = v.out();
  const Var weighted = chain(v.ct, y);
  return weighted - y * sum(weighted, v.attrs<AxisAttrs>().axis, true);
}

Var log_softmax_vjp(const Vjp& v) {
  return v.ct - exp(v.out()) * sum(v.ct, v.attrs<AxisAttrs>().axis, true);
}

std::vector<Sample> axis_samples(const Sampler& s, Var (*f)(const Var&, std::int64_t)) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, std::int64_t axis) {
    out.push_back({shape.str() + " axis " + std::to_string(axis),
                   {s.draw(shape)},
                   [=](std::span<const Var> in) { return f(in[0], axis); }});
  };
  add({1}, 0);
  add({5}, 0);
  add({3, 20}, -1);
  add({4, 3}, 0);
  add({2, 3, 2, 2}, 1);
  add({0, 3}, 1);
  add({3, 0}, 1);
  return out;
}

std::vector<Sample> softmax_samples(const Sampler& s) { return axis_samples(s, softmax); }
std::vector<Sample> log_softmax_samples(const Sampler& s) { return axis_samples(s, log_softmax); }
std::vector<Sample> argmax_samples(const Sampler& s) {
  auto out = axis_samples(s, [](const Var& x, std::int64_t axis) { return argmax(x, axis); });
  out.pop_back();  // nothing to choose from
  return out;
}

constexpr Op kSoftmax{.name = "softmax",
                      .math = "y = eˣ / Σ eˣ",
                      .gradient = "x̄ = y (ȳ − Σ ȳ y)",
                      .infer = floating_unary,
                      .kernel = softmax_kernel<false>,
                      .vjp = {{softmax_vjp, kReadsOut}},
                      .samples = softmax_samples};

constexpr Op kLogSoftmax{.name = "log_softmax",
                         .math = "y = x − ln Σ eˣ",
                         .gradient = "x̄ = ȳ − e^y Σ ȳ",
                         .infer = floating_unary,
                         .kernel = softmax_kernel<true>,
                         .vjp = {{log_softmax_vjp, kReadsOut}},
                         .samples = log_softmax_samples};

Spec argmax_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<AxisAttrs>(a.attrs);
  const Shape& shape = numeric_unary(a).shape;
  const Shape out = reduced(shape, attrs.axis, attrs.keepdims);
  if (shape.size() == 0 && out.size() > 0) throw_nothing("argmax", shape);
  return {out, i64};
}

void argmax_kernel(const KernelArgs& a) {
  dispatch_numeric(a.in[0].spec->dtype, [&](auto t) {
    using T = decltype(t);
    auto* out = static_cast<std::int64_t*>(a.out);
    const int axis = get_attrs<AxisAttrs>(a.attrs).axis;
    each_line(a.in[0].spec->shape, axis, [&](std::int64_t at, std::int64_t stride, std::int64_t n) {
      const auto* x = static_cast<const T*>(a.in[0].data) + at;
      std::int64_t best = 0;
      for (std::int64_t i = 1; i < n; ++i) {
        const T v = x[i * stride], top = x[best * stride];
        if (v > top || (v != v && top == top)) best = i;
      }
      *out++ = best;
    });
  });
}

constexpr Op kArgmax{.name = "argmax",
                     .math = "y = position of max x",
                     .gradient = "none: the result is an index",
                     .infer = argmax_infer,
                     .kernel = argmax_kernel,
                     .samples = argmax_samples};

Var over(const Op& op, const Var& x, const Axes& axes, bool keepdims) {
  return apply(op, {&x},
               make_attrs(ReduceAttrs{normalize_axes(op.name, axes, x.shape()), keepdims}));
}

Var along(const Op& op, const Var& x, std::int64_t axis, bool keepdims = true) {
  return apply(op, {&x}, make_attrs(AxisAttrs{normalize_axis(op.name, axis, x.shape()), keepdims}));
}

}  // namespace

Var sum(const Var& x, const Axes& axes, bool keepdims) { return over(kSum, x, axes, keepdims); }
Var max(const Var& x, const Axes& axes, bool keepdims) { return over(kMax, x, axes, keepdims); }
Var min(const Var& x, const Axes& axes, bool keepdims) { return over(kMin, x, axes, keepdims); }
Var logsumexp(const Var& x, const Axes& axes, bool keepdims) {
  return over(kLogSumExp, x, axes, keepdims);
}
Var softmax(const Var& x, std::int64_t axis) { return along(kSoftmax, x, axis); }
Var log_softmax(const Var& x, std::int64_t axis) { return along(kLogSoftmax, x, axis); }
Var argmax(const Var& x, std::int64_t axis, bool keepdims) {
  return along(kArgmax, x, axis, keepdims);
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
Family reduction() { return {&kSum, &kMax, &kMin, &kLogSumExp, &kSoftmax, &kLogSoftmax, &kArgmax}; }
}  // namespace families

}  // namespace xtape
