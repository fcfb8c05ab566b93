#include <cmath>
#include <limits>

#include <xtape/autodiff/ops/reducing.hpp>

namespace xtape {
namespace {

using namespace rules;

void check_floating(std::string_view op, const Var& x) {
  if (is_floating(x.dtype())) return;
  throw DTypeError(op, std::string("operand ") + name(x.dtype()) + x.shape().str() +
                           ": takes f32 or f64, write cast(x, f32)");
}

// √v where v > 0. Where it is 0 (or NaN) it is v itself, a constant: the slope there is infinite.
Var root(const Var& v) {
  const Var positive = greater(v, 0);
  return where(positive, sqrt(where(positive, v, 1)), stop_gradient(v));
}

// The mean, given with the reduced axes kept, in the shape of the result.
Moments moments(const Var& x, const Axes& axes, double correction, bool keepdims, bool squared) {
  const Var center = mean(x, axes, true);
  const auto n = static_cast<double>(reduced_size("var", x.shape(), axes));
  const double weight = std::max(n - correction, 0.0);
  const Var v = sum(square(x - center), axes, keepdims) / weight;
  return {squared ? v : root(v), reshape(center, v.shape())};
}

// The mean of neighbours times their distance.
Var trapezoids(const Var& y, const Var& width, int axis) {
  return (slice(y, axis, {.start = 1}) + slice(y, axis, {.stop = -1})) * 0.5 * width;
}
Var trapezoids(std::string_view op, const Var& y, const Var& x, std::int64_t axis) {
  check_floating(op, y);
  const int a = normalize_axis(op, axis, y.shape());
  if (x.rank() == 1) {
    Shape along(y.shape().begin() + a, y.shape().end());
    for (int i = 1; i < along.rank(); ++i) along[i] = 1;
    if (x.shape()[0] != along[0]) {
      throw ShapeError(op, "samples at " + x.shape().str() + " of y " + y.shape().str() +
                               ": must have the extent of axis " + std::to_string(a));
    }
    along[0] = x.shape()[0];
    const Var at = reshape(x, along);
    return trapezoids(y, slice(at, 0, {.start = 1}) - slice(at, 0, {.stop = -1}), a);
  }
  const int b = a - y.rank() + x.rank();
  if (b < 0 || x.shape()[b] != y.shape()[a]) {
    throw ShapeError(op, "samples at " + x.shape().str() + " of y " + y.shape().str() +
                             ": must have the extent of axis " + std::to_string(a));
  }
  return trapezoids(y, slice(x, b, {.start = 1}) - slice(x, b, {.stop = -1}), a);
}
Var trapezoids(std::string_view op, const Var& y, double dx, std::int64_t axis) {
  check_floating(op, y);
  return trapezoids(y, dx, normalize_axis(op, axis, y.shape()));
}

using Spread = Var (*)(const Var&, const Axes&, double, bool);
template <Spread kSpread>
std::vector<Sample> spread_samples(const Sampler& s) {
  const auto one = [](const Var& x, const Axes& axes, bool keepdims) {
    return kSpread(x, axes, 1, keepdims);
  };
  std::vector<Sample> out;
  for (const auto f :
       {static_cast<ReductionFunction>(one),
        static_cast<ReductionFunction>([](const Var&x, const Axes&axes, bool keepdims) {
          return kSpread(x, axes, 0, keepdims);
        })}) {
    for (Sample& sample : reduction_samples(s, f, false)) {
      // One element has no spread.
      if (sample.inputs[0].size() != 1 && sample.inputs[0].rank() < 4) {
        out.push_back(std::move(sample));
      }
    }
  }
  for (const double correction : {0.0, 1.0, 2.0}) {
    out.push_back({"correction " + detail::text(correction),
                   {s.draw({2, 3, 2, 2})},
                   [=](std::span<const Var> in) {
                     return kSpread(in[0], {1, 3}, correction, true);
                   }});
  }
  return out;
}

template <Moments (*kMoments)(const Var&, const Axes&, double, bool)>
Var joined(const Var& x, const Axes& axes, double correction, bool keepdims) {
  const Moments m = kMoments(x, axes, correction, keepdims);
  return stack({m.spread, m.mean});
}

Var joined_extrema(const Var& x, const Axes& axes, bool keepdims) {
  const Extrema e = aminmax(x, axes, keepdims);
  return stack({e.min, e.max});
}

// Of elements that are few, none is NaN; of many the large ones.
template <ReductionFunction kFunction>
std::vector<Sample> nan_samples(const Sampler& s) {
  std::vector<Sample> out = reduction_samples<kFunction, false>(s);
  for (Sample& sample : out) {
    if (sample.inputs[0].size() < 12) continue;
    sample.call = [mask = greater(sample.inputs[0], 1.2).value(),
                   call = sample.call](std::span<const Var> in) {
      return call(std::vector<Var>{where(mask, std::nan(""), in[0])});
    };
  }
  return out;
}

template <ReductionFunction kFunction>
std::vector<Sample> truth_samples(const Sampler& s) {
  const auto clipped = [](const Var& x, const Axes& axes, bool keepdims) {
    return kFunction(relu(x), axes, keepdims);
  };
  return reduction_samples(s, clipped, true);
}

struct TrapezoidCase {
  Shape y, x;
  std::int64_t axis;
};
const TrapezoidCase kTrapezoids[] = {
    {{5}, {5}, 0},          {{3, 4}, {3}, 0}, {{3, 4}, {3, 4}, 1}, {{2, 3, 2, 2}, {3}, 1},
    {{2, 3, 2}, {3, 1}, 1}, {{0, 3}, {3}, 1}, {{1}, {1}, 0}};
template <Var (*kStep)(const Var&, double, std::int64_t),
          Var (*kAt)(const Var&, const Var&, std::int64_t)>
std::vector<Sample> trapezoid_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const TrapezoidCase& c : kTrapezoids) {
    out.push_back({c.y.str() + " at " + c.x.str(),
                   {s.draw(c.y), s.draw(c.x)},
                   [=](std::span<const Var> in) { return kAt(in[0], in[1], c.axis); }});
    out.push_back({c.y.str() + " at steps", {s.draw(c.y)}, [=](std::span<const Var> in) {
                     return kStep(in[0], 0.5, c.axis);
                   }});
  }
  return out;
}

