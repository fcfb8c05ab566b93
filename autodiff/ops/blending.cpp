#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// Sums of three operands.
namespace xtape {
namespace {

using namespace rules;

template <Var (*f)(const Var&, const Var&, const Var&)>
std::vector<Sample> ternary_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& a, const Shape& b, const Shape& c) {
    out.push_back({a.str() + b.str() + c.str(),
                   {s.draw(a), s.draw(b), s.draw(c)},
                   [](std::span<const Var> in) { return f(in[0], in[1], in[2]); }});
  };
  add({}, {}, {});
  add({4}, {4}, {4});
  add({2, 3}, {3}, {2, 1});
  add({3}, {2, 1}, {});
  add({0}, {0}, {1});
  return out;
}

Var twice_product(const Var& x, const Var& a, const Var& b) { return addcmul(x, a, b, 2); }
Var twice_quotient(const Var& x, const Var& a, const Var& b) { return addcdiv(x, a, b, 2); }

constexpr Op kLerp = composed(
    "lerp", {"y = a + w (b − a)", "ā = (1 − w) ȳ, b̄ = w ȳ, w̄ = (b − a) ȳ"}, ternary_samples<lerp>);
constexpr Op kAddcmul = composed("addcmul", {"y = x + s a b", "x̄ = ȳ, ā = s ȳ b, b̄ = s ȳ a"},
                                 ternary_samples<twice_product>);
constexpr Op kAddcdiv =
    avoiding(composed("addcdiv", {"y = x + s a / b", "x̄ = ȳ, ā = s ȳ / b, b̄ = −s ȳ a / b²"},
                      ternary_samples<twice_quotient>),
             0);

}  // namespace

Var lerp(const Var& a, const Var& b, const Var& w) {
  const Var from = beside(beside(a, b), w), to = beside(b, from);
  return multiply_add(beside(w, from), to - from, from);
}
Var addcmul(const Var& x, const Var& a, const Var& b, double scale) {
  const Var first = beside(beside(a, b), x);
  return x + scale * (first * b);
}
Var addcdiv(const Var& x, const Var& a, const Var& b, double scale) {
  const Var first = beside(beside(a, b), x);
  return x + scale * (first / b);
}

namespace families {
Family blending() { return {&kLerp, &kAddcmul, &kAddcdiv}; }
}  // namespace families

}  // namespace xtape
