#include "adapters.hpp"

// Families of the corpus: activation, compare.
namespace xtape::conformance {

void add_activations(Adapters& a);
void add_comparisons(Adapters& a);

namespace {
using List = std::vector<Var>;
}  // namespace

void add_activations(Adapters& a) {
  const std::map<std::string, Var (*)(const Var&)> functions = {{"hardsigmoid", hardsigmoid},
                                                                {"hardswish", hardswish},
                                                                {"logsigmoid", log_sigmoid},
                                                                {"mish", mish},
                                                                {"relu", relu},
                                                                {"relu6", relu6},
                                                                {"selu", selu},
                                                                {"silu", silu},
                                                                {"softsign", softsign},
                                                                {"tanhshrink", tanhshrink}};
  const auto named = [](const std::string& name) { return "nn.functional." + name; };
  for (const auto& [name, f] : functions) {
    a[named(name)] = [f = f](const Call& c) { return List{f(c.operand("input"))}; };
  }
  // Functions of one number.
  struct WithNumber {
    Var (*f)(const Var&, double);
    const char* name;
    double otherwise;
  };
  const std::map<std::string, WithNumber> with_number = {
      {"leaky_relu", {leaky_relu, "negative_slope", 0.01}},
      {"elu", {elu, "alpha", 1}},
      {"celu", {celu, "alpha", 1}},
      {"softshrink", {softshrink, "lambd", 0.5}},
      {"hardshrink", {hardshrink, "lambd", 0.5}}};
  for (const auto& [name, w] : with_number) {
    a[named(name)] = [w = w](const Call& c) {
      return List{w.f(c.operand("input"), c.number(w.name, w.otherwise))};
    };
  }
  a[named("gelu")] = [](const Call& c) {
    return List{
        gelu(c.operand("input"), c.text("approximate") == "tanh" ? Gelu::tanh : Gelu::exact)};
  };
  a[named("glu")] = [](const Call& c) {
    return List{glu(c.operand("input"), c.integer("dim", -1))};
  };
  a[named("hardtanh")] = [](const Call& c) {
    const double low = c.number("min_val", -1), high = c.number("max_val", 1);
    const Var x = c.operand("input");
    return List{low <= high ? hardtanh(x, low, high) : clamp(x, Var(low), Var(high))};
  };
  a[named("prelu")] = [](const Call& c) {
    return List{prelu(c.operand("input"), c.operand("weight"))};
  };
  a[named("softplus")] = [](const Call& c) {
    return List{softplus(c.operand("input"), c.number("beta", 1), c.number("threshold", 20))};
  };
  a[named("threshold")] = [](const Call& c) {
    return List{threshold(c.operand("input"), c.number("threshold"), c.number("value"))};
  };
}

void add_comparisons(Adapters& a) {
  const std::map<std::string, Var (*)(const Var&, const Var&)> compare = {
      {"eq", equal},      {"ge", greater_equal}, {"gt", greater},
      {"le", less_equal}, {"lt", less},          {"ne", not_equal}};
  for (const auto& [name, f] : compare) {
    a[name] = [f = f](const Call& c) { return List{f(c.operand("input"), c.operand("other"))}; };
  }
  const auto mask = [](const Call& c, const char* name) { return cast(c.operand(name), boolean); };
  a["logical_and"] = [mask](const Call& c) {
    return List{logical_and(mask(c, "input"), mask(c, "other"))};
  };
  a["logical_or"] = [mask](const Call& c) {
    return List{logical_or(mask(c, "input"), mask(c, "other"))};
  };
  a["logical_not"] = [mask](const Call& c) { return List{logical_not(mask(c, "input"))}; };
  a["isnan"] = [](const Call& c) { return List{is_nan(c.operand("input"))}; };
  a["isinf"] = [](const Call& c) { return List{is_inf(c.operand("input"))}; };
  a["isfinite"] = [](const Call& c) { return List{is_finite(c.operand("input"))}; };
  a["isclose"] = [](const Call& c) {
    return List{is_close(c.operand("input"), c.operand("other"),
                         {.rtol = c.number("rtol", 1e-5),
                          .atol = c.number("atol", 1e-8),
                          .equal_nan = c.flag("equal_nan")})};
  };
}

}  // namespace xtape::conformance
