#include "hand.hpp"
#include "layers.hpp"

// Batch 1: a matrix is read once forward and once backward, where the derivative for the layer
// below, the gradient and the update are one pass. Loops, because OpenBLAS needs two passes and
// wakes its threads for a quarter of a megabyte.
namespace hand {
namespace {

struct Layer {
  std::size_t in, out;
  bool activated;
  Floats weight, bias, y, delta;  // weight is [out, in], the others [out]
};

constexpr std::size_t kRows = 4;  // of the matrix at a time: x and sums are loaded once for all

class Single : public bench::Task {
 public:
  explicit Single(const bench::Network& net) : Single(net, bench::make_start(net)) {}

  void step() override {
    forward();
    output_.gradient(layers_.back().y.data(), layers_.back().delta.data(), 0, 1);
    for (std::size_t l = layers_.size(); l-- > 0;) {
      finish_delta(layers_[l]);
      if (l > 0) {
        descend_and_go_down(layers_[l], layers_[l - 1].y, layers_[l - 1].delta);
      } else {
        descend(layers_[l], input_);
      }
    }
  }

  std::vector<double> result() override {
    forward();
    return {output_.error(layers_.back().y)};
  }

 private:
  Single(const bench::Network& net, const bench::Start& start)
      : rate_(static_cast<float>(net.rate)),
        activation_(net.activation),
        input_(start.input),
        output_(net, start) {
    for (std::size_t l = 0; l < net.layers(); ++l) {
      const auto &w = start.layers.weights[l], &b = start.layers.biases[l];
      const Floats buffer(b.size());
      layers_.push_back({static_cast<std::size_t>(net.sizes[l]), b.size(), net.activated(l), w, b,
                         buffer, buffer});
    }
  }

  void forward() {
    const Floats* x = &input_;
    for (Layer& l : layers_) {
      products(l, x->data());
      with_activation(l.activated, activation_, [&](auto value, auto) {
        for (std::size_t k = 0; k < l.out; ++k) l.y[k] = value(l.y[k] + l.bias[k]);
      });
      x = &l.y;
    }
  }

  // y = W x.
  static void products(Layer& l, const float* __restrict x) {
    const std::size_t n = l.in;
    std::size_t k = 0;
    for (; k + kRows <= l.out; k += kRows) {
      const float* __restrict w = &l.weight[k * n];
      float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (std::size_t i = 0; i < n; ++i) {
        s0 += w[i] * x[i];
        s1 += w[n + i] * x[i];
        s2 += w[2 * n + i] * x[i];
        s3 += w[3 * n + i] * x[i];
      }
      l.y[k] = s0, l.y[k + 1] = s1, l.y[k + 2] = s2, l.y[k + 3] = s3;
    }
    for (; k < l.out; ++k) {
      float s = 0;
      for (std::size_t i = 0; i < n; ++i) s += l.weight[k * n + i] * x[i];
      l.y[k] = s;
    }
  }

  void finish_delta(Layer& l) const {
    with_activation(l.activated, activation_, [&](auto, auto slope) {
      for (std::size_t k = 0; k < l.out; ++k) {
        l.delta[k] *= slope(l.y[k]);
        l.bias[k] -= rate_ * l.delta[k];
      }
    });
  }

  void descend(Layer& l, const Floats& input) const {
    const float* __restrict x = input.data();
    for (std::size_t k = 0; k < l.out; ++k) {
      float* __restrict w = &l.weight[k * l.in];
      const float factor = rate_ * l.delta[k];
      for (std::size_t i = 0; i < l.in; ++i) w[i] -= factor * x[i];
    }
  }

  // below = Wᵀ δ and W ← W − η δ xᵀ.
  void descend_and_go_down(Layer& l, const Floats& input, Floats& result) const {
    const std::size_t n = l.in;
    const float* __restrict x = input.data();
    float* __restrict below = result.data();
    for (std::size_t i = 0; i < n; ++i) below[i] = 0;
    std::size_t k = 0;
    for (; k + 2 <= l.out; k += 2) {
      float* __restrict w0 = &l.weight[k * n], * __restrict w1 = w0 + n;
      const float d0 = l.delta[k], d1 = l.delta[k + 1];
      for (std::size_t i = 0; i < n; ++i) {
        below[i] += d0 * w0[i] + d1 * w1[i];
        w0[i] -= rate_ * d0 * x[i];
        w1[i] -= rate_ * d1 * x[i];
      }
    }
    for (; k < l.out; ++k) {
      float* __restrict w = &l.weight[k * n];
      const float d = l.delta[k];
      for (std::size_t i = 0; i < n; ++i) {
        below[i] += d * w[i];
        w[i] -= rate_ * d * x[i];
      }
    }
  }

  float rate_;
  Activation activation_;
  Floats input_;
  Output output_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<bench::Task> single(const bench::Network& net) {
  return std::make_unique<Single>(net);
}

}  // namespace hand
