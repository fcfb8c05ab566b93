#include <iostream>

#include "support.hpp"

// The code of README.md, word for word (tests/check_docs.sh compares).
namespace xtape {

TEST_CASE("README: a network is trained and its gradient checked", "[docs]") {
  // clang-format off
  nn::Sequential net{nn::Dense(64, 32), nn::Sigmoid(), nn::Dense(32, 16), nn::ReLU(),
                     nn::Dense(16, 10)};
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
  Rng rng(1);
  const auto [train, test] = data::digits_split();
  for (int epoch = 0; epoch < 10; ++epoch) {
    for (auto& [images, labels] : data::batches(train, 64, rng)) {
      Tape tape;
      Var loss = nn::cross_entropy(net(tape.input(images)), labels);
      sgd.step(tape.gradient(loss, net.parameters()));
    }
  }
  double accuracy = nn::accuracy(net(no_grad(test.inputs)).value(), test.labels);

  net.to(f64);  // differences need digits
  const data::Dataset few = test.take(0, 4).to(f64);
  GradcheckReport report = gradcheck_parameters(
      [&](Tape& t) { return nn::cross_entropy(net(t.input(few.inputs)), few.labels); },
      net.parameters(), {.max_elements = 20});
  if (!report) std::cerr << report;  // which parameter, which element, both values, kink or not
  // clang-format on
  CHECK(report.ok());
  CHECK(accuracy > 0.85);
}

TEST_CASE("README: a training step as a program", "[docs]") {
  nn::Sequential net{nn::Dense(64, 10)};
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  const data::Dataset batch = data::digits_split().train.take(0, 64);
  // clang-format off
  Program step = compile(
      [&](const Var& images, const Var& labels) {
        const Var loss = nn::cross_entropy(net(images), labels);
        sgd.step(gradient(loss, net.parameters()));
        return loss;
      },
      {{64, 64}, {{64}, i64}});
  double loss = step(batch.inputs, batch.labels).item();
  // clang-format on
  CHECK(step(batch.inputs, batch.labels).item() < loss);
}

TEST_CASE("README: calculus", "[docs]") {
  // clang-format off
  auto rosenbrock = [](const Var& x) {
    Var a = select(x, 0, 0), b = select(x, 0, 1);
    return square(1 - a) + 100 * square(b - square(a));
  };
  Tensor x{-1.2, 1};
  for (int i = 0; i < 7; ++i) x = (x - solve(hessian(rosenbrock, x), grad(rosenbrock, x))).value();
  auto [y, dy] = jvp(rosenbrock, x, Tensor{1, 0});  // forward mode
  // clang-format on
  CHECK(x.flat(0) == Approx(1));
  CHECK(x.flat(1) == Approx(1));
  CHECK(y.item() < 1e-15);
  CHECK(std::abs(dy.item()) < 1e-6);
}

TEST_CASE("README: a user's activation, differentiated twice", "[docs]") {
  Tape tape;
  Var v = tape.variable({-1., 0., 2.});
  // clang-format off
  auto mish = elementwise("mish", [](auto x) { return x * tanh(softplus(x)); });
  Var slope = gradient(sum(mish(v)), v);     // recorded: more tape
  Tensor curvature = tape.gradient(sum(slope), v);
  // clang-format on
  CHECK(gradcheck(mish, {v.value()}, {.order = 2}).ok());
  CHECK(slope.value().flat(1) == Approx(0.6));
  CHECK(curvature.flat(1) == Approx(0.64));
}

}  // namespace xtape
