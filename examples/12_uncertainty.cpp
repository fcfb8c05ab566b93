// 12. Regression that says how sure it is: a network with two outputs, mean and variance, trained
// by the Gaussian likelihood.
//
// The noise of the data grows with x. Least squares finds the mean and knows nothing of it; the
// negative log-likelihood ½ (ln σ² + (y − μ)²/σ²) pays for being sure and wrong. The picture shows
// the data, the mean and two standard deviations about it.
#include <cmath>
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

double noise_at(double x) { return 0.05 + 0.25 * x; }

struct Prediction {
  Var mean, variance;
};
Prediction predict(const nn::Module& net, const Var& x) {
  const Var out = net(x);
  return {slice(out, 1, {0, 1}), softplus(slice(out, 1, {1, 2})) + 1e-4};
}

}  // namespace

int main(int argc, char** argv) {
  Rng rng(3);
  constexpr std::int64_t kSamples = 512;
  const Tensor x = rng.uniform({kSamples, 1}, 0, 2, f64);
  Tensor y = Tensor::empty({kSamples, 1}, f64);
  for (std::int64_t i = 0; i < kSamples; ++i) {
    y.mutable_data<double>()[i] = std::sin(3 * x.flat(i)) + noise_at(x.flat(i)) * rng.normal();
  }
  nn::Sequential net{nn::Dense(1, 32), nn::Tanh(), nn::Dense(32, 32), nn::Tanh(), nn::Dense(32, 2)};
  net.to(f64);
  optim::Adam adam(net.parameters(), {.learning_rate = 0.01});
  Program step = compile(
      [&](const Var& in, const Var& target) {
        const Prediction p = predict(net, in);
        const Var loss = nn::gaussian_nll_loss(p.mean, target, p.variance);
        adam.step(gradient(loss, net.parameters()));
        return loss;
      },
      {{{kSamples, 1}, f64}, {{kSamples, 1}, f64}});
  double loss = 0;
  for (int i = 0; i < 1500; ++i) loss = step(x, y).item();
  std::printf("  negative log-likelihood %.4f\n", loss);

  Tensor grid = Tensor::empty({81, 1}, f64);
  for (int i = 0; i < 81; ++i) grid.mutable_data<double>()[i] = i / 40.0;
  const Prediction p = predict(net, no_grad(grid));
  plot::Series mean{"mean", {}, {}}, low{"mean - 2 sd", {}, {}}, high{"mean + 2 sd", {}, {}};
  double off = 0, wrong = 0;
  for (int i = 4; i <= 76; ++i) {
    const double at = grid.flat(i), m = p.mean.value().flat(i);
    const double sd = std::sqrt(p.variance.value().flat(i));
    for (auto* s : {&mean, &low, &high}) s->x.push_back(at);
    mean.y.push_back(m);
    low.y.push_back(m - 2 * sd);
    high.y.push_back(m + 2 * sd);
    off += std::abs(m - std::sin(3 * at)) / 73;
    wrong += std::abs(std::log(sd / noise_at(at))) / 73;
  }
  expect("mean distance of the mean from the truth", off, 0, 0.1);
  expect("mean distance of ln sd from the truth", wrong, 0, 0.25);
  const std::string picture = argc > 1 ? argv[1] : "12_uncertainty.svg";
  plot::save(picture,
             plot::svg({{"Regression with its uncertainty", "x", "y", {mean, low, high}}}));
  std::printf("  drawn: %s\n", picture.c_str());
  return failures != 0;
}
