#include "support.hpp"

// Special values and errors of the elementwise functions.
namespace xtape {
namespace {

const double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

template <class F>
double slope(F f, double at) {
  Tape tape;
  const Var x = tape.variable(Tensor::scalar(at));
  return tape.gradient(f(x), x).item();
}

double value(const Var& y) { return y.item(); }
Tensor t(double x) { return Tensor::scalar(x); }

}  // namespace

TEST_CASE("relu has one gradient at 0, however it is written", "[pointwise][kinks]") {
  CHECK(slope([](const Var& x) { return relu(x); }, 0) == 0);
  CHECK(slope([](const Var& x) { return maximum(x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return maximum(Tensor::scalar(0), x); }, 0) == 0);
  CHECK(slope([](const Var& x) { return -minimum(-x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return clamp(x, 0, kInf); }, 0) == 0);
  CHECK(slope([](const Var& x) { return clamp_min(x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return where(x > 0, x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return threshold(x, 0, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return hardtanh(x, 0, kInf); }, 0) == 0);
  CHECK(slope([](const Var& x) { return leaky_relu(x, 0); }, 0) == 0);
  // Programs, too, where operands are recorded.
  Program p = compile([](const Var& x) { return gradient(sum(maximum(x, 0)), x); }, {{{3}, f64}});
  CHECK(identical(p(Tensor{-1, 0, 1}), Tensor{0, 0, 1}));
  // Two recorded operands share; their sum is one.
  Tape tape;
  const Var a = tape.variable(t(2)), b = tape.variable(t(2));
  for (const auto f : {maximum, minimum, fmax, fmin}) {
    const auto g = tape.gradient(f(a, b), {a, b});
    CHECK(g[0].item() == 0.5);
    CHECK(g[1].item() == 0.5);
  }
}

TEST_CASE("special functions against known values", "[pointwise]") {
  CHECK(value(lgamma(t(10))) == Approx(std::log(362880.0)).epsilon(1e-14));
  CHECK(value(digamma(t(1))) == Approx(-0.57721566490153286).epsilon(1e-14));
  CHECK(value(digamma(t(-0.5))) == Approx(0.03648997397857652).epsilon(1e-13));
  CHECK(value(polygamma(1, t(1))) == Approx(1.6449340668482264).epsilon(1e-14));
  CHECK(value(polygamma(2, t(1))) == Approx(-2.4041138063191886).epsilon(1e-14));
  CHECK(value(polygamma(3, t(0.5))) == Approx(97.40909103400244).epsilon(1e-13));
  CHECK(value(erfcx(t(30))) == Approx(0.018795888861416751).epsilon(1e-13));
  CHECK(value(erfcx(t(-1))) == Approx(5.0089800807622833).epsilon(1e-13));
  CHECK(value(log_ndtr(t(-40))) == Approx(-804.60844201375379).epsilon(1e-13));
  for (const double x : {-0.999999, -0.5, -1e-9, 0.0, 0.3, 0.9, 0.9999999999}) {
    CHECK(std::erf(value(erfinv(t(x)))) == Approx(x).epsilon(1e-13));
  }
  CHECK(value(erfinv(t(1))) == kInf);
  CHECK(value(digamma(t(0))) == -kInf);
  CHECK(std::isnan(value(digamma(t(-3)))));
  CHECK(value(sinc(t(0))) == 1);
}

TEST_CASE("sinc is smooth at 0 to every order", "[pointwise]") {
  // The Taylor series of sin(πx)/(πx): derivatives 0, −π²/3, 0, π⁴/5.
  const double pi = 3.14159265358979323846;
  const double expected[] = {1, 0, -pi * pi / 3, 0, std::pow(pi, 4) / 5};
  Tape tape;
  const Var x = tape.variable(t(0));
  Var y = sinc(x);
  for (const double e : expected) {
    CHECK(value(y) == Approx(e).margin(1e-12));
    y = gradient(y, x);
  }
}

TEST_CASE("overflow, infinities and NaN", "[pointwise]") {
  CHECK(value(hypot(t(1e200), t(1e200))) == Approx(std::sqrt(2) * 1e200));
  CHECK(value(logaddexp(t(1000), t(1000))) == Approx(1000 + std::log(2)));
  CHECK(value(logaddexp(t(kInf), t(-kInf))) == kInf);
  CHECK(value(logaddexp(t(-kInf), t(-kInf))) == -kInf);
  CHECK(value(log_sigmoid(t(-1000))) == -1000);
  CHECK(value(softplus(t(-1000), 2)) == 0);
  CHECK(value(elu(t(-1000))) == -1);
  CHECK(value(fmax(t(kNan), t(1))) == 1);
  CHECK(std::isnan(value(maximum(t(kNan), t(1)))));
  CHECK(std::isnan(value(clamp_min(t(kNan), 0))));
  CHECK(std::isnan(value(softshrink(t(kNan)))));
  CHECK(slope([](const Var& x) { return logaddexp(x, x); }, kInf) == 1);
  CHECK(slope([](const Var& x) { return silu(x); }, 1000) == 1);
  CHECK(slope([](const Var& x) { return asinh(x); }, 1e200) == Approx(1e-200));
  CHECK(identical(nan_to_num(Tensor{kNan, kInf, -kInf, 2}, 1, 8, 9).value(), Tensor{1, 8, 9, 2}));
  CHECK(nan_to_num(Tensor({kInf}, f32)).value().item() ==
        static_cast<double>(std::numeric_limits<float>::max()));
}

TEST_CASE("division with a remainder adds up", "[pointwise]") {
  const Tensor a{7, -7, 7, -7, 5.5, 6}, b{3, 3, -3, -3, 0.5, -3};
  CHECK(identical(remainder(a, b).value(), Tensor{1, 2, -2, -1, 0, 0}));
  CHECK(identical(fmod(a, b).value(), Tensor{1, -1, 1, -1, 0, 0}));
  CHECK(identical((floor_divide(a, b) * b + remainder(a, b)).value(), a));
  CHECK(identical((trunc_divide(a, b) * b + fmod(a, b)).value(), a));
  CHECK(identical(round(Tensor{0.5, 1.5, 2.5, -0.5}).value().reshape({4}).to(i64),
                  Tensor{0, 2, 2, 0}.to(i64)));
}

TEST_CASE("wrong arguments are refused by name", "[pointwise]") {
  const Var x = Tensor{1, 2, 3};
  REQUIRE_ERROR(tan(Tensor::arange(3)), DTypeError, "[tan] operand i64(3,)");
  REQUIRE_ERROR(hypot(x, Tensor({1, 2}, f64)), ShapeError, "[hypot]");
  REQUIRE_ERROR(logit(x, 0.7), ValueError, "must be in [0, 0.5]");
  REQUIRE_ERROR(polygamma(-1, x), ValueError, "order -1");
  REQUIRE_ERROR(glu(x), ShapeError, "extent 3 of shape (3,)");
  REQUIRE_ERROR(softshrink(x, -1), ValueError, "lambda -1");
  REQUIRE_ERROR(celu(x, 0), ValueError, "alpha 0");
  REQUIRE_ERROR(logical_and(x, x), DTypeError, "[logical_and] an operand is f64");
  REQUIRE_ERROR(prelu(Tensor({{1., 2.}, {3., 4.}}), x), ShapeError, "2 channels on axis 1");
  REQUIRE_ERROR(hardtanh(x, 1, -1), ValueError, "low must not exceed high");
}

}  // namespace xtape
