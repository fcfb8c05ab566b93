#include <array>
#include <cblas.h>
#include <cmath>

#include "harness.hpp"

// What the workloads cost without a library: the derivatives worked out on paper, the buffers made
// once, every pass over memory that can be saved saved.
namespace {

using Floats = std::vector<float>;

struct Layer {
  int in, out;
  Floats weight, bias;  // [out, in], [out]
  Floats y, delta;      // [batch, out]: signals, then derivatives of the error by the sum inside
};

class HandNetwork : public bench::Task {
 public:
  HandNetwork(const bench::Network& net, const bench::Start& start)
      : batch_(static_cast<int>(net.batch)),
        rate_(static_cast<float>(net.rate)),
        input_(start.input.begin(), start.input.end()),
        target_(start.target.begin(), start.target.end()) {
    for (std::size_t l = 0; l < start.weights.size(); ++l) {
      const auto &w = start.weights[l], &b = start.biases[l];
      const Floats buffer(b.size() * static_cast<std::size_t>(batch_));
      layers_.push_back({static_cast<int>(net.sizes[l]), static_cast<int>(net.sizes[l + 1]),
                         Floats(w.begin(), w.end()), Floats(b.begin(), b.end()), buffer, buffer});
    }
  }

  void step() override {
    forward();
    output_delta();
    for (std::size_t l = layers_.size(); l-- > 0;) {
      // The layer below reads the weights of this forward pass, so they change after it.
      if (l > 0) hidden_delta(layers_[l], layers_[l - 1]);
      descend(layers_[l], l > 0 ? layers_[l - 1].y : input_);
    }
  }

  std::vector<double> result() override {
    forward();
    const Floats& y = layers_.back().y;
    double total = 0;
    for (std::size_t i = 0; i < y.size(); ++i) total += std::pow(double{y[i]} - target_[i], 2);
    return {total / static_cast<double>(y.size())};
  }

 private:
  void forward() {
    const Floats* x = &input_;
    for (Layer& l : layers_) {
      if (batch_ == 1) {
        cblas_sgemv(CblasRowMajor, CblasNoTrans, l.out, l.in, 1, l.weight.data(), l.in, x->data(),
                    1, 0, l.y.data(), 1);
      } else {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch_, l.out, l.in, 1, x->data(),
                    l.in, l.weight.data(), l.in, 0, l.y.data(), l.out);
      }
      activate(l);
      x = &l.y;
    }
  }

  void activate(Layer& l) const {
    float* __restrict y = l.y.data();
    const float* __restrict b = l.bias.data();
    for (int s = 0; s < batch_; ++s, y += l.out) {
      for (int k = 0; k < l.out; ++k) y[k] = 1 / (1 + std::exp(-(y[k] + b[k])));
    }
  }

  void output_delta() {
    Layer& l = layers_.back();
    const float scale = 2 / static_cast<float>(l.y.size());
    for (std::size_t i = 0; i < l.y.size(); ++i) {
      l.delta[i] = scale * (l.y[i] - target_[i]) * l.y[i] * (1 - l.y[i]);
    }
  }

  void hidden_delta(const Layer& l, Layer& below) const {
    if (batch_ == 1) {
      cblas_sgemv(CblasRowMajor, CblasTrans, l.out, l.in, 1, l.weight.data(), l.in, l.delta.data(),
                  1, 0, below.delta.data(), 1);
    } else {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, batch_, l.in, l.out, 1, l.delta.data(),
                  l.out, l.weight.data(), l.in, 0, below.delta.data(), l.in);
    }
    for (std::size_t i = 0; i < below.y.size(); ++i) {
      below.delta[i] *= below.y[i] * (1 - below.y[i]);
    }
  }

  // W ← W − η δᵀ x in one call: the gradient itself is never in memory.
  void descend(Layer& l, const Floats& x) const {
    if (batch_ == 1) {
      cblas_sger(CblasRowMajor, l.out, l.in, -rate_, l.delta.data(), 1, x.data(), 1,
                 l.weight.data(), l.in);
    } else {
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, l.out, l.in, batch_, -rate_,
                  l.delta.data(), l.out, x.data(), l.in, 1, l.weight.data(), l.in);
    }
    const float* d = l.delta.data();
    for (int s = 0; s < batch_; ++s, d += l.out) {
      for (int k = 0; k < l.out; ++k) l.bias[static_cast<std::size_t>(k)] -= rate_ * d[k];
    }
  }

  int batch_;
  float rate_;
  Floats input_, target_;
  std::vector<Layer> layers_;
};

// 2-2-2 in f64 without BLAS: the extents are constants, so the loops unroll.
class HandTiny : public bench::Task {
 public:
  HandTiny(const bench::Network& net, const bench::Start& start) : rate_(net.rate) {
    for (std::size_t i = 0; i < 2; ++i) {
      x_[i] = start.input[i];
      t_[i] = start.target[i];
    }
    for (std::size_t l = 0; l < 2; ++l) {
      for (std::size_t i = 0; i < 4; ++i) w_[l][i / 2][i % 2] = start.weights[l][i];
      for (std::size_t i = 0; i < 2; ++i) b_[l][i] = start.biases[l][i];
    }
  }

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
  using Pair = std::array<double, 2>;

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

  double rate_;
  Pair x_{}, t_{};
  std::array<std::array<Pair, 2>, 2> w_{};
  std::array<Pair, 2> b_{};
};

class HandChain : public bench::Task {
 public:
  explicit HandChain(const bench::Chain& chain)
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

  std::vector<double> result() override { return gradients_; }

 private:
  bench::Chain chain_;
  std::vector<double> z_, gradients_;
};

}  // namespace

int main(int argc, char** argv) {
  using bench::Task;
  const bench::Subject subject{
      "hand",
      [](const bench::Network& net, const bench::Start& start) -> std::unique_ptr<Task> {
        if (net.f64) return std::make_unique<HandTiny>(net, start);
        return std::make_unique<HandNetwork>(net, start);
      },
      [](const bench::Chain& chain) -> std::unique_ptr<Task> {
        return std::make_unique<HandChain>(chain);
      }};
  return bench::run(subject, argc, argv);
}
