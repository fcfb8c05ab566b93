#include <cmath>

#include "harness.hpp"

// The same computations in plain loops over double: slow, and meant to be seen through.
namespace bench {
namespace {

using Vector = std::vector<double>;

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the same numbers on every machine.
class Random {
 public:
  double uniform(double low, double high) {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    return low + (high - low) * std::ldexp(static_cast<double>(z >> 11), -53);
  }

 private:
  std::uint64_t state_ = 0;
};

// A training step in progress: signals and their derivatives of one sample, gradients of all.
class Trainer {
 public:
  Trainer(const Network& net, Start& start) : net_(net), start_(start) {}

  double error() {
    double total = 0;
    for (std::size_t s = 0; s < static_cast<std::size_t>(net_.batch); ++s) {
      const Vector y = forward(s).back();
      for (std::size_t k = 0; k < y.size(); ++k) {
        total += std::pow(y[k] - start_.target[s * y.size() + k], 2);
      }
    }
    return scale() / 2 * total;
  }

  void step() {
    gradient_w_ = start_.weights;
    gradient_b_ = start_.biases;
    for (auto* all : {&gradient_w_, &gradient_b_}) {
      for (Vector& g : *all) g.assign(g.size(), 0);
    }
    for (std::size_t s = 0; s < static_cast<std::size_t>(net_.batch); ++s) backward(s, forward(s));
    for (std::size_t l = 0; l < start_.weights.size(); ++l) {
      descend(start_.weights[l], gradient_w_[l]);
      descend(start_.biases[l], gradient_b_[l]);
    }
  }

 private:
  // Derivative of the error by an output is scale · (y − t).
  double scale() const {
    const double outputs = static_cast<double>(net_.batch * net_.sizes.back());
    return net_.error == Network::Error::half_square_sum ? 1 : 2 / outputs;
  }

  std::vector<Vector> forward(std::size_t sample) const {
    const auto inputs = static_cast<std::size_t>(net_.sizes[0]);
    std::vector<Vector> signal(1, Vector(inputs));
    for (std::size_t i = 0; i < inputs; ++i) signal[0][i] = start_.input[sample * inputs + i];
    for (std::size_t l = 0; l < start_.weights.size(); ++l) {
      const Vector& x = signal[l];
      Vector y = start_.biases[l];
      for (std::size_t k = 0; k < y.size(); ++k) {
        const double* w = &start_.weights[l][k * x.size()];
        for (std::size_t i = 0; i < x.size(); ++i) y[k] += w[i] * x[i];
        y[k] = 1 / (1 + std::exp(-y[k]));
      }
      signal.push_back(std::move(y));
    }
    return signal;
  }

  void backward(std::size_t sample, const std::vector<Vector>& signal) {
    Vector d = signal.back();
    for (std::size_t k = 0; k < d.size(); ++k) {
      d[k] = scale() * (d[k] - start_.target[sample * d.size() + k]);
    }
    for (std::size_t l = start_.weights.size(); l-- > 0;) {
      const Vector &x = signal[l], &y = signal[l + 1];
      Vector below(x.size(), 0);
      for (std::size_t k = 0; k < y.size(); ++k) {
        const double delta = d[k] * y[k] * (1 - y[k]);
        const std::size_t row = k * x.size();
        gradient_b_[l][k] += delta;
        for (std::size_t i = 0; i < x.size(); ++i) {
          gradient_w_[l][row + i] += delta * x[i];
          below[i] += delta * start_.weights[l][row + i];
        }
      }
      d = std::move(below);
    }
  }

  void descend(Vector& p, const Vector& g) const {
    for (std::size_t i = 0; i < p.size(); ++i) p[i] -= net_.rate * g[i];
  }

  const Network& net_;
  Start& start_;
  std::vector<Vector> gradient_w_, gradient_b_;
};

}  // namespace

Start make_start(const Network& net) {
  Random random;
  const auto draw = [&](std::int64_t n, double low, double high) {
    Vector v(static_cast<std::size_t>(n));
    for (double& x : v) {
      x = random.uniform(low, high);
      if (!net.f64) x = static_cast<double>(static_cast<float>(x));
    }
    return v;
  };
  Start s;
  s.input = draw(net.batch * net.sizes.front(), 0, 1);
  s.target = draw(net.batch * net.sizes.back(), 0.01, 0.99);
  for (std::size_t l = 0; l + 1 < net.sizes.size(); ++l) {
    const double r = std::sqrt(6.0 / static_cast<double>(net.sizes[l] + net.sizes[l + 1]));
    s.weights.push_back(draw(net.sizes[l] * net.sizes[l + 1], -r, r));
    s.biases.push_back(draw(net.sizes[l + 1], -0.1, 0.1));
  }
  return s;
}

double reference_error(const Network& net, Start start, int steps) {
  Trainer t(net, start);
  for (int i = 0; i < steps; ++i) t.step();
  return t.error();
}

// Forward derivatives, so that a mistake in reverse cannot be in here, too.
std::vector<double> reference_derivatives(const Chain& c) {
  double z = c.z, by_a = 0, by_b = 0;
  for (std::int64_t i = 0; i < c.length; ++i) {
    by_a = by_a * c.a + z;
    by_b = by_b * c.a + 1;
    z = z * c.a + c.b;
  }
  return {by_a, by_b};
}

}  // namespace bench
