#include "support.hpp"

// Programs: the same results as eager code, the same effects, and errors where a recording would
// keep something that changes.
namespace xtape {
namespace {

using test::relative_difference;

nn::Sequential small_net(DType dtype = f64) {
  nn::Sequential net{nn::Dense(5, 7), nn::Tanh(), nn::Dense(7, 4), nn::Sigmoid(), nn::Dense(4, 3)};
  net.initialize(Rng(3));
  net.to(dtype);
  return net;
}

}  // namespace

TEST_CASE("a program computes what eager code computes", "[program]") {
  Rng rng(1);
  const Tensor x = rng.uniform({4, 5}, -1, 1, f64), y = rng.uniform({4, 5}, -1, 1, f64);
  const auto f = [](const Var& a, const Var& b) { return sum(sin(a * b) + a / (b * b + 1), 1); };
  Program p = compile(f, {{{4, 5}, f64}, {{4, 5}, f64}});
  CHECK(relative_difference(p(x, y), f(x, y).value()) < 1e-14);
  CHECK(relative_difference(p(y, x), f(y, x).value()) < 1e-14);
  CHECK(p.steps() == 1);
}

TEST_CASE("a training step as a program moves parameters as eager steps do", "[program]") {
  for (const double momentum : {0.0, 0.9}) {
    nn::Sequential a = small_net(), b = small_net();
    const optim::SGDOptions options{.learning_rate = 0.1, .momentum = momentum};
    optim::SGD sgd_a(a.parameters(), options), sgd_b(b.parameters(), options);
    Rng rng(7);
    const Tensor x = rng.uniform({6, 5}, -1, 1, f64), t = rng.uniform({6, 3}, -1, 1, f64);
    Program step = compile(
        [&](const Var& in, const Var& target) {
          const Var loss = nn::mse_loss(b(in), target);
          sgd_b.step(gradient(loss, b.parameters()));
          return loss;
        },
        {x, t});
    INFO(step.str());
    for (int i = 0; i < 5; ++i) {
      Tape tape;
      const Var loss = nn::mse_loss(a(tape.input(x)), t);
      sgd_a.step(tape.gradient(loss, a.parameters()));
      CHECK(step(x, t).item() == Approx(loss.item()).epsilon(1e-13));
      sgd_a.set_learning_rate(0.1 / (i + 2));
      sgd_b.set_learning_rate(0.1 / (i + 2));
    }
    CHECK(sgd_b.steps() == 5);
    for (std::size_t i = 0; i < a.parameters().size(); ++i) {
      CHECK(relative_difference(b.parameters()[i].value(), a.parameters()[i].value()) < 1e-12);
    }
  }
}

}  // namespace xtape
