#include "support.hpp"

namespace xtape {
namespace {

const char* const kText = "3 dense:4 sigmoid dense:3 relu neurons:tanh,softplus,tanh softmax";

}  // namespace

TEST_CASE("a network is a list of named parameters", "[nn]") {
  const nn::Sequential net(nn::Dense(3, 4), nn::Sigmoid(), nn::Dense(4, 2, {.bias = false}));
  const Parameters p = net.parameters();
  REQUIRE(p.size() == 3);
  CHECK(p[0].name() == "0.weight");
  CHECK(p[1].name() == "0.bias");
  CHECK(p[2].name() == "2.weight");
  CHECK(p[0].shape() == Shape{4, 3});
  CHECK(net.parameter_count() == 12 + 4 + 8);
  const nn::Sequential outer(net, nn::ReLU());
  CHECK(outer.parameters()[2].name() == "0.2.weight");
  CHECK(nn::summary(outer, {3}) ==
        "name  layer                  output shape  parameters\n"
        "      input                  (3,)                    \n"
        "0.0   Dense(3 → 4)           (4,)                  16\n"
        "0.1   sigmoid                (4,)                   0\n"
        "0.2   Dense(4 → 2, no bias)  (2,)                   8\n"
        "1     relu                   (2,)                   0\n"
        "total: 24 parameters\n");
}

TEST_CASE("a copy shares parameters, a clone does not", "[nn]") {
  nn::Sequential net(nn::Dense(2, 2), nn::Neurons(2, {nn::Tanh(), nn::ReLU()}));
  nn::Sequential copy = net;
  const auto clone = net.clone();
  CHECK(copy.parameters()[0] == net.parameters()[0]);
  CHECK_FALSE(clone->parameters()[0] == net.parameters()[0]);
  CHECK(clone->parameters().size() == 4);
  net.initialize(Rng(9));
  const Tensor x({{1, 2}}, f32);
  CHECK(identical(net(no_grad(x)).value(), copy(no_grad(x)).value()));
  CHECK_FALSE(identical(net(no_grad(x)).value(), (*clone)(no_grad(x)).value()));
}

TEST_CASE("initialisation is reproducible and layers differ", "[nn]") {
  nn::Sequential a(nn::Dense(8, 8), nn::Dense(8, 8)), b(nn::Dense(8, 8), nn::Dense(8, 8));
  const auto weight = [](const nn::Module& m, std::size_t i) { return m.parameters()[i].value(); };
  CHECK(identical(weight(a, 0), weight(b, 0)));
  CHECK_FALSE(identical(weight(a, 0), weight(a, 2)));
  const nn::Sequential nested(nn::Sequential(nn::Dense(8, 8)), nn::Sequential(nn::Dense(8, 8)));
  CHECK_FALSE(identical(weight(nested, 0), weight(nested, 2)));
  a.initialize(nn::he_normal(), Rng(3));
  b.initialize(nn::he_normal(), Rng(3));
  CHECK(identical(weight(a, 2), weight(b, 2)));
  b.initialize(Rng(4));
  CHECK_FALSE(identical(weight(a, 2), weight(b, 2)));
  // A layer with a name of its own keeps its values.
  nn::Dense set(2, 2, {.dtype = f64});
  Parameter(set.weight()).assign(Tensor({{1, 2}, {3, 4}}));
  const nn::Sequential with(set, nn::ReLU());
  CHECK(weight(with, 0).flat(3) == 4);
}

TEST_CASE("initialisers have the spread they promise", "[nn]") {
  const nn::Fans fans{300, 200};
  const auto spread = [&](const nn::Initializer& init) {
    Rng rng(1);
    const Tensor w = init.draw({200, 300}, fans, f64, rng);
    return std::sqrt(mean(square(w)).item());
  };
  CHECK(spread(nn::xavier_uniform()) == Approx(std::sqrt(2.0 / 500)).epsilon(0.02));
  CHECK(spread(nn::xavier_normal()) == Approx(std::sqrt(2.0 / 500)).epsilon(0.02));
  CHECK(spread(nn::he_uniform()) == Approx(std::sqrt(2.0 / 300)).epsilon(0.02));
  CHECK(spread(nn::he_normal()) == Approx(std::sqrt(2.0 / 300)).epsilon(0.02));
  CHECK(spread(nn::scaled_normal()) == Approx(std::sqrt(1.0 / 200)).epsilon(0.02));
  CHECK(spread(nn::initializer("uniform:-1:1")) == Approx(std::sqrt(1.0 / 3)).epsilon(0.02));
  CHECK(spread(nn::initializer("constant:0.5")) == 0.5);
  REQUIRE_ERROR(nn::initializer("xavier"), ParseError, "'xavier' is not one of");
  REQUIRE_ERROR(nn::initializer("normal:a:1"), ParseError, "'a' in 'normal:a:1' is not a number");
}

TEST_CASE("networks built from text compute and differentiate", "[nn][text]") {
  nn::TextNetwork t = nn::parse_network(kText, {.dense = {.dtype = f64}});
  CHECK(t.inputs == 3);
  CHECK(t.net.describe() ==
        "Sequential(Dense(3 → 4), sigmoid, Dense(4 → 3), relu, Neurons(3 → 3: tanh softplus tanh), "
        "softmax)");
  t.net.initialize(Rng(1));
  Rng rng(2);
  const Tensor x = rng.normal({5, 3}, 0, 1, f64), labels = Tensor({0, 1, 2, 0, 1}).to(i64);
  const auto loss = [&](Tape& tape) { return nn::mse_loss(t.net(tape.input(x)), labels); };
  const GradcheckReport r = gradcheck_parameters(loss, t.net.parameters(), {.order = 2});
  INFO(r);
  CHECK(r.ok());
  const auto own = nn::parse_network(
      "2 dense:2:nobias swish",
      {.activations = {{"swish", elementwise("swish", [](auto v) { return v / (1 + exp(-v)); })}}});
  CHECK(own.net.parameters().size() == 1);
}

TEST_CASE("errors in a network's text point at the word", "[nn][text][errors]") {
  REQUIRE_ERROR(nn::parse_network("3 dense:4 sigmoidd dense:2"), ParseError,
                "'sigmoidd' is no layer and no activation");
  REQUIRE_ERROR(nn::parse_network("3 dense:4 sigmoidd dense:2"), ParseError,
                "\n  3 dense:4 sigmoidd dense:2\n            ^^^^^^^^");
  REQUIRE_ERROR(nn::parse_network(""), ParseError, "the text is empty");
  REQUIRE_ERROR(nn::parse_network("3"), ParseError, "no layers follow");
  REQUIRE_ERROR(nn::parse_network("dense:3"), ParseError, "the number of inputs must be a whole");
  REQUIRE_ERROR(nn::parse_network("3 dense:-1"), ParseError, "not '-1'");
  REQUIRE_ERROR(nn::parse_network("3 dense:99999999999999999999"), ParseError, "whole number");
  REQUIRE_ERROR(nn::parse_network("3 dense:4:nobiass"), ParseError, "write dense:UNITS[:nobias]");
  REQUIRE_ERROR(nn::parse_network("3 neurons:relu,,tanh"), ParseError, "'' is no layer");
  REQUIRE_ERROR(nn::parse_network("3 neurons:relu,softmax"), ParseError, "looks at all neurons");
}

TEST_CASE("layer errors name the layer and what it expects", "[nn][errors]") {
  const nn::Sequential net(nn::Dense(3, 4), nn::Sigmoid(), nn::Dense(5, 2));
  REQUIRE_ERROR(net(no_grad(Tensor::ones({1, 3}))), ShapeError,
                "[2] Dense: input of shape (1, 4): the last axis must have extent 5");
  REQUIRE_ERROR(net(no_grad(Tensor::ones({1, 3}, f64))), DTypeError,
                "write cast(x, f32) or net.to(f64)");
  REQUIRE_ERROR(net(Tensor::ones({1, 3})), TapeError, "parameter '0.weight' meets no tape");
  REQUIRE_ERROR(nn::Dense(0, 3), ValueError, "0 → 3");
  REQUIRE_ERROR(nn::Neurons(2, {}), ValueError, "no activations");
  REQUIRE_ERROR(nn::activation("gelu2"), ParseError, "is not one of sigmoid, relu");
}

TEST_CASE("losses have their textbook values and right gradients", "[nn][loss]") {
  const Tensor y({{0.2, 0.8}, {0.6, 0.4}}), t({{0, 1}, {1, 0}});
  CHECK(nn::mse_loss(y, t).item() == Approx((0.04 + 0.04 + 0.16 + 0.16) / 4));
  CHECK(nn::half_squared_error(y, t).item() == Approx(0.2));
  CHECK(nn::binary_cross_entropy(y, t).item() ==
        Approx(-(2 * std::log(0.8) + 2 * std::log(0.6)) / 4));
  const Tensor labels = Tensor({1, 0}).to(i64);
  CHECK(nn::cross_entropy(y, labels).item() == Approx(nn::cross_entropy(y, t).item()));
  CHECK(nn::cross_entropy(y, labels).item() ==
        Approx((std::log(1 + std::exp(-0.6)) + std::log(1 + std::exp(-0.2))) / 2));
  CHECK(nn::mse_loss(y, labels).item() == Approx(nn::mse_loss(y, t).item()));
  CHECK(nn::mse_loss(y, t, nn::Reduction::none).shape() == Shape{2, 2});
  CHECK(nn::cross_entropy(y, t, nn::Reduction::none).shape() == Shape{2});
  for (const char* name : {"mse", "half_squared", "bce", "bce_logits", "cross_entropy"}) {
    const auto loss = nn::loss(name);
    const auto r = gradcheck([&](const Var& v) { return loss.f(v, t); }, {y}, {.order = 2});
    INFO(name << '\n' << r);
    CHECK(r.ok());
  }
}

TEST_CASE("losses stay finite where probabilities and logits are extreme", "[nn][loss]") {
  Tape tape;
  const Var p = tape.variable(Tensor({0.0, 1.0, 1.0}));
  const Tensor t({0, 1, 0});
  const Var loss = nn::binary_cross_entropy(p, t, nn::Reduction::none);
  CHECK(loss.value().flat(0) == 0);
  CHECK(loss.value().flat(1) == 0);
  CHECK(loss.value().flat(2) == 100);
  const Var z = tape.variable(Tensor({-1000, 1000, 800}));
  const Var with = nn::binary_cross_entropy_with_logits(z, t, nn::Reduction::sum);
  CHECK(with.item() == 800);
  CHECK(identical(tape.gradient(with, z), Tensor({0, 0, 1})));
  const Var masked = tape.variable(Tensor({{-INFINITY, 1, 2}}));
  const Var ce = nn::cross_entropy(masked, Tensor({2}).to(i64));
  CHECK(ce.item() == Approx(std::log(1 + std::exp(-1))));
  CHECK(tape.gradient(ce, masked).flat(0) == 0);
}

TEST_CASE("losses refuse what does not fit", "[nn][loss][errors]") {
  const Tensor y = Tensor::ones({2, 3});
  REQUIRE_ERROR(nn::mse_loss(y, Tensor::ones({2})), ShapeError, "[mse_loss]");
  REQUIRE_ERROR(nn::mse_loss(y, Tensor::ones({2, 3}, f64)), DTypeError, "write target.to(f32)");
  REQUIRE_ERROR(nn::cross_entropy(y, Tensor({0, 3}).to(i64)), ValueError, "label 3");
  REQUIRE_ERROR(nn::loss("mae"), ParseError, "'mae' is not one of mse");
}

TEST_CASE("accuracy and confusion count what they say", "[nn]") {
  const Tensor y({{0.9, 0.1}, {0.2, 0.8}, {0.6, 0.4}}, f32), labels = Tensor({0, 1, 1}).to(i64);
  CHECK(nn::accuracy(y, labels) == Approx(2.0 / 3));
  CHECK(nn::confusion(y, labels, 2) == std::vector<std::vector<std::int64_t>>{{1, 0}, {1, 1}});
  CHECK(nn::accuracy(Tensor({{0.7}, {0.2}, {0.9}}), labels) == Approx(1.0 / 3));
  REQUIRE_ERROR(nn::accuracy(y, Tensor({0.0, 1.0, 1.0})), DTypeError, "must be i64");
}

TEST_CASE("a printed network shows every weight, bias and signal", "[nn]") {
  const nn::Sequential net(nn::Dense(2, 1,
                                     {.weight_init = nn::values(Tensor({{1, -2}})),
                                      .bias_init = nn::constant(0.5),
                                      .dtype = f64}),
                           nn::ReLU());
  CHECK(nn::print_network(net, Tensor({{3, 1}})) ==
        "Layer 0 (input)\n  (0)  signal 3\n  (1)  signal 1\n"
        "Layer 1 (relu)\n  (0) relu  signal 1.5  weights [1, -2]  bias 0.5\n");
}

TEST_CASE("SGD follows its definition", "[optim]") {
  // f(p) = p²/2: the gradient is p.
  const auto run = [](const optim::SGDOptions& o, int steps) {
    Parameter p(Tensor({1.0}), "p");
    optim::SGD sgd({p}, o);
    for (int i = 0; i < steps; ++i) sgd.step({p.value()});
    return p.value().item();
  };
  CHECK(run({.learning_rate = 0.1}, 3) == Approx(0.729));
  CHECK(run({.learning_rate = 0.1, .weight_decay = 0.5}, 1) == Approx(0.85));
  // v₁ = 1, p₁ = .9; v₂ = .9 + .9, p₂ = .72; nesterov: p₁ = 1 − .1 (1 + .9) = .81, …
  CHECK(run({.learning_rate = 0.1, .momentum = 0.9}, 2) == Approx(0.72));
  CHECK(run({.learning_rate = 0.1, .momentum = 0.9, .nesterov = true}, 1) == Approx(0.81));
  CHECK(run({.learning_rate = 0.1, .momentum = 0.9, .nesterov = true}, 2) ==
        Approx(0.81 - 0.1 * (0.81 + 0.9 * (0.9 + 0.81))));
  CHECK(run({.learning_rate = 0.1, .momentum = 0.9, .dampening = 0.5}, 2) ==
        Approx(0.9 - 0.1 * (0.9 + 0.5 * 0.9)));
  Parameter p(Tensor({1.0}), "p");
  optim::SGD sgd({p}, {.learning_rate = 1});
  sgd.set_learning_rate(0.25);
  sgd.step({Tensor({1.0})});
  CHECK(p.value().item() == 0.75);
  CHECK(sgd.steps() == 1);
}

TEST_CASE("an optimizer refuses missing, unfit and non-finite gradients", "[optim][errors]") {
  Parameter a(Tensor({1.0, 2.0}), "a"), b(Tensor({3.0}), "b");
  optim::SGD sgd({a, b}, {.learning_rate = 0.1});
  const Tensor ga({1.0, 1.0}), gb({1.0});
  REQUIRE_ERROR(sgd.step({ga}), ValueError, "'b' has no gradient");
  REQUIRE_ERROR(sgd.step({ga, Tensor()}), ValueError, "[b] has no gradient");
  REQUIRE_ERROR(sgd.step({ga, ga}), ShapeError, "[b] gradient of shape (2,)");
  REQUIRE_ERROR(sgd.step({ga, gb.to(f32)}), DTypeError, "[b] gradient f32");
  REQUIRE_ERROR(sgd.step({ga, Tensor({std::nan("")})}), ValueError, "[b] its gradient has NaN");
  CHECK(a.value().flat(0) == 1);  // nothing changed, not even the one before
  CHECK(sgd.steps() == 0);
  REQUIRE_ERROR(optim::SGD({a}, {.learning_rate = -1}), ValueError, "learning rate");
  REQUIRE_ERROR(optim::SGD({a}, {.momentum = 1}), ValueError, "momentum");
  REQUIRE_ERROR(optim::SGD({a}, {.nesterov = true}), ValueError, "nesterov needs momentum");
  REQUIRE_ERROR(optim::SGD({a, a}, {}), ValueError, "stands twice");
  b.freeze();
  sgd.step({ga, Tensor()});
  CHECK(b.value().item() == 3);
  CHECK(a.value().flat(0) == Approx(0.9));
}

TEST_CASE("a chart is a picture of its numbers", "[plot]") {
  const std::string s = plot::svg({{"T & U", "x", "y", {{"a", {0, 1, 2}, {1, 10, 100}}}, true}});
  CHECK(s.find("<svg") == 0);
  CHECK(s.find("T &amp; U") != std::string::npos);
  CHECK(s.find("</svg>") != std::string::npos);
  CHECK(s.find("nan") == std::string::npos);
  CHECK(plot::svg({{"empty", "", "", {}}}).find("nan") == std::string::npos);
  CHECK(plot::svg({{"gap", "", "", {{"g", {0, 1, 2}, {1, NAN, 3}}}}}).find("nan") ==
        std::string::npos);
  REQUIRE_ERROR(plot::svg({{"", "", "", {{"a", {0}, {}}}}}), ValueError, "1 x and 0 y");
  REQUIRE_ERROR(plot::save("/no/such/folder/x.svg", s), DataError, "cannot be written");
}

}  // namespace xtape
