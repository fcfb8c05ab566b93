#include <xtape/autodiff/gradcheck_catch.hpp>
#include <xtape/autodiff/ops/rules.hpp>

#include "support.hpp"

// The checker checked: gradcheck must fail on rules that are wrong in the ways rules are wrong.
namespace xtape {
namespace {

struct Cube {
  template <class T>
  T operator()(T x) const {
    return x * x * x;
  }
};
struct Product {
  template <class T>
  T operator()(T a, T b) const {
    return a * b;
  }
};

constexpr auto kIn0 = reads_in(0), kIn1 = reads_in(1);

constexpr Op cube(Var (*rule)(const Vjp&)) {
  return rules::unary<Cube>("cube", {"y = x³", "3 x² ȳ"}, {rule, kIn0});
}

constexpr Op kRight = cube([](const Vjp& v) { return chain(v.ct, 3 * square(v.in(0))); });
constexpr Op kOff = cube([](const Vjp& v) { return chain(v.ct, 3.003 * square(v.in(0))); });
constexpr Op kSign = cube([](const Vjp& v) { return chain(v.ct, -3 * square(v.in(0))); });
constexpr Op kDropped = cube([](const Vjp& v) { return chain(v.ct, 2 * square(v.in(0))); });
constexpr Op kNan = cube([](const Vjp& v) { return v.ct * std::nan(""); });
// Right at order 1, but the factor x² no longer depends on x for the second.
constexpr Op kFrozenSecond =
    cube([](const Vjp& v) { return chain(v.ct, 3 * square(no_grad(v.in(0)))); });
// A product whose rule forgets that operands broadcast.
constexpr Op forgetful() {
  Op op = rules::binary<Product>("product", {"y = a b", ""},
                                 {[](const Vjp& v) { return chain(v.ct, v.in(1)); }, kIn1},
                                 {[](const Vjp& v) { return chain(v.ct, v.in(0)); }, kIn0});
  op.broadcasts = false;
  return op;
}
constexpr Op kForgetful = forgetful();
constexpr Op kUndeclared =
    rules::unary<Cube>("cube", {"y = x³", ""}, {[](const Vjp& v) { return v.ct * v.in(0); }, 0});

GradcheckReport check(const Op& op, int order = 1) {
  return gradcheck([&op](const Var& x) { return apply(op, {&x}); }, {Tensor({0.3, -1.2, 2.0})},
                   {.order = order});
}

}  // namespace

TEST_CASE("gradcheck passes a right rule at both orders", "[checker]") {
  CHECK(check(kRight).ok());
  CHECK(check(kRight, 2).ok());
}

TEST_CASE("gradcheck catches a rule wrong by 0.1 %, in sign, in a term, and NaN", "[checker]") {
  CHECK_FALSE(check(kOff).ok());
  CHECK_FALSE(check(kSign).ok());
  CHECK_FALSE(check(kDropped).ok());
  CHECK_FALSE(check(kNan).ok());
}

TEST_CASE("gradcheck catches a wrong second order", "[checker]") {
  CHECK(check(kFrozenSecond, 1).ok());
  const GradcheckReport r = check(kFrozenSecond, 2);
  CHECK_FALSE(r.ok());
  CHECK(r.entries.size() == 2);
  CHECK(r.entries[0].failed == 0);
  CHECK(r.entries[1].failed == 3);
}

TEST_CASE("a missing un-broadcast and an undeclared read are internal errors", "[checker]") {
  Tape tape;
  const Var a = tape.variable(Tensor({1, 2, 3})), b = tape.variable(Tensor({{1}, {2}}));
  REQUIRE_ERROR(tape.gradient(sum(apply(kForgetful, {&a, &b})), a), Error, "[product] internal");
  REQUIRE_ERROR(check(kUndeclared), Error, "without declaring it");
}

TEST_CASE("gradcheck tells kinks from errors", "[checker]") {
  const auto at_kink = [](const Var& x) { return abs(x) + x; };
  const GradcheckReport r = gradcheck(at_kink, {Tensor({0.0, 1.0})});
  CHECK(r.ok());
  CHECK(r.entries[0].kinks == 1);
  CHECK(r.str().find("1 kink") != std::string::npos);
  // A gradient outside the slopes on both sides is wrong also at a kink.
  const auto wrong = elementwise("wrong", [](auto x) -> decltype(x) {
    if (x > 0.0) return x;
    if (x < 0.0) return -x;
    return x * 5;
  });
  CHECK_FALSE(gradcheck(wrong, {Tensor({0.0})}).ok());
}

TEST_CASE("gradcheck sees functions that are not deterministic", "[checker]") {
  Rng rng(1);
  const GradcheckReport r =
      gradcheck([&](const Var& x) { return sum(x) * rng.uniform(); }, {Tensor({1.0, 2.0})});
  CHECK_FALSE(r.ok());
  CHECK(r.str().find("not deterministic") != std::string::npos);
}

TEST_CASE("gradcheck covers unchosen elements by a random direction", "[checker]") {
  // Wrong in one element of a hundred: full checks find it, and so does the direction.
  static const Tensor mask = [] {
    Tensor m = Tensor::ones({100}, f64);
    m.mutable_data<double>()[57] = 1.01;
    return m;
  }();
  static constexpr Op op =
      cube([](const Vjp& v) { return chain(v.ct, 3 * square(v.in(0)) * mask); });
  const auto f = [](const Var& x) { return apply(op, {&x}); };
  Rng rng(3);
  const Tensor x = rng.normal({100}, 1, 0.1, f64);
  CHECK(gradcheck(f, {x}).entries[0].failed == 1);
  CHECK(gradcheck(f, {x}).entries[0].worst == 57);
  const GradcheckReport sampled = gradcheck(f, {x}, {.max_elements = 1});
  CHECK(sampled.entries[0].checked == 1);
  CHECK(sampled.entries[0].direction_failed);
}

TEST_CASE("gradcheck refuses f32", "[checker]") {
  REQUIRE_ERROR(gradcheck([](const Var& x) { return sum(x); }, {Tensor({1.0}, f32)}), DTypeError,
                "write x.to(f64)");
}

TEST_CASE("gradcheck_parameters restores the parameters", "[checker]") {
  Parameter w(Tensor({{1, 2}, {3, 4}}), "w");
  const Tensor before = w.value();
  const Tensor x({{0.5, -1}});
  const auto loss = [&](Tape& t) { return sum(square(matmul(t.input(x), w))); };
  CHECK(gradcheck_parameters(loss, {w}, {.order = 2}).ok());
  CHECK(identical(w.value(), before));
}

TEST_CASE("gradgradcheck, the Catch2 matcher, and both sides of a kink", "[gradcheck]") {
  REQUIRE_THAT(gradgradcheck([](const Var& x) { return x * sin(x); }, {Tensor{0.5, 2}}),
               PassesGradcheck());
  const auto wrong = custom_vjp("wrong", [](std::span<const Var> x) { return sin(x[0]); },
                                {[](const CustomVjp& v) { return v.ct * no_grad(cos(v.in[0])); }});
  const GradcheckReport r =
      gradgradcheck([&](const Var& x) { return wrong({x}); }, {Tensor{0.5, 2}});
  CHECK_FALSE(r);  // right at first order, constant at second
  CHECK(r.entries[0].failed == 0);
  CHECK(r.entries[1].failed == 2);
  CHECK_FALSE(PassesGradcheck().match(r));
  const GradcheckReport kink =
      gradcheck([](const Var& x) { return leaky_relu(x, 0.25); }, {Tensor{0.}});
  CHECK(kink.entries[0].worst_is_kink);
  // Both of the output's random weight times the function.
  CHECK(kink.entries[0].left == Approx(0.25 * kink.entries[0].right));
  CHECK(kink.str().find("(kink: ") != std::string::npos);
}

}  // namespace xtape
