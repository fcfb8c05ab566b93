#include <xtape/autodiff/ops/rules.hpp>

#include "support.hpp"

// The op that docs/design.md adds step by step, through all that the registry's ops pass.
namespace xtape {
namespace {

using namespace rules;

// --- the worked example of docs/design.md ---
constexpr Op kBentIdentity =
    unary("bent_identity", [](auto x) { return (std::sqrt(x * x + 1) - 1) / 2 + x; },
          {"y = (√(x² + 1) − 1) / 2 + x", "x̄ = ȳ (x / (2 √(x² + 1)) + 1)"},
          {[](const Vjp& v) {
             const Var x = v.in(0);
             return chain(v.ct, 0.5 * x / sqrt(square(x) + 1) + 1);
           },
           reads_in(0)});

Var bent_identity(const Var& x) { return apply(kBentIdentity, {&x}); }
// --- end ---

}  // namespace

TEST_CASE("the worked example of docs/design.md is a right op", "[docs]") {
  CHECK(bent_identity(Tensor({0, 0.75})).value().str() == "[0, 0.875]");
  Rng rng(1);
  for (const Sample& s : kBentIdentity.samples(Sampler{rng, f64, kBentIdentity})) {
    const GradcheckReport r = gradcheck(s.call, s.inputs, {.order = 2});
    INFO(s.label << '\n' << r);
    CHECK(r.ok());
  }
  REQUIRE_ERROR(bent_identity(Tensor::arange(2)), DTypeError, "[bent_identity] operand i64(2,)");
}

}  // namespace xtape
