#include <cmath>
#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// The larger and the smaller, and limits.
namespace xtape {
namespace {

using namespace rules;

constexpr auto kIn0 = reads_in(0), kIn1 = reads_in(1);
constexpr double kInf = std::numeric_limits<double>::infinity();

struct Maximum {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return (a > b || a != a) ? a : b;
  }
};
struct Minimum {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return (a < b || a != a) ? a : b;
  }
};
// NaN loses.
struct Fmax {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return (a >= b || b != b) ? a : b;
  }
};
struct Fmin {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return (a <= b || b != b) ? a : b;
  }
};

// ȳ to the winner, half to each at a tie. Who is not beaten wins: NaN beats what is no NaN.
template <int kSelf, bool kLarger>
Var extremum_share(const Vjp& v) {
  const Var self = v.in(kSelf), other = v.in(1 - kSelf);
  const Var wins = kLarger ? self > other : self < other;
  return where(wins, v.ct, where(equal(self, other), 0.5 * v.ct, 0));
}
// The same where NaN loses.
template <int kSelf, bool kLarger>
Var nan_loses_share(const Vjp& v) {
  const Var self = v.in(kSelf), other = v.in(1 - kSelf);
  const Var alone = not_equal(other, other);
  return where(alone, v.ct, extremum_share<kSelf, kLarger>(v));
}
// x̄ where x lies beyond the bound, and at a tie all to the bound.
template <bool kLow>
Var inside(const Vjp& v) {
  const Var x = v.in(0), bound = v.in(1);
  return where(kLow ? x > bound : x < bound, v.ct, 0);
}
template <bool kLow>
Var at_bound(const Vjp& v) {
  const Var x = v.in(0), bound = v.in(1);
  return where(kLow ? x <= bound : x >= bound, v.ct, 0);
}

constexpr Edge kTie[] = {
    {.where = "a = b", .operands = 2, .at = {2, 2}, .y = 2, .gradient = {0.5, 0.5}}};
Var above_zero(std::span<const Var> x) { return maximum(x[0], 0); }
Var below_zero(std::span<const Var> x) { return minimum(0, x[0]); }
constexpr Edge kMaximumEdges[] = {
    kTie[0],
    {.where = "a = c, c on no tape", .call = above_zero, .at = {0}, .y = 0, .gradient = {0}}};
constexpr Edge kMinimumEdges[] = {
    kTie[0],
    {.where = "a = c, c on no tape", .call = below_zero, .at = {0}, .y = 0, .gradient = {0}}};
constexpr Edge kBoundEdges[] = {
    {.where = "x = the bound", .operands = 2, .at = {2, 2}, .y = 2, .gradient = {0, 1}}};

constexpr Op kMaximum =
    with_edges(numeric_binary_op<Maximum>(
                   "maximum", {"y = max(a, b)", "ȳ to the larger one, ȳ/2 to each at a tie"},
                   {extremum_share<0, true>, kIn0 | kIn1}, {extremum_share<1, true>, kIn0 | kIn1}),
               kMaximumEdges);
constexpr Op kMinimum = with_edges(
    numeric_binary_op<Minimum>(
        "minimum", {"y = min(a, b)", "ȳ to the smaller one, ȳ/2 to each at a tie"},
        {extremum_share<0, false>, kIn0 | kIn1}, {extremum_share<1, false>, kIn0 | kIn1}),
    kMinimumEdges);
constexpr Op kFmax = with_edges(
    binary<Fmax>("fmax", {"y = max(a, b), NaN loses", "ȳ to the larger one, ȳ/2 to each at a tie"},
                 {nan_loses_share<0, true>, kIn0 | kIn1}, {nan_loses_share<1, true>, kIn0 | kIn1}),
    kTie);
constexpr Op kFmin = with_edges(
    binary<Fmin>("fmin", {"y = min(a, b), NaN loses", "ȳ to the smaller one, ȳ/2 to each at a tie"},
                 {nan_loses_share<0, false>, kIn0 | kIn1},
                 {nan_loses_share<1, false>, kIn0 | kIn1}),
    kTie);
constexpr Op kClampMin =
    with_edges(numeric_binary_op<Maximum>(
                   "clamp_min", {"y = max(x, low)", "ȳ to x where x > low, else to low"},
                   {inside<true>, kIn0 | kIn1}, {at_bound<true>, kIn0 | kIn1}),
               kBoundEdges);
constexpr Op kClampMax =
    with_edges(numeric_binary_op<Minimum>(
                   "clamp_max", {"y = min(x, high)", "ȳ to x where x < high, else to high"},
                   {inside<false>, kIn0 | kIn1}, {at_bound<false>, kIn0 | kIn1}),
               kBoundEdges);

