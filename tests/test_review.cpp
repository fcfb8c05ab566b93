#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>

#include <xtape/autodiff/xtensor.hpp>

#include "support.hpp"

// What independent readers found wrong in the first version, so that it stays right.
namespace xtape {

TEST_CASE("a parameter has one node per tape, or none is taken", "[review][errors]") {
  Parameter w(Tensor({1.0}), "w");
  Tape tape;
  const Var a = square(tape.parameter(w));
  w.assign(Tensor({3.0}));
  REQUIRE_ERROR(tape.parameter(w), TapeError, "'w' was modified (or frozen) after it joined");
  REQUIRE_ERROR(a + w, TapeError, "'w' was modified");
  Tape other;
  const Var b = sum(square(other.parameter(w)));
  w.freeze();
  REQUIRE_ERROR(b * w, TapeError, "'w' was modified (or frozen)");
  w.freeze(false);
  CHECK(other.gradient(b, w).item() == 6);
}

TEST_CASE("unconnected targets get zeros and leave the tape as it was", "[review]") {
  Parameter p(Tensor({2.0}), "p"), frozen(Tensor({3.0}), "frozen"), unused(Tensor({4.0}), "unused");
  frozen.freeze();
  Tape tape;
  const Var x = tape.variable(Tensor({5.0}));
  const Var y = sum(x * p * frozen);
  const std::uint32_t before = tape.size();
  const auto g = tape.gradient(y, {p, frozen, unused}, {.unconnected = Unconnected::zero});
  CHECK(g[0].item() == 15);
  CHECK(g[1].item() == 0);
  CHECK(g[2].item() == 0);
  CHECK(tape.size() == before);
  // The gradient of something linear is a constant: its own gradient is 0 on request.
  REQUIRE_ERROR(gradient(p, p, {.unconnected = Unconnected::zero}), TapeError, "a parameter alone");
  const Var slope = gradient(sum(x), x);
  CHECK(gradient(sum(slope), x, {.unconnected = Unconnected::zero}).item() == 0);
  REQUIRE_ERROR(gradient(sum(slope), x), TapeError, "on no tape");
}

TEST_CASE("functions of several operations take parameters beside taped values", "[review]") {
  const Parameter p(Tensor({0.3, 0.6}), "p");
  Tape tape;
  const Var x = tape.variable(Tensor({0.2, 0.9}));
  CHECK(tape.gradient(matmul(x, p), p, {.keep_tape = true}).flat(1) == 0.9);
  CHECK(tape.gradient(sum(stack({p, x})), p).flat(0) == 1);
  CHECK(stack({p, no_grad(Tensor({1.0, 2.0}))}).shape() == Shape{2, 2});
  CHECK(tape.gradient(nn::binary_cross_entropy(x, p), {x, p}).size() == 2);
  CHECK(tape.gradient(nn::mse_loss(p, x), {p, x}).size() == 2);
}

TEST_CASE("operators of Var win over those of xtensor", "[review]") {
  const xt::xarray<double> d{1, 2, 3};
  Tape tape;
  const Var x = tape.variable(d);
  const Var y = x * d + (d - x) / d - Tensor({1, 1, 1}) * (2.0 * d);
  CHECK(sum(x * d).item() == 14);
  CHECK(sum(d * x).item() == 14);
  CHECK((x < xt::xarray<double>{2, 2, 2}).dtype() == boolean);
  CHECK(tape.gradient(sum(y), x).flat(1) == Approx(2 - 0.5));
}

TEST_CASE("labels of a single output are 0 and 1", "[review][loss]") {
  const Tensor p({{.1}, {.2}}), zeros = Tensor({0, 0}).to(i64), mixed = Tensor({1, 0}).to(i64);
  CHECK(nn::binary_cross_entropy(p, zeros).item() == Approx(-(std::log(.9) + std::log(.8)) / 2));
  CHECK(nn::mse_loss(p, mixed).item() == Approx((.81 + .04) / 2));
  REQUIRE_ERROR(nn::mse_loss(p, Tensor({0, 2}).to(i64)), ValueError, "labels must be 0 or 1");
  REQUIRE_ERROR(nn::cross_entropy(p, zeros), ShapeError, "with one class it is always 0");
}

TEST_CASE("losses are precise and differentiable in their targets", "[review][loss]") {
  const Tensor z({15.0, -15.0, 40.0}), t({1.0, 0.0, 1.0});
  const Tensor each = nn::binary_cross_entropy_with_logits(z, t, nn::Reduction::none).value();
  CHECK(each.flat(0) == Approx(std::log1p(std::exp(-15))).epsilon(1e-14));
  CHECK(each.flat(2) == Approx(std::exp(-40)).epsilon(1e-14));
  const Tensor far({INFINITY, -INFINITY});
  CHECK(nn::binary_cross_entropy_with_logits(far, Tensor({1.0, 0.0})).item() == 0);
  Tape tape;
  const Var soft = tape.variable(Tensor({{1, 0, 0}}));
  const Tensor g = tape.gradient(nn::cross_entropy(Tensor({{1., 2., 3.}}), soft), soft);
  CHECK(g.flat(0) == Approx(2.40760596));
  CHECK(g.flat(1) == Approx(1.40760596));
}

TEST_CASE("pow has a symmetric Hessian at exponent 0", "[review]") {
  Tape tape;
  const Var x = tape.variable(Tensor::scalar(2)), p = tape.variable(Tensor::scalar(0));
  const Var y = pow(x, p);
  const Var dx = gradient(y, x), dp = gradient(y, p);
  CHECK(tape.gradient(dx, p, {.keep_tape = true}).item() == Approx(0.5));
  CHECK(tape.gradient(dp, x).item() == Approx(0.5));
}

TEST_CASE("impossible sizes are refused before memory is touched", "[review][errors]") {
  const std::int64_t big = std::int64_t{1} << 32;
  REQUIRE_ERROR(Tensor::empty({big, big}), ShapeError, "more than 2^48 elements");
  REQUIRE_ERROR(Tensor::arange(std::int64_t{1} << 61), ShapeError, "more than 2^48");
  REQUIRE_ERROR(Tensor::empty({(std::int64_t{1} << 61) + 1, 8}), ShapeError, "more than 2^48");
  REQUIRE_ERROR(nn::Dense(big, big), ShapeError, "more than 2^48");
  REQUIRE_ERROR(broadcast_to(Tensor::ones({1, 1}), {big, big}), ShapeError, "more than 2^48");
  REQUIRE_ERROR(Tensor::zeros({0}).reshape({big, big}), ShapeError, "reshape");
}

TEST_CASE("empty handles throw", "[review][errors]") {
  REQUIRE_ERROR(Parameter().value(), ValueError, "an empty handle was used");
  REQUIRE_ERROR(Parameter().name(), ValueError, "an empty handle was used");
  const nn::Dense plain(2, 3, {.bias = false});
  REQUIRE_ERROR(plain.bias().shape(), ValueError, "without bias");
  REQUIRE_ERROR(optim::SGD({Parameter()}), ValueError, "an empty handle was used");
}

TEST_CASE("gradcheck counts the inputs and names the element that is NaN", "[review][checker]") {
  const auto product = [](const Var& a, const Var& b) { return sum(a * b); };
  REQUIRE_ERROR(gradcheck(product, {Tensor({1.0})}), ValueError, "takes 2 inputs, got 1");
  const GradcheckReport r =
      gradcheck([](const Var& x) { return sum(sqrt(x)); }, {Tensor({2., 0.})});
  CHECK_FALSE(r.ok());
  CHECK(r.entries[0].worst == 1);
  const GradcheckReport nan = gradcheck([](const Var& x) { return sum(log(x)); }, {Tensor({-1.0})});
  CHECK_FALSE(nan.finite);
  CHECK(nan.str().find("NaN or infinite at this point") != std::string::npos);
}

TEST_CASE("users' functions keep NaN, large powers and powers of zero", "[review][elementwise]") {
  const auto value = [](const auto& f, double x) { return f(Tensor({x})).item(); };
  const auto slope = [](const auto& f, double at) {
    Tape tape;
    const Var x = tape.variable(Tensor({at}));
    return tape.gradient(sum(f(x)), x).item();
  };
  CHECK(std::isnan(value(elementwise("abs", [](auto x) { return abs(x); }), std::nan(""))));
  const auto hundred = elementwise("hundred", [](auto x) { return pow(x, 100); });
  CHECK(value(hundred, -1) == 1);
  CHECK(slope(hundred, -1) == -100);
  const auto inverse = elementwise("inverse", [](auto x) { return pow(x, -100); });
  CHECK(slope(inverse, 1e4) == 0);
  CHECK(slope(elementwise("p", [](auto x) { return pow(x, -65); }), 2) ==
        Approx(-65 * std::pow(2.0, -66)));
  CHECK(gradcheck(elementwise("p", [](auto x) { return pow(x, 7) + pow(x, -3) + pow(x * x, 0.7); }),
                  {Tensor({-1.5, 0.4, 2.})}, {.order = 2})
            .ok());
  CHECK(gradcheck(elementwise("q", [](auto x) { return pow(x, 5) + pow(x, 2) + pow(x, 0); }),
                  {Tensor({0.0})}, {.order = 2})
            .ok());
  const auto root = elementwise("root", [](auto x) { return pow(x, 1.5); });
  CHECK(slope(root, 0) == 0);
  const auto mish = elementwise("mish", [](auto x) { return x * tanh(softplus(x)); });
  CHECK(slope(mish, 800) == 1);
  CHECK(slope(mish, -800) == 0);
  const auto ramp = elementwise("ramp", [](auto x) { return max(x, 0.0) + min(1, x); });
  CHECK(slope(ramp, 0.5) == 2);
  CHECK(gradcheck(elementwise("s", [](auto x) { return sigmoid(x) * softplus(-x); }),
                  {Tensor({-3., 0.5, 4.})}, {.order = 2})
            .ok());
}

TEST_CASE("a clone ties what was tied", "[review][nn]") {
  nn::Dense shared(2, 2);
  const nn::Sequential net(shared, nn::Tanh(), shared);
  const auto copy = net.clone();
  CHECK(net.parameter_count() == 6);
  CHECK(copy->parameter_count() == 6);
  // Moved into a container, the clone of a trained layer keeps its weights.
  Parameter(shared.weight()).assign(Tensor({{1, 2}, {3, 4}}, f32));
  const auto trained = shared.clone();
  const nn::Sequential with(std::move(static_cast<nn::Dense&>(*trained)), nn::Tanh());
  CHECK(identical(with.parameters()[0].value(), Tensor({{1, 2}, {3, 4}}, f32)));
  auto self = std::make_shared<nn::Sequential>();
  REQUIRE_ERROR(self->add(self), ValueError, "would contain itself");
}

TEST_CASE("integers are clamped within their range and never rounded in silence", "[review]") {
  const Tensor x = Tensor({-5, 0, 5}).to(i64);
  CHECK(clamp(x, 0, INFINITY).value().str() == "[0, 0, 5]");
  CHECK(clamp(x, -1.5, 1.5).value().str() == "[-1, 0, 1]");
  REQUIRE_ERROR(clamp(x, 0.2, 0.8), ValueError, "no integer lies between");
  REQUIRE_ERROR(x + INFINITY, DTypeError, "beyond 2^53");
  REQUIRE_ERROR(x + ((std::int64_t{1} << 53) + 2), DTypeError, "beyond 2^53");
  CHECK(slice(x, 0, {{}, {}, std::numeric_limits<std::int64_t>::min()}).size() == 1);
}

}  // namespace xtape
