#include <cstring>

#include <xtape/autodiff/calculus.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {

struct CustomFunction::Definition {
  std::string name;
  Function f;
  std::vector<CustomRule> rules;
};

namespace {

using namespace rules;

constexpr std::size_t kMaxInputs = 30;  // bits of VjpRule::reads, less the output and y

struct CustomAttrs {
  std::shared_ptr<const CustomFunction::Definition> definition;
  std::string str() const { return definition->name; }
  bool operator==(const CustomAttrs&) const = default;
};

// Input 0 is what f computed from the inputs cut off: gradients of what f captured go that way.
Var custom_rule(const Vjp& v) {
  if (v.arg == 0) return v.ct;
  const auto& d = *v.attrs<CustomAttrs>().definition;
  std::vector<Var> in;
  for (std::size_t i = 0; i < d.rules.size(); ++i) in.push_back(v.in(static_cast<int>(i) + 1));
  const Spec want = v.in_spec();
  const CustomRule& rule = d.rules[static_cast<std::size_t>(v.arg) - 1];
  if (!rule) return Tensor::zeros(want.shape, want.dtype);
  const Var out = v.out();
  const Var g = rule({v.ct, in, out});
  if (!g.defined()) return Tensor::zeros(want.shape, want.dtype);
  if (g.value().spec() == want) return g;
  throw GradientError(d.name, "the rule of input " + std::to_string(v.arg - 1) + " returns " +
                                  name(g.dtype()) + g.shape().str() + " for an input " +
                                  name(want.dtype) + want.shape.str() + ": they must be equal");
}

std::vector<Sample> custom_samples(const Sampler& s) {
  static const CustomFunction f =
      custom_vjp("product", [](std::span<const Var> x) { return x[0] * sin(x[1]); },
                 {[](const CustomVjp& v) { return v.ct * sin(v.in[1]); },
                  [](const CustomVjp& v) { return v.ct * v.in[0] * cos(v.in[1]); }});
  static const CustomFunction g =
      custom_vjp("exponential", [](std::span<const Var> x) { return exp(x[0]); },
                 {[](const CustomVjp& v) { return v.ct * v.out; }});
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{2, 1, 2, 2}, Shape{0}}) {
    out.push_back({shape.str(), {s.draw(shape), s.draw(shape)}, [](std::span<const Var> in) {
                     return f(in);
                   }});
    out.push_back({shape.str() + " by its output", {s.draw(shape)}, [](std::span<const Var> in) {
                     return g(in);
                   }});
  }
  return out;
}

constexpr Op kCustom{
    .name = "custom_vjp",
    .math = "y = f(x₁, x₂, …)",
    .gradient = "x̄ᵢ by the rules given with f",
    .arity = -1,
    .infer = [](const InferArgs& a) { return *a.in[0]; },
    .kernel = [](const KernelArgs& a) { std::memcpy(a.out, a.in[0].data, a.spec.nbytes()); },
    .vjp = {{custom_rule, ~std::uint32_t{0}}},
    .aliases = true,
    .samples = custom_samples};

}  // namespace

CustomFunction::CustomFunction(std::string name, Function f, std::vector<CustomRule> rules)
    : definition_(std::make_shared<const Definition>(
          Definition{std::move(name), std::move(f), std::move(rules)})) {
  if (definition_->rules.size() > kMaxInputs) {
    throw ValueError("custom_vjp", std::to_string(definition_->rules.size()) + " inputs: at most " +
                                       std::to_string(kMaxInputs));
  }
}

Var CustomFunction::operator()(std::span<const Var> xs) const {
  const Definition& d = *definition_;
  if (xs.size() != d.rules.size()) {
    throw ValueError(d.name, "got " + std::to_string(xs.size()) + " inputs and has " +
                                 std::to_string(d.rules.size()) +
                                 " rules: give one rule for each input, empty for no gradient");
  }
  std::vector<Var> joined(xs.begin(), xs.end()), inside;
  for (Var& x : joined) {
    for (const Var& other : xs) x = beside(x, other);
  }
  for (const Var& x : joined) inside.push_back(x.tape() ? stop_gradient(x) : x);
  const Var y = d.f(inside);
  std::vector<const Var*> in{&y};
  for (const Var& x : joined) in.push_back(&x);
  return apply(kCustom, in, make_attrs(CustomAttrs{definition_}));
}

CustomFunction custom_vjp(std::string name, Function f, std::vector<CustomRule> rules) {
  return CustomFunction(std::move(name), std::move(f), std::move(rules));
}

namespace families {
Family custom() { return {&kCustom}; }
}  // namespace families

}  // namespace xtape
