#include <array>
#include <cmath>

#include "hand.hpp"

// Workloads of a few numbers.
namespace hand {
namespace {

// 2-2-2: the extents are constants, so the loops unroll.
class Tiny : public bench::Task {
 public:
  explicit Tiny(const bench::Network& net) : Tiny(net, bench::make_start(net)) {}

  void step() override {
    const Pair h = layer(0, x_), o = layer(1, h);
    Pair outer{}, inner{};
    for (std::size_t k = 0; k < 2; ++k) outer[k] = (o[k] - t_[k]) * o[k] * (1 - o[k]);
    for (std::size_t i = 0; i < 2; ++i) {
      inner[i] = (outer[0] * w_[1][0][i] + outer[1] * w_[1][1][i]) * h[i] * (1 - h[i]);
    }
    descend(1, outer, h);
    descend(0, inner, x_);
  }

  std::vector<double> result() override {
    const Pair o = layer(1, layer(0, x_));
    return {(std::pow(o[0] - t_[0], 2) + std::pow(o[1] - t_[1], 2)) / 2};
  }

 private:
  using Pair = std::array<float, 2>;

  Tiny(const bench::Network& net, const bench::Start& start)
      : rate_(static_cast<float>(net.rate)),
        x_{start.input[0], start.input[1]},
        t_{start.target[0], start.target[1]} {
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t i = 0; i < 4; ++i) w_[l][i / 2][i % 2] = start.layers.weights[l][i];
      for (std::size_t i = 0; i < 2; ++i) b_[l][i] = start.layers.biases[l][i];
    }
  }

  Pair layer(std::size_t l, const Pair& x) const {
    Pair y{};
    for (std::size_t k = 0; k < 2; ++k) {
      y[k] = 1 / (1 + std::exp(-(w_[l][k][0] * x[0] + w_[l][k][1] * x[1] + b_[l][k])));
    }
    return y;
  }

  void descend(std::size_t l, const Pair& delta, const Pair& x) {
    for (std::size_t k = 0; k < 2; ++k) {
      for (std::size_t i = 0; i < 2; ++i) w_[l][k][i] -= rate_ * delta[k] * x[i];
      b_[l][k] -= rate_ * delta[k];
    }
  }

  float rate_;
  Pair x_, t_;
  std::array<std::array<Pair, 2>, 2> w_{};
  std::array<Pair, 2> b_{};
};

class Chain : public bench::Task {
 public:
  explicit Chain(const bench::Chain& chain)
      : chain_(chain), z_(static_cast<std::size_t>(chain.length)) {}

  void step() override {
    double z = chain_.z;
    for (double& kept : z_) {
      kept = z;
      z = z * chain_.a + chain_.b;
    }
    double ct = 1, by_a = 0, by_b = 0;
    for (std::size_t i = z_.size(); i-- > 0;) {
      by_a += ct * z_[i];
      by_b += ct;
      ct *= chain_.a;
    }
    gradients_ = {by_a, by_b};
  }

  std::vector<double> result() override { return {gradients_.begin(), gradients_.end()}; }

 private:
  bench::Chain chain_;
  std::vector<double> z_;
  std::array<double, 2> gradients_{};
};

}  // namespace

std::unique_ptr<bench::Task> tiny(const bench::Network& net) { return std::make_unique<Tiny>(net); }

std::unique_ptr<bench::Task> chain(const bench::Chain& chain) {
  return std::make_unique<Chain>(chain);
}

}  // namespace hand
