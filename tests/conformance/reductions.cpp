#include <limits>

#include "adapters.hpp"

// Families of the corpus: reduction, softmax, and distance.
namespace xtape::conformance {

void add_scans(Adapters& a);
void add_norms(Adapters& a);

namespace {

using List = std::vector<Var>;
using Reduction = Var (*)(const Var&, const Axes&, bool);

// PyTorch lets a single number have an axis 0, or −1.
Axes axes_of(const Call& c, const Var& x) { return x.rank() == 0 ? Axes() : c.axes("dim"); }

Adapter reduction(Reduction f) {
  return [f](const Call& c) {
    const Var x = c.operand("input");
    return List{f(x, axes_of(c, x), c.flag("keepdim"))};
  };
}

Adapter softmax_like(Var (*f)(const Var&, std::int64_t)) {
  return [f](const Call& c) {
    const Var x = c.operand("input");
    if (x.rank() == 0) return List{reshape(f(reshape(x, {1}), 0), {})};
    return List{f(x, c.integer("dim", -1))};
  };
}

// Of all elements without a dim.
Adapter position(Var (*f)(const Var&, std::int64_t, bool)) {
  return [f](const Call& c) {
    const Var x = c.operand("input");
    if (x.rank() == 0 || !c.has("dim")) return List{f(reshape(x, {x.size()}), 0, false)};
    return List{f(x, c.integer("dim"), c.flag("keepdim"))};
  };
}

List selected(const Call& c, Selected (*f)(const Var&, std::int64_t, bool)) {
  const Var x = c.operand("input");
  const bool number = x.rank() == 0;
  const Selected s =
      number ? f(reshape(x, {1}), 0, false) : f(x, c.integer("dim", -1), c.flag("keepdim"));
  return {s.values, s.indices};
}

double correction(const Call& c) {
  if (c.has("correction")) return c.number("correction");
  return c.flag("unbiased", true) ? 1 : 0;
}

template <Var (*kSpread)(const Var&, const Axes&, double, bool)>
List spread(const Call& c) {
  const Var x = c.operand("input");
  return {kSpread(x, axes_of(c, x), correction(c), c.flag("keepdim"))};
}
template <Moments (*kMoments)(const Var&, const Axes&, double, bool)>
List moments(const Call& c) {
  const Var x = c.operand("input");
  const Moments m = kMoments(x, axes_of(c, x), correction(c), c.flag("keepdim"));
  return {m.spread, m.mean};
}

List aminmax_of(const Call& c) {
  Var x = c.operand("input");
  if (x.rank() == 0 && c.flag("keepdim")) x = reshape(x, {1});
  const Extrema e = aminmax(x, axes_of(c, x), c.flag("keepdim"));
  return {e.min, e.max};
}

List quantile_of(const Call& c) {
  const std::map<std::string, QuantileInterpolation> kinds = {
      {"linear", QuantileInterpolation::linear},
      {"lower", QuantileInterpolation::lower},
      {"higher", QuantileInterpolation::higher},
      {"midpoint", QuantileInterpolation::midpoint},
      {"nearest", QuantileInterpolation::nearest}};
  const Var x = c.operand("input");
  QuantileOptions o{.interpolation = kinds.at(c.text("interpolation", "linear")),
                    .keepdims = c.flag("keepdim")};
  if (c.has("dim") && x.rank() > 0) o.axis = c.integer("dim");
  return {quantile(x, c.operand("q"), o)};
}

List trapezoid_of(const Call& c) {
  const std::int64_t axis = c.integer("dim", -1);
  if (c.has("x")) return {trapezoid(c.operand("y"), c.operand("x"), axis)};
  return {trapezoid(c.operand("y"), c.number("dx", 1), axis)};
}

}  // namespace

void add_reductions(Adapters& a) {
  a["sum"] = reduction(sum);
  a["mean"] = reduction(mean);
  a["prod"] = reduction(prod);
  a["amax"] = reduction(amax);
  a["amin"] = reduction(amin);
  a["any"] = reduction(any);
  a["all"] = reduction(all);
  a["count_nonzero"] = reduction(count_nonzero);
  a["nansum"] = reduction(nansum);
  a["nanmean"] = reduction(nanmean);
  a["logsumexp"] = reduction(logsumexp);
  a["max.reduction_no_dim"] = reduction(max);
  a["min.reduction_no_dim"] = reduction(min);
  a["max.reduction_with_dim"] = [](const Call& c) { return selected(c, max_with_indices); };
  a["min.reduction_with_dim"] = [](const Call& c) { return selected(c, min_with_indices); };
  a["aminmax"] = aminmax_of;
  a["argmax"] = position(argmax);
  a["argmin"] = position(argmin);
  a["var"] = spread<xtape::var>;
  a["std"] = spread<stddev>;
  a["var_mean"] = moments<var_mean>;
  a["std_mean"] = moments<std_mean>;
  a["median"] = [](const Call& c) {
    if (!c.has("dim")) return List{median(c.operand("input"))};
    return selected(c, median);
  };
  a["kthvalue"] = [](const Call& c) {
    const Var x = c.operand("input");
    const bool number = x.rank() == 0;
    const Selected s = kthvalue(number ? reshape(x, {1}) : x, c.integer("k"), c.integer("dim", -1),
                                !number && c.flag("keepdim"));
    return List{s.values, s.indices};
  };
  a["quantile"] = quantile_of;
  a["trapezoid"] = trapezoid_of;
  a["softmax"] = softmax_like(softmax);
  a["log_softmax"] = softmax_like(log_softmax);
  a["nn.functional.softmin"] = softmax_like(softmin);
  add_scans(a);
  add_norms(a);
}

}  // namespace xtape::conformance
