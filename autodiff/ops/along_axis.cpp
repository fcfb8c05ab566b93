#include <cmath>

#include <xtape/autodiff/kernels/softmax.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::Largest, kernels::Lines;

// The last pass over a line: y = e^(x − m) becomes e^(x − m) / Σ, or x − m − ln Σ.
struct Scale {
  template <class T>
  XTAPE_INLINE T operator()(T y, T scale) const {
    return y * scale;
  }
};
struct Shift {
  template <class T>
  XTAPE_INLINE T operator()(T x, T m, T log_total) const {
    return (x - m) - log_total;
  }
};

template <bool kLog, class T>
void contiguous_line(const T* x, T* out, std::int64_t n) {
  using kernels::Operand, kernels::Run, kernels::run;
  const T m = kernels::reduce_run<Largest<T>>(x, n);
  if constexpr (kLog) {
    const T log_total = static_cast<T>(std::log(kernels::exp_sum(x, m, n)));
    run(Shift{}, out, n, Run<T>{x}, Operand<T>{&m, 0}, Operand<T>{&log_total, 0});
  } else {
    const T scale = static_cast<T>(1 / kernels::exp_run(x, out, m, n));
    run(Scale{}, out, n, Run<T>{out}, Operand<T>{&scale, 0});
  }
}

// Lines along another axis than the last, side by side: element by element of each.
template <bool kLog, class T>
void strided_line(const T* x, T* out, std::int64_t stride, std::int64_t n) {
  T m = Largest<T>::init();
  for (std::int64_t i = 0; i < n; ++i) Largest<T>::add(m, x[i * stride]);
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const T y = math::exp(x[i * stride] - m);
    out[i * stride] = kLog ? x[i * stride] - m : y;
    total += static_cast<double>(y);
  }
  const T log_total = static_cast<T>(std::log(total)), scale = static_cast<T>(1 / total);
  for (std::int64_t i = 0; i < n; ++i) {
    T& y = out[i * stride];
    y = kLog ? y - log_total : y * scale;
  }
}

template <bool kLog>
void softmax_kernel(const KernelArgs& a) {
  const int axis = get_attrs<AxisAttrs>(a.attrs).axis;
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    Lines(a.spec.shape, axis).each([&](std::int64_t at, std::int64_t stride, std::int64_t n) {
      const auto* x = static_cast<const T*>(a.in[0].data) + at;
      auto* out = static_cast<T*>(a.out) + at;
      if (stride == 1) return contiguous_line<kLog>(x, out, n);
      strided_line<kLog>(x, out, stride, n);
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

// ẏ = ẋ − Σ e^y ẋ. (That of softmax is its gradient rule: the Jacobian is symmetric.)
Var log_softmax_tangent(const Vjp& v) {
  return v.ct - sum(chain(v.ct, exp(v.out())), v.attrs<AxisAttrs>().axis, true);
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
std::vector<Sample> softmin_samples(const Sampler& s) { return axis_samples(s, softmin); }
std::vector<Sample> argmax_samples(const Sampler& s) {
  auto out = axis_samples(s, [](const Var& x, std::int64_t axis) { return argmax(x, axis); });
  out.pop_back();  // nothing to choose from
  return out;
}
std::vector<Sample> argmin_samples(const Sampler& s) {
  auto out = axis_samples(s, [](const Var& x, std::int64_t axis) { return argmin(x, axis); });
  out.pop_back();
  return out;
}

Var softmax_expand(const Rewrite& r) {
  const int axis = r.attrs<AxisAttrs>().axis;
  if (axis != r.in(0).rank() - 1 || !is_row(r.in(0).shape(), axis)) return {};
  const SoftmaxParts p = softmax_parts(r.in(0), axis);
  return p.exp * (1 / p.sum);
}

constexpr Op kSoftmax{.name = "softmax",
                      .math = "y = eˣ / Σ eˣ",
                      .gradient = "x̄ = y (ȳ − Σ ȳ y)",
                      .infer = floating_unary,
                      .kernel = softmax_kernel<false>,
                      .vjp = {{softmax_vjp, kReadsOut}},
                      .tangent = softmax_vjp,
                      .expand = softmax_expand,
                      .samples = softmax_samples};

constexpr Op kLogSoftmax{.name = "log_softmax",
                         .math = "y = x − ln Σ eˣ",
                         .gradient = "x̄ = ȳ − e^y Σ ȳ",
                         .infer = floating_unary,
                         .kernel = softmax_kernel<true>,
                         .vjp = {{log_softmax_vjp, kReadsOut}},
                         .tangent = log_softmax_tangent,
                         .samples = log_softmax_samples};

Spec position_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<AxisAttrs>(a.attrs);
  const Shape& shape = numeric_unary(a).shape;
  const Shape out = reduced(shape, attrs.axis, attrs.keepdims);
  if (shape.size() == 0 && out.size() > 0) throw_nothing(a.op.name, shape);
  return {out, i64};
}

// The first of the largest, or smallest, elements; NaN goes before all.
template <bool kLargest>
void position_kernel(const KernelArgs& a) {
  dispatch_numeric(a.in[0].spec->dtype, [&](auto t) {
    using T = decltype(t);
    auto* out = static_cast<std::int64_t*>(a.out);
    const Lines lines(a.in[0].spec->shape, get_attrs<AxisAttrs>(a.attrs).axis);
    lines.each([&](std::int64_t at, std::int64_t stride, std::int64_t n) {
      const auto* x = static_cast<const T*>(a.in[0].data) + at;
      std::int64_t best = 0;
      for (std::int64_t i = 1; i < n; ++i) {
        const T v = x[i * stride], top = x[best * stride];
        if ((kLargest ? v > top : v < top) || (v != v && top == top)) best = i;
      }
      *out++ = best;
    });
  });
}

constexpr Op kArgmax{.name = "argmax",
                     .math = "y = position of max x",
                     .gradient = "none: the result is an index",
                     .infer = position_infer,
                     .kernel = position_kernel<true>,
                     .samples = argmax_samples};

constexpr Op kArgmin{.name = "argmin",
                     .math = "y = position of min x",
                     .gradient = "none: the result is an index",
                     .infer = position_infer,
                     .kernel = position_kernel<false>,
                     .samples = argmin_samples};

constexpr Op kSoftmin =
    composed("softmin", {"y = e⁻ˣ / Σ e⁻ˣ", "x̄ = −y (ȳ − Σ ȳ y)"}, softmin_samples);

Var along(const Op& op, const Var& x, std::int64_t axis, bool keepdims = true) {
  return apply(op, {&x}, make_attrs(AxisAttrs{normalize_axis(op.name, axis, x.shape()), keepdims}));
}

}  // namespace

Var softmax(const Var& x, std::int64_t axis) { return along(kSoftmax, x, axis); }
Var log_softmax(const Var& x, std::int64_t axis) { return along(kLogSoftmax, x, axis); }
Var argmax(const Var& x, std::int64_t axis, bool keepdims) {
  return along(kArgmax, x, axis, keepdims);
}
Var argmin(const Var& x, std::int64_t axis, bool keepdims) {
  return along(kArgmin, x, axis, keepdims);
}
Var softmin(const Var& x, std::int64_t axis) { return softmax(-x, axis); }

namespace families {
Family along_axis() { return {&kSoftmax, &kLogSoftmax, &kSoftmin, &kArgmax, &kArgmin}; }
}  // namespace families

}  // namespace xtape