Var std_of_two(std::span<const Var> in) { return stddev(stack({in[0], in[1]})); }
constexpr Edge kStdEdges[] = {{"equal elements", std_of_two, 2, {3, 3}, 0, {0, 0}}};
Var nansum_of_two(std::span<const Var> in) { return nansum(stack({in[0], in[1]})); }
constexpr Edge kNansumEdges[] = {
    {"one NaN", nansum_of_two, 2, {std::numeric_limits<double>::quiet_NaN(), 3}, 3, {0, 1}}};

constexpr Op kVar = composed(
    "var", {"y = Σ (x − mean)² / (n − correction)", "x̄ = 2 ȳ (x − mean) / (n − correction)"},
    spread_samples<xtape::var>);
constexpr Op kStd = with_edges(
    composed("stddev", {"y = √var x", "x̄ = ȳ (x − mean) / ((n − correction) y); 0 where y = 0"},
             spread_samples<stddev>),
    kStdEdges);
constexpr std::string_view kBoth = "the sum of both gradients";
constexpr Op kVarMean =
    composed("var_mean", {"y = (var x, mean x)", kBoth}, spread_samples<joined<var_mean>>);
constexpr Op kStdMean =
    composed("std_mean", {"y = (std x, mean x)", kBoth}, spread_samples<joined<std_mean>>);
constexpr Op kAmax = composed("amax", {"y = max x", "ȳ shared equally by the largest elements"},
                              reduction_samples<amax, false>);
constexpr Op kAmin = composed("amin", {"y = min x", "ȳ shared equally by the smallest elements"},
                              reduction_samples<amin, false>);
constexpr Op kAminmax =
    composed("aminmax", {"y = (min x, max x)", kBoth}, reduction_samples<joined_extrema, false>);
constexpr Op kNansum =
    with_edges(composed("nansum", {"y = Σ x without NaN", "x̄ = ȳ, 0 at NaN"}, nan_samples<nansum>),
               kNansumEdges);
constexpr Op kNanmean =
    composed("nanmean", {"y = mean of x without NaN", "x̄ = ȳ / n, 0 at NaN"}, nan_samples<nanmean>);