// Two recorded operands share a tie; a constant takes all of it, as in where(x > c, x, c).
Var extremum(const Op& share, const Op& limit, const Var& a, const Var& b) {
  const Var x = beside(a, b), y = beside(b, a);
  const bool x_recorded = x.tape() != nullptr, y_recorded = y.tape() != nullptr;
  if (x_recorded == y_recorded) return apply(share, {&x, &y});
  return x_recorded ? apply(limit, {&x, &y}) : apply(limit, {&y, &x});
}

struct ClampAttrs {
  double low, high;
  std::string str() const { return detail::text(low) + ", " + detail::text(high); }
  bool operator==(const ClampAttrs&) const = default;
};

// A bound for elements of type T: integers cannot pass the whole number inside, nor go beyond their
// own range.
template <class T>
T bound(double whole, double exact) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    if (whole >= 0x1p63) return std::numeric_limits<T>::max();
    return whole <= -0x1p63 ? std::numeric_limits<T>::min() : static_cast<T>(whole);
  } else {
    return static_cast<T>(exact);
  }
}

void clamp_block(const BlockArgs& a) {
  const auto& attrs = get_attrs<ClampAttrs>(a.attrs);
  dispatch_numeric(a.dtype, [&](auto t) {
    using T = decltype(t);
    const T low = bound<T>(std::ceil(attrs.low), attrs.low);
    const T high = bound<T>(std::floor(attrs.high), attrs.high);
    const auto f = [low, high](T x) { return x < low ? low : x > high ? high : x; };
    kernels::unary_block<decltype(f), T>(f, a);
  });
}

Var clamp_vjp(const Vjp& v) {
  const auto& a = v.attrs<ClampAttrs>();
  const Var x = v.in(0);
  return where(x > a.low, where(x < a.high, v.ct, 0), 0);
}

std::vector<Sample> clamp_samples(const Sampler& s) {
  std::vector<Sample> out = elementwise_samples(s);
  for (Sample& sample : out) {
    sample.call = [](std::span<const Var> in) { return clamp(in[0], -1, 0.5); };
  }
  return out;
}

constexpr Op make_clamp() {
  Op op = avoiding(
      pointwise("clamp", {"y = min(max(x, low), high)", "x̄ = ȳ where low < x < high, else 0"},
                numeric_unary, clamp_block, {{clamp_vjp, kIn0}}),
      -1, 0.5);
  op.samples = clamp_samples;
  return op;
}
Var clamp_unit(std::span<const Var> x) { return clamp(x[0], 0, 1); }
Var clamp_positive(std::span<const Var> x) { return clamp(x[0], 0, kInf); }
constexpr Edge kClampEdges[] = {
    {.where = "x = low", .call = clamp_unit, .at = {0}, .y = 0, .gradient = {0}},
    {.where = "x = high", .call = clamp_unit, .at = {1}, .y = 1, .gradient = {0}},
    {.where = "x = 0, [0, ∞)", .call = clamp_positive, .at = {0}, .y = 0, .gradient = {0}}};
constexpr Op kClamp = with_edges(make_clamp(), kClampEdges);

}  // namespace

Var maximum(const Var& a, const Var& b) { return extremum(kMaximum, kClampMin, a, b); }
Var minimum(const Var& a, const Var& b) { return extremum(kMinimum, kClampMax, a, b); }
Var fmax(const Var& a, const Var& b) { return apply(kFmax, {&a, &b}); }
Var fmin(const Var& a, const Var& b) { return apply(kFmin, {&a, &b}); }
Var clamp_min(const Var& x, const Var& low) { return apply(kClampMin, {&x, &low}); }
Var clamp_max(const Var& x, const Var& high) { return apply(kClampMax, {&x, &high}); }
Var clamp(const Var& x, const Var& low, const Var& high) {
  return clamp_max(clamp_min(x, low), high);
}

Var clamp(const Var& x, double low, double high) {
  if (!(low <= high)) {
    throw ValueError("clamp", "low " + detail::text(low) + " and high " + detail::text(high) +
                                  ": low must not exceed high");
  }
  if (x.dtype() == i64) {
    if (std::ceil(low) > std::floor(high)) {
      throw ValueError("clamp", "no integer lies between low " + detail::text(low) + " and high " +
                                    detail::text(high));
    }
  }
  return apply(kClamp, {&x}, make_attrs(ClampAttrs{low, high}));
}

std::pair<double, double> bounds_of(const Attrs* clamp) {
  const auto& a = get_attrs<ClampAttrs>(clamp);
  return {a.low, a.high};
}

namespace families {
Family extremum() {
  return {&kMaximum, &kMinimum, &kFmax, &kFmin, &kClampMin, &kClampMax, &kClamp};
}
}  // namespace families

}  // namespace xtape
