#pragma once

#include <cmath>
#include <vector>

#include "../harness/workloads.hpp"

// What the hand-written networks have in common: activations, and the error at the output.
namespace hand {

using Floats = std::vector<float>;
using Activation = bench::Network::Activation;

/// Calls f with the scalar functions {value(z), slope(y)}: one loop is compiled for each.
template <class F>
void with_activation(bool activated, Activation a, F f) {
  if (!activated) {
    f([](float z) { return z; }, [](float) { return 1.0F; });
  } else if (a == Activation::sigmoid) {
    f([](float z) { return 1 / (1 + std::exp(-z)); }, [](float y) { return y * (1 - y); });
  } else if (a == Activation::relu) {
    f([](float z) { return z > 0 ? z : 0.0F; }, [](float y) { return y > 0 ? 1.0F : 0.0F; });
  } else {
    f([](float z) { return std::tanh(z); }, [](float y) { return 1 - y * y; });
  }
}

/// The error of outputs y [batch, outputs] and its derivative by y.
class Output {
 public:
  Output(const bench::Network& net, const bench::Start& start)
      : error_(net.error),
        batch_(static_cast<std::size_t>(net.batch)),
        outputs_(static_cast<std::size_t>(net.sizes.back())),
        target_(start.target),
        labels_(start.labels) {}

  double error(const Floats& y) const;
  /// Of samples begin … end.
  void gradient(const float* y, float* d, int begin, int end) const;

 private:
  void cross_entropy_gradient(const float* y, float* d, std::size_t begin, std::size_t end) const;

  bench::Network::Error error_;
  std::size_t batch_, outputs_;
  Floats target_;
  std::vector<std::int64_t> labels_;
};

}  // namespace hand