constexpr std::string_view kNoNumber = "none: the result is not floating";
constexpr Op kCountNonzero =
    composed("count_nonzero", {"y = the number of x ≠ 0", kNoNumber}, truth_samples<count_nonzero>);
constexpr Op kAny = composed("any", {"y = there is an x ≠ 0", kNoNumber}, truth_samples<any>);
constexpr Op kAll = composed("all", {"y = all x ≠ 0", kNoNumber}, truth_samples<all>);
constexpr Op kTrapezoid =
    composed("trapezoid", {"∫y = Σ (yᵢ + yᵢ₊₁)/2 · (xᵢ₊₁ − xᵢ)", "by the rule of products"},
             trapezoid_samples<trapezoid, trapezoid>);
constexpr Op kCumulativeTrapezoid = composed(
    "cumulative_trapezoid", {"cumsum of (yᵢ + yᵢ₊₁)/2 · (xᵢ₊₁ − xᵢ)", "by the rule of products"},
    trapezoid_samples<cumulative_trapezoid, cumulative_trapezoid>);

}  // namespace

Var var(const Var& x, const Axes& axes, double correction, bool keepdims) {
  return moments(x, axes, correction, keepdims, true).spread;
}
Var stddev(const Var& x, const Axes& axes, double correction, bool keepdims) {
  return moments(x, axes, correction, keepdims, false).spread;
}
Moments var_mean(const Var& x, const Axes& axes, double correction, bool keepdims) {
  return moments(x, axes, correction, keepdims, true);
}
Moments std_mean(const Var& x, const Axes& axes, double correction, bool keepdims) {
  return moments(x, axes, correction, keepdims, false);
}

Var amax(const Var& x, const Axes& axes, bool keepdims) { return max(x, axes, keepdims); }
Var amin(const Var& x, const Axes& axes, bool keepdims) { return min(x, axes, keepdims); }
Extrema aminmax(const Var& x, const Axes& axes, bool keepdims) {
  return {min(x, axes, keepdims), max(x, axes, keepdims)};
}

Var nansum(const Var& x, const Axes& axes, bool keepdims) {
  check_floating("nansum", x);
  return sum(where(not_equal(x, x), 0, x), axes, keepdims);
}
Var nanmean(const Var& x, const Axes& axes, bool keepdims) {
  check_floating("nanmean", x);
  return nansum(x, axes, keepdims) / sum(cast(equal(x, x), x.dtype()), axes, keepdims);
}

Var count_nonzero(const Var& x, const Axes& axes, bool keepdims) {
  return sum(cast(x.dtype() == boolean ? x : not_equal(x, 0), i64), axes, keepdims);
}
Var any(const Var& x, const Axes& axes, bool keepdims) {
  return not_equal(count_nonzero(x, axes, keepdims), 0);
}
Var all(const Var& x, const Axes& axes, bool keepdims) {
  const std::int64_t n = reduced_size("all", x.shape(), axes);
  return equal(count_nonzero(x, axes, keepdims), static_cast<double>(n));
}

Var trapezoid(const Var& y, double dx, std::int64_t axis) {
  return sum(trapezoids("trapezoid", y, dx, axis), axis);
}
Var trapezoid(const Var& y, const Var& x, std::int64_t axis) {
  const Var taped = beside(y, x);
  return sum(trapezoids("trapezoid", taped, beside(x, taped), axis),
             normalize_axis("trapezoid", axis, y.shape()) - y.rank());
}
Var cumulative_trapezoid(const Var& y, double dx, std::int64_t axis) {
  return cumsum(trapezoids("cumulative_trapezoid", y, dx, axis), axis);
}
Var cumulative_trapezoid(const Var& y, const Var& x, std::int64_t axis) {
  const Var taped = beside(y, x);
  return cumsum(trapezoids("cumulative_trapezoid", taped, beside(x, taped), axis),
                normalize_axis("cumulative_trapezoid", axis, y.shape()) - y.rank());
}

namespace families {
Family statistics() {
  return {
      &kVar,    &kStd,     &kVarMean,      &kStdMean, &kAmax, &kAmin,      &kAminmax,
      &kNansum, &kNanmean, &kCountNonzero, &kAny,     &kAll,  &kTrapezoid, &kCumulativeTrapezoid};
}
}  // namespace families

}  // namespace xtape
