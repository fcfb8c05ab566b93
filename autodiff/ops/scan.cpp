#include <cmath>
#include <limits>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::scan, kernels::Wide;

struct ScanAttrs {
  int axis;
  bool reverse = false;
  bool exclusive = false;
  std::string str() const {
    return "axis " + std::to_string(axis) + (reverse ? ", reverse" : "") +
           (exclusive ? ", exclusive" : "");
  }
  bool operator==(const ScanAttrs&) const = default;
};

struct Plus {
  static constexpr int kStart = 0;
  template <class W>
  XTAPE_INLINE W operator()(W a, W b) const {
    return a + b;
  }
};
struct Times {
  static constexpr int kStart = 1;
  template <class W>
  XTAPE_INLINE W operator()(W a, W b) const {
    return a * b;
  }
};

template <class Join>
void cumulative_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ScanAttrs>(a.attrs);
  dispatch_numeric(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    using W = Wide<T>;
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<T*>(a.out);
    const W start = Join::kStart;
    if (attrs.exclusive) {
      scan(a.spec.shape, attrs.axis, attrs.reverse, start,
           [=](W& s, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
             out[at] = static_cast<T>(s);
             s = Join{}(s, static_cast<W>(x[at]));
           });
      return;
    }
    scan(a.spec.shape, attrs.axis, attrs.reverse, start,
         [=](W& s, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
           s = Join{}(s, static_cast<W>(x[at]));
           out[at] = static_cast<T>(s);
         });
  });
}

// The largest element so far, and Σ e^(x − max).
template <class W>
struct LogSum {
  W max, sum;
};

void logcumsumexp_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ScanAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    using W = Wide<T>;
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<T*>(a.out);
    const LogSum<W> nothing{-std::numeric_limits<W>::infinity(), 0};
    scan(a.spec.shape, attrs.axis, attrs.reverse, nothing,
         [=](LogSum<W>& s, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
           const auto v = static_cast<W>(x[at]);
           const W apart = v == s.max ? 0 : std::abs(v - s.max);  // 0 for two infinities
           const W e = math::exp(-apart);
           s.sum = v > s.max ? s.sum * e + 1 : s.sum + e;
           s.max = v > s.max ? v : s.max;
           out[at] = static_cast<T>(s.max + math::log(s.sum));
         });
  });
}

template <class T>
struct Best {
  T value;
  std::int64_t at;
};

template <bool kLargest>
void cumulative_position_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ScanAttrs>(a.attrs);
  dispatch_numeric(a.in[0].spec->dtype, [&](auto t) {
    using T = decltype(t);
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<std::int64_t*>(a.out);
    scan(a.spec.shape, attrs.axis, attrs.reverse, Best<T>{0, 0},
         [=](Best<T>& best, std::int64_t at, std::int64_t k) XTAPE_INLINE_LAMBDA {
           const T v = x[at];
           const bool wins = kLargest ? v >= best.value : v <= best.value;
           if (k == 0 || wins || v != v) best = {v, k};
           out[at] = best.at;
         });
  });
}

Spec position_infer(const InferArgs& a) { return {numeric_unary(a).shape, i64}; }

Var scanned(const Op& op, const Var& x, const ScanAttrs& attrs) {
  return apply(op, {&x}, make_attrs(attrs));
}

Var cumsum_vjp(const Vjp& v) {
  const auto& a = v.attrs<ScanAttrs>();
  return cumsum(v.ct, a.axis, {.reverse = !a.reverse, .exclusive = a.exclusive});
}

// ∂yₖ/∂xᵢ is the product of what comes before i, times that of what lies between i and k. The
// latter are summed by a recurrence against the walk.
Var cumprod_vjp(const Vjp& v) {
  const auto a = v.attrs<ScanAttrs>();
  const Var x = v.in(0);
  const Var before = cumprod(x, a.axis, {.reverse = a.reverse, .exclusive = true});
  Var after = recurrence(x, v.ct, {a.axis, !a.reverse, !a.exclusive});
  if (a.exclusive) after = previous(after, a.axis, !a.reverse);
  return chain(after, before);
}

