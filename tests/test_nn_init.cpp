#include "support.hpp"

namespace xtape {
namespace {

Tensor draw(const nn::Initializer& init, const Shape& shape, nn::Fans fans = {300, 200}) {
  Rng rng(1);
  return init.draw(shape, fans, f64, rng);
}
double deviation(const Tensor& t) { return std::sqrt(mean(square(t)).item()); }

}  // namespace

TEST_CASE("spreads follow fan, gain and distribution", "[nn][init]") {
  const Shape big{200, 300};
  const auto check = [&](const nn::Initializer& init, double expected) {
    INFO(init.name);
    CHECK(deviation(draw(init, big)) == Approx(expected).epsilon(0.02));
  };
  check(nn::he_normal(nn::Fan::out), std::sqrt(2.0 / 200));
  check(nn::he_uniform(nn::Fan::average), std::sqrt(2.0 / 250));
  check(nn::xavier_uniform(nn::gain("tanh")), 5.0 / 3 * std::sqrt(1.0 / 250));
  check(nn::lecun_normal(), std::sqrt(1.0 / 300));
  check(nn::lecun_uniform(), std::sqrt(1.0 / 300));
  check(nn::variance_scaling(2, nn::Fan::out, nn::Spread::truncated_normal), 2 / std::sqrt(200.0));
  check(nn::initializer("xavier_normal:2"), 2 * std::sqrt(1.0 / 250));
  const Tensor cut = draw(nn::variance_scaling(2, nn::Fan::out, nn::Spread::truncated_normal), big);
  CHECK(max(abs(cut)).item() <= 2 * 2 / std::sqrt(200.0) / 0.8796 * 1.001);
  CHECK(nn::gain("relu") == Approx(std::sqrt(2.0)));
  CHECK(nn::gain("leaky_relu", 1) == Approx(1));
  CHECK(nn::gain("selu") == 0.75);
  CHECK(nn::gain("sigmoid") == 1);
  REQUIRE_ERROR(nn::xavier_normal(0), ValueError, "gain 0");
}

TEST_CASE("truncated normal numbers stay between their bounds", "[nn][init]") {
  const Tensor t = draw(nn::truncated_normal(1, 2, 0, 3), {100, 100});
  CHECK(min(t).item() >= 0);
  CHECK(max(t).item() <= 3);
  CHECK(min(t).item() < 0.05);
  CHECK(max(t).item() > 2.95);
  // E = μ + σ (φ(a) − φ(b))/(Φ(b) − Φ(a)) with a = −½, b = 1.
  CHECK(mean(t).item() ==
        Approx(1 + 2 * (0.352065 - 0.241971) / (0.841345 - 0.308538)).epsilon(0.01));
  REQUIRE_ERROR(nn::truncated_normal(0, 1, 2, 2), ValueError, "must not be empty");
}

TEST_CASE("orthogonal matrices are", "[nn][init]") {
  for (const Shape& s : {Shape{40, 60}, Shape{60, 40}, Shape{30, 30}, Shape{8, 3, 3, 3}}) {
    const Tensor w = draw(nn::orthogonal(2), s).reshape({s[0], -1});
    const bool wide = w.shape()[0] <= w.shape()[1];
    const Var product =
        wide ? matmul(w, w, {.transpose_b = true}) : matmul(w, w, {.transpose_a = true});
    const std::int64_t n = product.shape()[0];
    const Tensor identity = draw(nn::identity(), {n, n});
    CHECK(max(abs(product - identity * 4)).item() < 1e-13);
  }
  REQUIRE_ERROR(draw(nn::orthogonal(), {3}), ShapeError, "of rank 2 or more");
}

TEST_CASE("identity, dirac and sparse are what they say", "[nn][init]") {
  CHECK(identical(draw(nn::identity(), {2, 3}), Tensor({{1, 0, 0}, {0, 1, 0}})));
  const Tensor x = Rng(3).normal({2, 4, 5, 5}, 0, 1, f64);
  const Tensor w = draw(nn::dirac(), {4, 4, 3, 3});
  CHECK(identical(conv2d(x, w, {}, {.padding = 1}).value(), x));
  const Tensor g = draw(nn::dirac(2), {4, 2, 3, 3});
  CHECK(identical(conv2d(x, g, {}, {.padding = 1, .groups = 2}).value(), x));
  const Tensor s = draw(nn::sparse(0.75), {40, 30});
  const Tensor zeros = sum(cast(equal(s, 0), f64), 0).value();
  CHECK(identical(zeros, Tensor::full({30}, 30, f64)));
  CHECK(deviation(s) == Approx(0.005).epsilon(0.1));
  REQUIRE_ERROR(nn::sparse(2), ValueError, "sparsity 2");
  REQUIRE_ERROR(draw(nn::dirac(3), {4, 2, 3}), ShapeError, "groups that divide");
}

TEST_CASE("initialisers are known by name", "[nn][init]") {
  for (const char* text : {"zeros", "ones", "xavier_uniform", "he_normal", "lecun_uniform",
                           "orthogonal:2", "identity", "sparse:0.5", "sparse:0.5:1", "normal",
                           "normal:0:2", "truncated_normal", "truncated_normal:0:1:-1:1"}) {
    INFO(text);
    CHECK(draw(nn::initializer(text), {4, 4}).size() == 16);
  }
  CHECK(draw(nn::initializer("normal:3:0"), {2, 2}).flat(0) == 3);
  REQUIRE_ERROR(nn::initializer("sparse"), ParseError, "write sparse:PART[:STDDEV]");
  REQUIRE_ERROR(nn::initializer("zeros:1"), ParseError, "write zeros");
}

}  // namespace xtape
