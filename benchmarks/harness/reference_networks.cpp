#include <algorithm>
#include <cmath>

#include "workloads.hpp"

// Training and Hessian–vector products in plain loops over double: slow, and meant to be seen
// through.
namespace bench {
namespace {

using Vector = std::vector<double>;
using Vectors = std::vector<Vector>;

Vectors doubles(const std::vector<std::vector<float>>& all) {
  Vectors out;
  for (const auto& v : all) out.emplace_back(v.begin(), v.end());
  return out;
}

double activate(Network::Activation f, double z) {
  switch (f) {
    case Network::Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Network::Activation::relu:
      return std::max(z, 0.0);
    case Network::Activation::tanh:
      return std::tanh(z);
  }
  return z;
}

// By the value y = f(z).
double slope(Network::Activation f, double y) {
  switch (f) {
    case Network::Activation::sigmoid:
      return y * (1 - y);
    case Network::Activation::relu:
      return y > 0 ? 1 : 0;
    case Network::Activation::tanh:
      return 1 - y * y;
  }
  return 1;
}

class Trainer {
 public:
  explicit Trainer(const Network& net)
      : net_(net),
        start_(make_start(net)),
        weights(doubles(start_.layers.weights)),
        biases(doubles(start_.layers.biases)) {}

  double error() const {
    double total = 0;
    for (std::size_t s = 0; s < samples(); ++s) total += error(s, forward(s).back());
    return total;
  }

  void differentiate() {
    weight_gradients = weights;
    bias_gradients = biases;
    for (auto* all : {&weight_gradients, &bias_gradients}) {
      for (Vector& g : *all) std::fill(g.begin(), g.end(), 0);
    }
    for (std::size_t s = 0; s < samples(); ++s) backward(s, forward(s));
  }

  void step() {
    differentiate();
    for (std::size_t l = 0; l < weights.size(); ++l) {
      add(weights[l], -net_.rate, weight_gradients[l]);
      add(biases[l], -net_.rate, bias_gradients[l]);
    }
  }

  static void add(Vector& p, double factor, const Vector& d) {
    for (std::size_t i = 0; i < p.size(); ++i) p[i] += factor * d[i];
  }

 private:
  const Network net_;
  const Start start_;

 public:
  Vectors weights, biases, weight_gradients, bias_gradients;

 private:
  std::size_t samples() const { return static_cast<std::size_t>(net_.batch); }
  // Derivative of a squared error by an output is scale · (y − t).
  double scale() const {
    const double outputs = static_cast<double>(net_.batch * net_.sizes.back());
    return net_.error == Network::Error::half_square_sum ? 1 : 2 / outputs;
  }

  double error(std::size_t s, const Vector& y) const {
    double total = 0;
    if (net_.error == Network::Error::cross_entropy) {
      for (const double v : y) total += std::exp(v);
      return (std::log(total) - y[label(s)]) / static_cast<double>(net_.batch);
    }
    for (std::size_t k = 0; k < y.size(); ++k) total += std::pow(y[k] - target(s, k), 2);
    return scale() / 2 * total;
  }

  Vector error_gradient(std::size_t s, const Vector& y) const {
    Vector d = y;
    if (net_.error == Network::Error::cross_entropy) {
      double total = 0;
      for (const double v : y) total += std::exp(v);
      for (std::size_t k = 0; k < y.size(); ++k) {
        d[k] = (std::exp(y[k]) / total - (k == label(s) ? 1 : 0)) / static_cast<double>(net_.batch);
      }
    } else {
      for (std::size_t k = 0; k < y.size(); ++k) d[k] = scale() * (y[k] - target(s, k));
    }
    return d;
  }

  std::size_t label(std::size_t s) const { return static_cast<std::size_t>(start_.labels[s]); }
  double target(std::size_t s, std::size_t k) const {
    return start_.target[s * static_cast<std::size_t>(net_.sizes.back()) + k];
  }

  Vectors forward(std::size_t sample) const {
    const auto inputs = static_cast<std::size_t>(net_.sizes[0]);
    const auto first = start_.input.begin() + static_cast<std::ptrdiff_t>(sample * inputs);
    Vectors signal{Vector(first, first + static_cast<std::ptrdiff_t>(inputs))};
    for (std::size_t l = 0; l < weights.size(); ++l) {
      const Vector& x = signal[l];
      Vector y = biases[l];
      for (std::size_t k = 0; k < y.size(); ++k) {
        const double* w = &weights[l][k * x.size()];
        for (std::size_t i = 0; i < x.size(); ++i) y[k] += w[i] * x[i];
        if (net_.activated(l)) y[k] = activate(net_.activation, y[k]);
      }
      signal.push_back(std::move(y));
    }
    return signal;
  }

  void backward(std::size_t sample, const Vectors& signal) {
    Vector d = error_gradient(sample, signal.back());
    for (std::size_t l = weights.size(); l-- > 0;) {
      const Vector &x = signal[l], &y = signal[l + 1];
      Vector below(x.size(), 0);
      for (std::size_t k = 0; k < y.size(); ++k) {
        const double delta = net_.activated(l) ? d[k] * slope(net_.activation, y[k]) : d[k];
        const double* w = &weights[l][k * x.size()];
        double* g = &weight_gradients[l][k * x.size()];
        bias_gradients[l][k] += delta;
        for (std::size_t i = 0; i < x.size(); ++i) g[i] += delta * x[i];
        for (std::size_t i = 0; i < x.size(); ++i) below[i] += delta * w[i];
      }
      d = std::move(below);
    }
  }
};

// The gradient a little way along the direction, in order.
Vector gradient_at(const Network& net, double step) {
  Trainer t(net);
  const Layers direction = make_direction(net);
  const Vectors weights = doubles(direction.weights), biases = doubles(direction.biases);
  for (std::size_t l = 0; l < net.layers(); ++l) {
    Trainer::add(t.weights[l], step, weights[l]);
    Trainer::add(t.biases[l], step, biases[l]);
  }
  t.differentiate();
  Vector all;
  for (std::size_t l = 0; l < net.layers(); ++l) {
    for (const Vector* g : {&t.weight_gradients[l], &t.bias_gradients[l]}) {
      all.insert(all.end(), g->begin(), g->end());
    }
  }
  return all;
}

}  // namespace

std::vector<double> expected_training(const Network& net, int steps) {
  Trainer t(net);
  for (int i = 0; i < steps; ++i) t.step();
  return {t.error()};
}

// A central difference of gradients: shares no rule with what is checked, and in double is right to
// nine digits.
std::vector<double> expected_hessian_vector(const Network& net) {
  constexpr double kStep = 1e-5;
  Vector d = gradient_at(net, kStep);
  const Vector low = gradient_at(net, -kStep);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = (d[i] - low[i]) / (2 * kStep);
  return d;
}

}  // namespace bench