// x̄ᵢ = e^(xᵢ − yᵢ) Sᵢ with Sᵢ = Σ ȳₖ e^(yᵢ − yₖ) over k ≥ i: a recurrence against the walk, whose
// coefficients are at most 1. Between equal infinities the difference is 0.
Var logcumsumexp_vjp(const Vjp& v) {
  const auto a = v.attrs<ScanAttrs>();
  const Var x = v.in(0), y = v.out();
  const auto ratio = [](const Var& p, const Var& q) { return exp(where(equal(p, q), 0, p - q)); };
  const Var coefficient = ratio(previous(y, a.axis, a.reverse), y);
  const Var later = recurrence(coefficient, v.ct, {a.axis, !a.reverse, true});
  const Var nothing = equal(y, -std::numeric_limits<double>::infinity());
  return chain(where(nothing, 0, later), ratio(x, y));
}

struct ScanCase {
  Shape shape;
  std::int64_t axis;
};
const ScanCase kCases[] = {{{1}, 0},          {{6}, -1},      {{0}, 0},
                           {{3, 4}, 0},       {{9, 3}, 1},    {{2, 3, 2, 2}, 1},
                           {{2, 1, 2, 3}, 3}, {{2, 0, 3}, 1}, {{0, 3}, -1}};

std::vector<Sample> scan_samples(const Sampler& s, Var (*f)(const Var&, std::int64_t)) {
  std::vector<Sample> out;
  for (const ScanCase& c : kCases) {
    out.push_back({c.shape.str() + " along " + std::to_string(c.axis),
                   {s.draw(c.shape)},
                   [=](std::span<const Var> in) { return f(in[0], c.axis); }});
  }
  return out;
}

template <Var (*kScan)(const Var&, std::int64_t, const ScanOptions&)>
std::vector<Sample> cumulative_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const bool reverse : {false, true}) {
    for (const bool exclusive : {false, true}) {
      for (const ScanCase& c : kCases) {
        const ScanOptions o{reverse, exclusive};
        out.push_back({c.shape.str() + " along " + std::to_string(c.axis) +
                           (reverse ? " reverse" : "") + (exclusive ? " exclusive" : ""),
                       {s.draw(c.shape)},
                       [=](std::span<const Var> in) { return kScan(in[0], c.axis, o); }});
      }
    }
  }
  return out;
}

// Zeros among the elements: gradients must not divide by them.
std::vector<Sample> cumprod_samples(const Sampler& s) {
  std::vector<Sample> out = cumulative_samples<cumprod>(s);
  for (const Tensor& x :
       {Tensor({1.5, 0, -2, 0.5}), Tensor({1.5, 0, -2, 0, 0.7}), Tensor({0, 1.5, 0, -2, 0})}) {
    out.push_back({"zeros " + x.str(), {x.to(s.dtype)}, [](std::span<const Var> in) {
                     return cumprod(in[0], 0);
                   }});
  }
  return out;
}

std::vector<Sample> logcumsumexp_samples(const Sampler& s) { return scan_samples(s, logcumsumexp); }
std::vector<Sample> cumargmax_samples(const Sampler& s) { return scan_samples(s, cumargmax); }
std::vector<Sample> cumargmin_samples(const Sampler& s) { return scan_samples(s, cumargmin); }
std::vector<Sample> cummax_samples(const Sampler& s) {
  return scan_samples(s, [](const Var& x, std::int64_t axis) { return cummax(x, axis).values; });
}
std::vector<Sample> cummin_samples(const Sampler& s) {
  return scan_samples(s, [](const Var& x, std::int64_t axis) { return cummin(x, axis).values; });
}

constexpr Op kCumsum{.name = "cumsum",
                     .math = "yᵢ = Σ x₀…xᵢ",
                     .gradient = "x̄ᵢ = Σ ȳᵢ…ȳₙ",
                     .infer = numeric_unary,
                     .kernel = cumulative_kernel<Plus>,
                     .vjp = {{cumsum_vjp}},
                     .linear = Linear::joint,
                     .samples = cumulative_samples<cumsum>};

