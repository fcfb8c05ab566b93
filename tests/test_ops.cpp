#include <limits>

#include "support.hpp"

// Values, kinks and errors of single ops: what the registry-driven suite cannot know.
namespace xtape {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

double slope(Var (*f)(const Var&), double at) {
  Tape tape;
  const Var x = tape.variable(Tensor::scalar(at));
  return tape.gradient(f(x), x).item();
}

}  // namespace

TEST_CASE("kinks and ties have the published gradients", "[ops][kinks]") {
  CHECK(slope(relu, 0) == 0);
  CHECK(slope(abs, 0) == 0);
  CHECK(slope(sign, 0) == 0);
  CHECK(slope([](const Var& x) { return maximum(x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return minimum(x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return clamp(x, 0, 1); }, 0) == 0);
  CHECK(slope([](const Var& x) { return clamp(x, 0, 1); }, 1) == 0);
  CHECK(slope([](const Var& x) { return clamp(x, 0, 1); }, 1.1) == 0);
  Tape tape;
  const Var x = tape.variable(Tensor({3, 1, 3, 3}));
  CHECK(identical(tape.gradient(max(x), x), Tensor({1.0 / 3, 0, 1.0 / 3, 1.0 / 3})));
}

TEST_CASE("pow is right at base 0, negative bases and exponent 0", "[ops][kinks]") {
  CHECK(slope([](const Var& x) { return pow(x, 0); }, 0) == 0);
  CHECK(slope([](const Var& x) { return pow(x, 1); }, 0) == 1);
  CHECK(slope([](const Var& x) { return pow(x, 2); }, 0) == 0);
  CHECK(slope([](const Var& x) { return pow(x, 3); }, -2) == 12);
  CHECK(slope([](const Var& x) { return pow(x, -1); }, -2) == -0.25);
  CHECK(slope([](const Var& p) { return pow(0, p); }, 2) == 0);
  CHECK(slope([](const Var& p) { return pow(0, p); }, 0) == 0);
  CHECK(slope([](const Var& p) { return pow(2, p); }, 3) == Approx(8 * std::log(2)));
}

TEST_CASE("gradients of sigmoid, tanh and relu are one op, and 0 where the cotangent is",
          "[ops][kinks]") {
  const double nan = std::nan("");
  for (const DType dtype : {f32, f64}) {
    const Tensor zero({0, 0, 0}, dtype), bad({kInf, -kInf, nan}, dtype);
    for (const auto f : {sigmoid_grad, tanh_grad, relu_grad}) {
      CHECK(identical(f(zero, bad).value(), zero));
      Tape tape;
      const Var c = tape.variable(Tensor({2, 2, 2}, dtype)), y = tape.variable(bad);
      for (const Tensor& g : tape.gradient(f(c, y), {c, y}, {.cotangent = zero})) {
        CHECK(identical(g, zero));
      }
    }
  }
  CHECK(sigmoid_grad(2, Tensor::scalar(0.25)).item() == 0.375);
  CHECK(tanh_grad(2, Tensor::scalar(0.5)).item() == 1.5);
  CHECK(relu_grad(Tensor({2, 2, 2}), Tensor({-1, 0, 1})).value().str() == "[0, 0, 2]");
  const struct {
    Var (*f)(const Var&);
    const char* name;
  } cases[] = {{sigmoid, "sigmoid_grad"}, {tanh, "tanh_grad"}, {relu, "relu_grad"}};
  for (const auto& [f, name] : cases) {
    Tape tape;
    const Var x = tape.variable(Tensor({0.5, 1}));
    const Var y = sum(f(x));
    const std::size_t before = tape.size();
    gradient(y, x);
    CHECK(tape.str().find(name) != std::string::npos);
    CHECK(tape.size() - before <= 3);  // a seed, its broadcast, the op
  }
}

TEST_CASE("softmax and its kin survive infinite and huge logits", "[ops]") {
  for (const DType dtype : {f32, f64}) {
    Tape tape;
    const Var x = tape.variable(Tensor({{1000, 0}, {-kInf, 0}, {-1000, -1000}}, dtype));
    CHECK(softmax(x).value().at({0, 0}) == 1);
    CHECK(softmax(x).value().at({1, 0}) == 0);
    CHECK(log_softmax(x).value().at({0, 1}) == -1000);
    CHECK(logsumexp(x, 1).value().at({0}) == 1000);
    CHECK(logsumexp(x, 1).value().at({2}) == Approx(-1000 + std::log(2)));
    const Tensor g = tape.gradient(sum(logsumexp(x, 1)), x);
    CHECK(g.at({1, 0}) == 0);
    CHECK(g.at({1, 1}) == 1);
    CHECK(g.at({2, 0}) == Approx(0.5));
  }
  Tape tape;
  const Var none = tape.variable(Tensor({-kInf, -kInf}));
  CHECK(logsumexp(none).item() == -kInf);
  CHECK(tape.gradient(logsumexp(none), none).flat(0) == 0);
  CHECK(logsumexp(Tensor({kInf, 1})).item() == kInf);
  CHECK(std::isnan(logsumexp(Tensor({std::nan(""), 1})).item()));
}

TEST_CASE("NaN is never swallowed", "[ops]") {
  const double nan = std::nan("");
  CHECK(std::isnan(max(Tensor({1, nan, 3})).item()));
  CHECK(std::isnan(min(Tensor({nan, 1, 3})).item()));
  CHECK(std::isnan(maximum(Tensor({nan}), 1).item()));
  CHECK(std::isnan(maximum(1, Tensor({nan})).item()));
  CHECK(std::isnan(relu(Tensor({nan})).item()));
  CHECK(std::isnan(sum(Tensor({nan, 1})).item()));
  CHECK(argmax(Tensor({1, nan, 3})).item() == 1);
  for (const auto f : {exp, tanh, sigmoid}) {
    CHECK(std::isnan(f(Tensor({nan}, f32)).item()));
    CHECK(std::isnan(f(Tensor::full({40}, nan)).value().flat(39)));
  }
}

TEST_CASE("f32 functions are right to a few units in the last place", "[ops]") {
  std::vector<float> points;
  for (float x = -110; x < 95; x += 0.0137F) points.push_back(x);
  for (float x = 1e-30F; x < 1; x *= 1.3F) points.insert(points.end(), {x, -x});
  const Tensor x = Tensor::from(points);
  const struct {
    Var (*f)(const Var&);
    double (*exact)(double);
    double ulps;
  } cases[] = {{exp, [](double v) { return std::exp(v); }, 2},
               {tanh, [](double v) { return std::tanh(v); }, 3},
               {sigmoid, [](double v) { return 1 / (1 + std::exp(-v)); }, 4}};
  for (const auto& c : cases) {
    const Tensor y = c.f(x).value();
    double worst = 0;
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const double want = c.exact(static_cast<double>(points[static_cast<std::size_t>(i)]));
      const float rounded = static_cast<float>(want);
      if (std::isinf(rounded)) {
        CHECK(std::isinf(y.flat(i)));
        continue;
      }
      const float next = std::nextafter(std::abs(rounded), INFINITY);
      const double unit = static_cast<double>(next) - static_cast<double>(std::abs(rounded));
      worst = std::max(worst, std::abs(y.flat(i) - want) / unit);
    }
    CHECK(worst <= c.ulps);
  }
}

TEST_CASE("sums are accurate at any length", "[ops]") {
  const Tensor tenth = Tensor::full({10'000'000}, 0.1, f32);
  CHECK(sum(tenth).item() == Approx(1e7 * static_cast<double>(0.1F)).epsilon(1e-7));
  const Tensor columns = Tensor::full({1'000'000, 3}, 0.1, f32);
  CHECK(sum(columns, 0).value().flat(2) == Approx(1e6 * static_cast<double>(0.1F)).epsilon(1e-7));
  CHECK(mean(Tensor::zeros({0})).value().flat(0) != 0);  // NaN
}

TEST_CASE("indexing and joining give NumPy's values", "[ops]") {
  const Tensor x = Tensor::arange(6).reshape({2, 3});
  CHECK(transpose(x).value().str() == "[[0, 3], [1, 4], [2, 5]]");
  CHECK(slice(x, -1, {{}, {}, -2}).value().str() == "[[2, 0], [5, 3]]");
  CHECK(slice(x, {{1, 2}, {-2}}).value().str() == "[[4, 5]]");
  CHECK(slice(x, 1, {5, 9}).shape() == Shape{2, 0});
  CHECK(concat({x, x}, 1).value().str() == "[[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]");
  CHECK(stack({x, x}, -1).shape() == Shape{2, 3, 2});
  CHECK(one_hot(Tensor::arange(2), 3, i64).value().str() == "[[1, 0, 0], [0, 1, 0]]");
  CHECK(argmax(x, 1).value().str() == "[2, 2]");
  CHECK(max(x, 0).value().str() == "[3, 4, 5]");
  CHECK(sum(x, {0, 1}).item() == 15);
  CHECK(where(x > 2, x, -1).value().str() == "[[-1, -1, -1], [3, 4, 5]]");
  CHECK(reshape(x, {3, -1}).value().shares_memory_with(x));
}

TEST_CASE("matmul reads NumPy's shapes", "[ops]") {
  const auto shape = [](const Shape& a, const Shape& b, MatmulOptions o = {}) {
    return matmul(Tensor::ones(a), Tensor::ones(b), o).shape();
  };
  CHECK(shape({3}, {3}) == Shape{});
  CHECK(shape({3}, {3, 2}) == Shape{2});
  CHECK(shape({2, 3}, {3}) == Shape{2});
  CHECK(shape({5, 2, 3}, {3}) == Shape{5, 2});
  CHECK(shape({3}, {5, 3, 2}) == Shape{5, 2});
  CHECK(shape({5, 1, 2, 3}, {4, 3, 6}) == Shape{5, 4, 2, 6});
  CHECK(shape({3, 2}, {4, 3}, {true, true}) == Shape{2, 4});
  CHECK(matmul(Tensor({{1, 2}, {3, 4}}), Tensor({{5, 6}, {7, 8}})).value().str() ==
        "[[19, 22], [43, 50]]");
  Rng rng(1);
  const Tensor a = rng.normal({40, 30}, 0, 1, f64), b = rng.normal({30, 20}, 0, 1, f64);
  const Var flags = matmul(transpose(a), transpose(b), {true, true});
  CHECK(max(abs(flags - matmul(a, b))).item() < 1e-13);
}

TEST_CASE("every way to multiply matrices gives the sum of products", "[ops]") {
  // Tiny loops, GEMV, outer products and GEMM, each with every transpose flag.
  Rng rng(4);
  for (const std::int64_t m : {1, 2, 40}) {
    for (const std::int64_t n : {1, 3, 50}) {
      for (const std::int64_t k : {1, 2, 40}) {
        for (int flags = 0; flags < 4; ++flags) {
          const MatmulOptions o{(flags & 1) != 0, (flags & 2) != 0};
          const Tensor a = rng.normal({m, k}, 0, 1, f64), b = rng.normal({k, n}, 0, 1, f64);
          const Tensor exact = sum(reshape(a, {m, k, 1}) * reshape(b, {1, k, n}), 1).value();
          for (const DType dtype : {f32, f64}) {
            const Var left = cast(o.transpose_a ? transpose(a) : Var(a), dtype);
            const Var right = cast(o.transpose_b ? transpose(b) : Var(b), dtype);
            const Tensor got = cast(matmul(left, right, o), f64).value();
            CAPTURE(m, n, k, flags, name(dtype));
            CHECK(test::relative_difference(got, exact) < (dtype == f32 ? 2e-6 : 1e-13));
          }
        }
      }
    }
  }
}

TEST_CASE("op errors name the op, the shapes or dtypes, and the rule", "[ops][errors]") {
  const Tensor a = Tensor::ones({2, 3}), b = Tensor::ones({4}), d = Tensor::ones({2, 3}, f64);
  const Tensor labels = Tensor::arange(3);
  REQUIRE_ERROR(a + b, ShapeError,
                "[add] shapes (2, 3) and (4,) do not broadcast: axis -1 has extents 3 and 4");
  REQUIRE_ERROR(a * d, DTypeError,
                "[multiply] operands f32(2, 3) and f64(2, 3): dtypes never mix silently");
  REQUIRE_ERROR(sin(labels), DTypeError, "[sin] operand i64(3,): takes f32 or f64");
  REQUIRE_ERROR(labels * 0.5, DTypeError, "would lose its fraction");
  REQUIRE_ERROR((a > 1) + (a > 2), DTypeError, "[add] a boolean operand");
  REQUIRE_ERROR(matmul(a, a), ShapeError,
                "[matmul] shapes (2, 3) and (2, 3): inner extents must agree, 3 ≠ 2");
  REQUIRE_ERROR(matmul(a, Tensor::scalar(1, f32)), ShapeError, "a 0-d operand");
  REQUIRE_ERROR(matmul(b, b, {true, false}), ValueError, "a vector has no transpose");
  REQUIRE_ERROR(sum(a, 2), ShapeError, "[sum] axis 2 of shape (2, 3): must be in [-2, 2)");
  REQUIRE_ERROR(sum(a, {0, -2}), ShapeError, "every axis may stand once only");
  REQUIRE_ERROR(max(Tensor::ones({0})), ShapeError, "[max] shape (0,) has no elements");
  REQUIRE_ERROR(mean(labels), DTypeError, "[mean] operand i64(3,)");
  REQUIRE_ERROR(transpose(a, {0, 0}), ShapeError, "every axis may stand once only");
  REQUIRE_ERROR(transpose(a, {0}), ShapeError, "every axis must stand once");
  REQUIRE_ERROR(broadcast_to(a, {3, 2}), ShapeError, "[broadcast_to]");
  REQUIRE_ERROR(concat({a, Tensor::ones({2, 3, 1})}), ShapeError, "[concat] shapes (2, 3)");
  REQUIRE_ERROR(concat({}), ShapeError, "nothing to join");
  REQUIRE_ERROR(slice(a, 0, {0, 1, 0}), ValueError, "[slice] step 0");
  REQUIRE_ERROR(slice(b, {{}, {}}), ShapeError, "2 slices of shape (4,)");
  REQUIRE_ERROR(where(a, a, a), DTypeError, "[where] the mask is f32");
  REQUIRE_ERROR(one_hot(labels, 2), ValueError, "label 2 at position 2: must be in [0, 2)");
  REQUIRE_ERROR(one_hot(a, 2), DTypeError, "labels are f32");
  REQUIRE_ERROR(clamp(a, 1, 0), ValueError, "low must not exceed high");
  REQUIRE_ERROR(sum_to(a, {2}), ShapeError, "[sum_to]");
  REQUIRE_ERROR(Var() + a, ValueError, "[add] an operand is empty");
}

TEST_CASE("a user's function is differentiated through branches and loops", "[ops][elementwise]") {
  const auto mish = elementwise("mish", [](auto x) { return x * tanh(log1p(exp(x))); });
  Rng rng(2);
  const Tensor x = rng.normal({20}, 0, 2, f64);
  CHECK(gradcheck(mish, {x}, {.order = 2}).ok());
  Tape tape;
  const Var v = tape.variable(x);
  const Var composed = v * tanh(log1p(exp(v)));
  CHECK(max(abs(mish(v) - composed)).item() < 1e-14);
  CHECK(max(abs(tape.gradient(sum(mish(v)), v) - Var(tape.gradient(sum(composed), v)))).item() <
        1e-14);

  const auto power = elementwise("power", [](auto t) {
    auto y = t;
    for (int i = 0; i < 4; ++i) y = y * t;
    return y;  // t⁵
  });
  Tape other;
  const Var t = other.variable(Tensor::scalar(2));
  Var d = power(t);
  for (const double want : {80.0, 160.0, 240.0, 240.0, 120.0, 0.0}) {
    d = gradient(d, t);
    CHECK(d.item() == Approx(want).margin(1e-9));
  }
  d = gradient(gradient(d, t), t);
  REQUIRE_ERROR(gradient(d, t), GradientError, "[power] derivative of order 9");
  CHECK(power(Tensor({2}, f32)).dtype() == f32);
  // An unqualified abs means that of the scalar, never that of int.
  CHECK(elementwise("a", [](auto s) { return abs(s); })(Tensor({-0.5})).item() == 0.5);
}

}  // namespace xtape
