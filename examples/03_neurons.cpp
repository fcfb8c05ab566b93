// 3. A network neuron by neuron: 2 inputs, a hidden layer of four neurons each with an activation
// of its own, 1 and then 2 sigmoid outputs. It learns two regions, [0, 0.3]² → 0 and [0.7, 1]² → 1,
// from samples that come in random order.
//
// Two things that go wrong when this is done by hand, and that the printed network shows:
// neurons that start with equal weights get equal gradients and stay equal for ever; a ReLU output
// whose sum is negative has gradient 0, learns nothing more, and answers 0 to everything.
#include <cstdio>
#include <vector>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

struct Sample {
  Tensor x, y;
};

Sample draw(Rng& rng, std::int64_t outputs) {
  const bool one = rng.integer(2) == 1;
  const double low = one ? 0.7 : 0, high = one ? 1 : 0.3;
  return {rng.uniform({1, 2}, low, high, f64), Tensor::full({1, outputs}, one, f64)};
}

nn::Sequential make(std::int64_t outputs, const nn::Initializer& init, const nn::Activation& last,
                    Rng& rng) {
  const nn::Activation leaky = elementwise("leaky", [](auto x) -> decltype(x) {
    if (x < 0.0) return x * 0.1;
    return x;
  });
  const nn::DenseOptions dense{.weight_init = init, .dtype = f64};
  nn::Sequential net;
  net.add(nn::Neurons(2, {nn::Sigmoid(), nn::Tanh(), nn::Softplus(), leaky}, dense));
  net.add(nn::Dense(4, outputs, dense)).add(nn::Activation(last));
  net.initialize(rng);
  return net;
}

void train(const nn::Sequential& net, std::int64_t outputs, Rng& rng, int steps = 2000,
           double rate = 0.5) {
  optim::SGD sgd(net.parameters(), {.learning_rate = rate});
  for (int i = 0; i < steps; ++i) {
    const Sample s = draw(rng, outputs);
    Tape tape;
    sgd.step(tape.gradient(nn::mse_loss(net(tape.input(s.x)), s.y), net.parameters()));
  }
}

// Every corner and the middle of both regions on its side of one half, at every output.
bool separates(const nn::Sequential& net) {
  for (const double base : {0.0, 0.7}) {
    for (const double dx : {0.0, 0.15, 0.3}) {
      for (const double dy : {0.0, 0.15, 0.3}) {
        const Tensor o = net(no_grad(Tensor({{base + dx, base + dy}}))).value();
        for (std::int64_t k = 0; k < o.size(); ++k) {
          if ((o.flat(k) > 0.5) != (base > 0.5)) return false;
        }
      }
    }
  }
  return true;
}

int seeds_that_separate(std::int64_t outputs, const nn::Activation& last, double rate) {
  int good = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed);
    const nn::Sequential net = make(outputs, nn::xavier_uniform(), last, rng);
    train(net, outputs, rng, 2000, rate);
    good += separates(net);
  }
  return good;
}

void equal_weights() {
  std::printf("\nEqual initial weights: two sigmoid neurons remain one neuron, written twice.\n");
  Rng rng(1);
  nn::Sequential net(nn::Neurons(2, {nn::Sigmoid(), nn::Sigmoid(), nn::Tanh(), nn::Tanh()},
                                 {.weight_init = nn::constant(1), .dtype = f64}),
                     nn::Dense(4, 1, {.weight_init = nn::constant(1), .dtype = f64}),
                     nn::Sigmoid());
  train(net, 1, rng, 500);
  std::printf("%s", nn::print_network(net, Tensor({{0.9, 0.9}})).c_str());
  const Tensor w = net.parameters()[0].value();
  expect("neurons 0 and 1 have equal weights", w.at({0, 0}) == w.at({1, 0}));
  expect("neurons 2 and 3 have equal weights", w.at({2, 1}) == w.at({3, 1}));
}

void dead_relu() {
  std::printf(
      "\nA ReLU output whose sum is negative for every input has gradient 0: it is dead.\n");
  Rng rng(2);
  nn::Sequential net = make(1, nn::uniform(-1, 0), nn::ReLU(), rng);
  const Parameters p = net.parameters();
  Parameter bias = p[3];
  bias.assign(Tensor({-3}));
  const Tensor before = p[2].value();
  train(net, 1, rng, 500);
  std::printf("%s", nn::print_network(net, Tensor({{0.9, 0.9}})).c_str());
  expect("500 samples changed no output weight", identical(before, p[2].value()));
}

}  // namespace

int main() {
  Rng rng(0);
  const nn::Sequential net = make(1, nn::xavier_uniform(), nn::Sigmoid(), rng);
  train(net, 1, rng);
  std::printf("After 2,000 samples, at (0.9, 0.9):\n%s",
              nn::print_network(net, Tensor({{0.9, 0.9}})).c_str());
  const int one = seeds_that_separate(1, nn::Sigmoid(), 0.5);
  const int two = seeds_that_separate(2, nn::Sigmoid(), 0.5);
  std::printf(
      "seeds of 20 that separate the regions: sigmoid, 1 output %d; sigmoid, 2 outputs %d;\n"
      "ReLU output at learning rate 0.5 %d, at 0.05 %d\n",
      one, two, seeds_that_separate(1, nn::ReLU(), 0.5), seeds_that_separate(1, nn::ReLU(), 0.05));
  expect("1 output: at least 19 of 20 seeds", one >= 19);
  expect("2 outputs: at least 19 of 20 seeds", two >= 19);
  equal_weights();
  dead_relu();
  return failures != 0;
}
