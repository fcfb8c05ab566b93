// 9. Why a gradient is what it is: the chain rule of a network neuron by neuron, written out.
//
// Two inputs, two hidden layers of four neurons, each with an activation of its own, two outputs.
// The gradient of the cost by one neuron or weight of the first layer is a sum over all paths from
// the cost back to it, through either output. Written as the notes write it,
// (dC/dZ3:0)(dZ3:0/dH2:1)(dH2:1/dZ2:1)…, each factor with its number. The tape gets the same sum
// without listing a path: it adds up at every neuron, so that its work grows with the number of
// connections, not with that of paths.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

// z = W h + b, and for each neuron its own function.
Var layer(Tape& tape, const nn::Neurons& neurons, const Var& h, int number) {
  const Var z = neurons.dense()(h);
  tape.label(z, "Z" + std::to_string(number));
  std::vector<Var> signals;
  for (std::size_t k = 0; k < neurons.activations().size(); ++k) {
    signals.push_back(neurons.activations()[k](select(z, 0, static_cast<std::int64_t>(k))));
  }
  const Var out = stack(signals);
  tape.label(out, "H" + std::to_string(number));
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const nn::DenseOptions f{.dtype = f64};
  nn::Neurons first(2, {nn::Sigmoid(), nn::Tanh(), nn::Softplus(), nn::ReLU()}, f);
  nn::Neurons second(4, {nn::Tanh(), nn::Sigmoid(), nn::ReLU(), nn::Softplus()}, f);
  nn::Neurons output(4, {nn::Sigmoid(), nn::Sigmoid()}, f);
  nn::Sequential net(first, second, output);
  net.initialize(Rng(4));

  Tape tape;
  const Var x = tape.input(Tensor{0.3, 0.8});
  const Var h1 = layer(tape, first, x, 1);
  const Var h2 = layer(tape, second, h1, 2);
  const Var h3 = layer(tape, output, h2, 3);
  const Var cost = 0.5 * sum(square(h3 - Tensor{0.1, 0.9}));
  tape.label(cost, "C");

  std::printf("by the signal of neuron 0 of the first layer:\n");
  const Explanation e = explain(cost, h1, {0});
  std::printf("%s", e.str().c_str());
  expect("paths: 2 outputs times 4 neurons, less dead ones", e.count == 8 || e.count == 6);
  expect("their sum is the tape's gradient", e.sum, e.gradient, 1e-12);

  std::printf("by a weight of the first layer, the three strongest of all paths:\n");
  const Parameter w = first.dense().weight();
  const Explanation by_weight = explain(cost, w, {1, 0}, {.paths = 3});
  std::printf("%s", by_weight.str().c_str());
  expect("the sum of all paths", by_weight.sum, by_weight.gradient, 1e-12);

  std::printf("by every weight, grouped by where the paths end:\n");
  double worst = 0;
  for (const Explanation& each : explain_all(cost, w)) {
    std::printf("  %-12s %2.0f paths, sum % .9f\n", each.by.c_str(), each.count, each.sum);
    worst = std::max(worst, std::abs(each.sum - each.gradient));
  }
  expect("largest difference between a sum and the tape", worst, 0, 1e-12);

  const std::string picture = argc > 1 ? argv[1] : "09_paths.svg";
  plot::save(picture, plot::explanation(explain(cost, w, {1, 0})));
  std::printf("drawn: %s\n", picture.c_str());
  return failures != 0;
}
