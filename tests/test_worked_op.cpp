#include <xtape/autodiff/ops/rules.hpp>

#include "support.hpp"

// The op that docs/design.md adds step by step, through all that the registry's ops pass.
namespace xtape {
namespace {

using namespace rules;

// --- the worked example of docs/design.md ---
struct Softsign {
  template <class T>
  T operator()(T x) const {
    return x / (1 + (x < 0 ? -x : x));
  }
};

constexpr Op kSoftsign = unary<Softsign>(
    "softsign", {"y = x / (1 + |x|)", "x̄ = ȳ / (1 + |x|)²"},
    {[](const Vjp& v) { return chain(v.ct, 1 / square(1 + abs(v.in(0)))); }, reads_in(0)});

Var softsign(const Var& x) { return apply(kSoftsign, {&x}); }
// --- end ---

}  // namespace

TEST_CASE("the worked example of docs/design.md is a right op", "[docs]") {
  CHECK(softsign(Tensor({-3, 1})).value().str() == "[-0.75, 0.5]");
  Rng rng(1);
  for (const Sample& s : kSoftsign.samples(Sampler{rng, f64, kSoftsign})) {
    const GradcheckReport r = gradcheck(s.call, s.inputs, {.order = 2});
    INFO(s.label << '\n' << r);
    CHECK(r.ok());
  }
  REQUIRE_ERROR(softsign(Tensor::arange(2)), DTypeError, "[softsign] operand i64(2,)");
}

}  // namespace xtape
