#include "adapters.hpp"

// Families of the corpus: unary_trig, unary_exp, unary_misc, binary.
namespace xtape::conformance {

void add_activations(Adapters& a);
void add_comparisons(Adapters& a);

namespace {

using List = std::vector<Var>;

Adapter unary(Var (*f)(const Var&)) {
  return [f](const Call& c) { return List{f(c.operand("input"))}; };
}
Adapter binary(Var (*f)(const Var&, const Var&)) {
  return [f](const Call& c) { return List{f(c.operand("input"), c.operand("other"))}; };
}

void add_unary(Adapters& a) {
  const std::map<std::string, Var (*)(const Var&)> functions = {{"abs", abs},
                                                                {"acos", acos},
                                                                {"acosh", acosh},
                                                                {"asin", asin},
                                                                {"asinh", asinh},
                                                                {"atan", atan},
                                                                {"atanh", atanh},
                                                                {"ceil", ceil},
                                                                {"cos", cos},
                                                                {"cosh", cosh},
                                                                {"deg2rad", deg2rad},
                                                                {"digamma", digamma},
                                                                {"erf", erf},
                                                                {"erfc", erfc},
                                                                {"erfinv", erfinv},
                                                                {"exp", exp},
                                                                {"exp2", exp2},
                                                                {"expm1", expm1},
                                                                {"floor", floor},
                                                                {"frac", frac},
                                                                {"lgamma", lgamma},
                                                                {"log", log},
                                                                {"log10", log10},
                                                                {"log1p", log1p},
                                                                {"log2", log2},
                                                                {"neg", negative},
                                                                {"rad2deg", rad2deg},
                                                                {"reciprocal", reciprocal},
                                                                {"round", round},
                                                                {"rsqrt", rsqrt},
                                                                {"sigmoid", sigmoid},
                                                                {"sign", sign},
                                                                {"sin", sin},
                                                                {"sinc", sinc},
                                                                {"sinh", sinh},
                                                                {"special.entr", entr},
                                                                {"special.erfcx", erfcx},
                                                                {"special.log_ndtr", log_ndtr},
                                                                {"special.ndtr", ndtr},
                                                                {"sqrt", sqrt},
                                                                {"square", square},
                                                                {"tan", tan},
                                                                {"tanh", tanh},
                                                                {"trunc", trunc}};
  for (const auto& [name, f] : functions) a[name] = unary(f);
  a["positive"] = [](const Call& c) { return List{c.operand("input")}; };
  a["clone"] = [](const Call& c) { return List{clone(c.operand("input"))}; };
  a["logit"] = [](const Call& c) { return List{logit(c.operand("input"), c.number("eps"))}; };
  a["nan_to_num"] = [](const Call& c) { return List{nan_to_num(c.operand("input"))}; };
  const auto clamped = [](const Call& c) {
    Var y = c.operand("input");
    const bool low = c.has("min"), high = c.has("max");
    const bool numbers = (!low || c.raw("min").is_number()) && (!high || c.raw("max").is_number());
    const double inf = std::numeric_limits<double>::infinity();
    if (numbers && c.number("min", -inf) <= c.number("max", inf)) {
      return List{clamp(y, c.number("min", -inf), c.number("max", inf))};
    }
    if (low) y = clamp_min(y, c.operand("min"));
    if (high) y = clamp_max(y, c.operand("max"));
    return List{y};
  };
  for (const char* name : {"clamp", "clamp_min", "clamp_max"}) a[name] = clamped;
}

void add_binary(Adapters& a) {
  const std::map<std::string, Var (*)(const Var&, const Var&)> functions = {
      {"add", add},
      {"sub", subtract},
      {"mul", multiply},
      {"atan2", atan2},
      {"copysign", copysign},
      {"fmax", fmax},
      {"fmin", fmin},
      {"fmod", fmod},
      {"hypot", hypot},
      {"logaddexp", logaddexp},
      {"logaddexp2", logaddexp2},
      {"maximum", maximum},
      {"minimum", minimum},
      {"remainder", remainder},
      {"xlogy", xlogy},
      {"special.xlog1py", xlog1py}};
  for (const auto& [name, f] : functions) a[name] = binary(f);
  a["div.no_rounding_mode"] = binary(divide);
  a["div.floor_rounding"] = [](const Call& c) {
    const Var x = c.operand("input"), y = c.operand("other");
    return List{c.has("rounding_mode") ? floor_divide(x, y) : x / y};
  };
  a["div.trunc_rounding"] = [](const Call& c) {
    const Var x = c.operand("input"), y = c.operand("other");
    return List{c.has("rounding_mode") ? trunc_divide(x, y) : x / y};
  };
  a["__rdiv__"] = [](const Call& c) { return List{c.operand("other") / c.operand("input")}; };
  a["rsub"] = [](const Call& c) {
    return List{c.operand("other") - c.number("alpha", 1) * c.operand("input")};
  };
  a["pow"] = [](const Call& c) { return List{pow(c.operand("input"), c.operand("exponent"))}; };
  a["__rpow__"] = [](const Call& c) { return List{pow(c.operand("other"), c.operand("input"))}; };
  a["float_power"] = [](const Call& c) {
    const Var x = c.operand("input");
    const Var y = float_power(x, c.operand("exponent"));
    const bool number = c.raw("input").is_number();
    return List{cast(y, number ? c.operand("exponent").dtype() : x.dtype())};
  };
  a["lerp"] = [](const Call& c) {
    return List{lerp(c.operand("input"), c.operand("end"), c.operand("weight"))};
  };
  a["addcmul"] = [](const Call& c) {
    return List{addcmul(c.operand("input"), c.operand("tensor1"), c.operand("tensor2"),
                        c.number("value", 1))};
  };
  a["addcdiv"] = [](const Call& c) {
    return List{addcdiv(c.operand("input"), c.operand("tensor1"), c.operand("tensor2"),
                        c.number("value", 1))};
  };
  a["masked_fill"] = [](const Call& c) {
    return List{masked_fill(c.operand("input"), c.operand("mask"), c.operand("value"))};
  };
  a["where"] = [](const Call& c) {
    return List{where(c.operand("condition"), c.operand("input"), c.operand("other"))};
  };
}

}  // namespace

void add_pointwise(Adapters& a) {
  add_unary(a);
  add_binary(a);
  add_activations(a);
  add_comparisons(a);
}

}  // namespace xtape::conformance
