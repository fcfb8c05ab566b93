// 6. Vanishing gradients. The error travels back through a deep network as a product of local
// derivatives. That of a sigmoid is at most 1/4, so each layer takes the gradient's norm down by a
// factor, and the first layers hardly learn; tanh, with derivative 1 at 0, and ReLU, with
// derivative 1 wherever it is active, let it through.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

constexpr int kDepth = 12;

// The norm of the gradient of each layer's weights at the start of training.
std::vector<double> gradient_norms(const nn::Activation& activation, const nn::Initializer& init) {
  nn::Sequential net;
  for (int i = 0; i < kDepth; ++i) {
    net.add(nn::Dense(64, 64, {.weight_init = init, .dtype = f64}));
    net.add(nn::Activation(activation));
  }
  net.add(nn::Dense(64, 10, {.weight_init = init, .dtype = f64}));
  net.initialize(Rng(3));
  const data::Dataset digits = data::digits().take(0, 200).to(f64);

  Tape tape;
  const Var loss = nn::cross_entropy(net(tape.input(digits.inputs)), digits.labels);
  std::vector<double> norms;
  for (const Tensor& g : tape.gradient(loss, net.parameters())) {
    if (g.rank() == 2) norms.push_back(std::sqrt(sum(square(g)).item()));
  }
  return norms;
}

}  // namespace

int main(int argc, char** argv) {
  const auto sigmoid_norms = gradient_norms(nn::Sigmoid(), nn::xavier_uniform());
  const auto tanh_norms = gradient_norms(nn::Tanh(), nn::xavier_uniform());
  const auto relu_norms = gradient_norms(nn::ReLU(), nn::he_normal());
  std::printf(
      "norm of the gradient of the weights, layer by layer (0 is next to the input)\n"
      "layer      sigmoid         tanh         ReLU\n");
  plot::Series s{"sigmoid", {}, {}}, t{"tanh", {}, {}}, r{"ReLU, He", {}, {}};
  for (std::size_t i = 0; i < sigmoid_norms.size(); ++i) {
    std::printf("%5zu %12.3e %12.3e %12.3e\n", i, sigmoid_norms[i], tanh_norms[i], relu_norms[i]);
    for (auto* series : {&s, &t, &r}) series->x.push_back(static_cast<double>(i));
    s.y.push_back(sigmoid_norms[i]);
    t.y.push_back(tanh_norms[i]);
    r.y.push_back(relu_norms[i]);
  }
  const auto shrink = [](const std::vector<double>& n) { return n.front() / n[kDepth - 1]; };
  std::printf("first over last hidden layer: sigmoid %.2e, tanh %.2e, ReLU %.2e\n",
              shrink(sigmoid_norms), shrink(tanh_norms), shrink(relu_norms));
  expect("sigmoid loses more than five digits", shrink(sigmoid_norms) < 1e-5);
  expect("tanh loses less than one", shrink(tanh_norms) > 0.1);
  expect("ReLU loses less than one", shrink(relu_norms) > 0.1);
  const std::string picture = argc > 1 ? argv[1] : "06_vanishing.svg";
  plot::save(picture,
             plot::svg({{"Gradient norm by layer, " + std::to_string(kDepth) + " layers deep",
                         "layer",
                         "norm of dL/dW",
                         {s, t, r},
                         true}}));
  std::printf("picture: %s\n", picture.c_str());
  return failures != 0;
}