constexpr Op kCumprod{.name = "cumprod",
                      .math = "yᵢ = Π x₀…xᵢ",
                      .gradient = "x̄ᵢ = (Π x₀…xᵢ₋₁) Σₖ ȳₖ Π xᵢ₊₁…xₖ",
                      .infer = numeric_unary,
                      .kernel = cumulative_kernel<Times>,
                      .vjp = {{cumprod_vjp, reads_in(0)}},
                      .samples = cumprod_samples};

constexpr Op kLogcumsumexp{.name = "logcumsumexp",
                           .math = "yᵢ = ln Σ e^x₀…e^xᵢ",
                           .gradient = "x̄ᵢ = Σₖ ȳₖ e^(xᵢ − yₖ), k ≥ i",
                           .infer = floating_unary,
                           .kernel = logcumsumexp_kernel,
                           .vjp = {{logcumsumexp_vjp, reads_in(0) | kReadsOut}},
                           .samples = logcumsumexp_samples};

constexpr Op kCumargmax{.name = "cumargmax",
                        .math = "yᵢ = position of max x₀…xᵢ, the last of those that tie",
                        .gradient = "none: the result is an index",
                        .infer = position_infer,
                        .kernel = cumulative_position_kernel<true>,
                        .samples = cumargmax_samples};

constexpr Op kCumargmin{.name = "cumargmin",
                        .math = "yᵢ = position of min x₀…xᵢ, the last of those that tie",
                        .gradient = "none: the result is an index",
                        .infer = position_infer,
                        .kernel = cumulative_position_kernel<false>,
                        .samples = cumargmin_samples};

Var tied_maximum(std::span<const Var> in) { return sum(cummax(stack({in[0], in[1]}), 0).values); }
Var tied_minimum(std::span<const Var> in) { return sum(cummin(stack({in[0], in[1]}), 0).values); }
constexpr Edge kCummaxEdges[] = {
    {"x = (1, 1), Σ y: a tie", tied_maximum, 2, {1, 1}, 2, {1, 1}},
    {"x = (2, 1), Σ y", tied_maximum, 2, {2, 1}, 4, {2, 0}},
};
constexpr Edge kCumminEdges[] = {
    {"x = (1, 1), Σ y: a tie", tied_minimum, 2, {1, 1}, 2, {1, 1}},
    {"x = (1, 2), Σ y", tied_minimum, 2, {1, 2}, 2, {2, 0}},
};
constexpr Op kCummax = with_edges(
    composed("cummax", {"yᵢ = max x₀…xᵢ", "ȳᵢ to the element that was taken"}, cummax_samples),
    kCummaxEdges);
constexpr Op kCummin = with_edges(
    composed("cummin", {"yᵢ = min x₀…xᵢ", "ȳᵢ to the element that was taken"}, cummin_samples),
    kCumminEdges);

}  // namespace

Var cumsum(const Var& x, std::int64_t axis, const ScanOptions& o) {
  return scanned(kCumsum, x, {normalize_axis("cumsum", axis, x.shape()), o.reverse, o.exclusive});
}
Var cumprod(const Var& x, std::int64_t axis, const ScanOptions& o) {
  return scanned(kCumprod, x, {normalize_axis("cumprod", axis, x.shape()), o.reverse, o.exclusive});
}
Var logcumsumexp(const Var& x, std::int64_t axis) {
  return scanned(kLogcumsumexp, x, {normalize_axis("logcumsumexp", axis, x.shape())});
}
Var cumargmax(const Var& x, std::int64_t axis) {
  return scanned(kCumargmax, x, {normalize_axis("cumargmax", axis, x.shape())});
}
Var cumargmin(const Var& x, std::int64_t axis) {
  return scanned(kCumargmin, x, {normalize_axis("cumargmin", axis, x.shape())});
}
Selected cummax(const Var& x, std::int64_t axis) {
  const Var at = cumargmax(x, axis);
  return {take_along_axis(x, at, axis), at};
}
Selected cummin(const Var& x, std::int64_t axis) {
  const Var at = cumargmin(x, axis);
  return {take_along_axis(x, at, axis), at};
}

namespace families {
Family scan() {
  return {&kCumsum, &kCumprod, &kLogcumsumexp, &kCumargmax, &kCumargmin, &kCummax, &kCummin};
}
}  // namespace families

}  // namespace xtape
