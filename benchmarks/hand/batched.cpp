#include <algorithm>

#include "gemm.hpp"
#include "hand.hpp"
#include "layers.hpp"
#include "parallel.hpp"

namespace hand {
namespace {

struct Layer {
  int in, out;
  bool activated;
  Floats weight, bias;  // [out, in], [out]
  Floats y, delta;      // [batch, out]: signals, then derivatives of the error by the sum inside
};

class Batched : public bench::Task {
 public:
  explicit Batched(const bench::Network& net) : Batched(net, bench::make_start(net)) {}

  void step() override {
    forward();
    output_.gradient(layers_.back().y.data(), layers_.back().delta.data(), 0, batch_);
    for (std::size_t l = layers_.size(); l-- > 0;) {
      finish_delta(layers_[l]);
      // The layer below reads the weights of this forward pass, so they change after it.
      if (l > 0) {
        gemm(Read::as_is, Read::as_is, batch_, layers_[l].in, layers_[l].out, 1,
             layers_[l].delta.data(), layers_[l].weight.data(), 0, layers_[l - 1].delta.data());
      }
      descend(layers_[l], l > 0 ? layers_[l - 1].y : input_);
    }
  }

  std::vector<double> result() override {
    forward();
    return {output_.error(layers_.back().y)};
  }

 private:
  Batched(const bench::Network& net, const bench::Start& start)
      : batch_(static_cast<int>(net.batch)),
        rate_(static_cast<float>(net.rate)),
        activation_(net.activation),
        input_(start.input),
        output_(net, start) {
    for (std::size_t l = 0; l < net.layers(); ++l) {
      const auto &w = start.layers.weights[l], &b = start.layers.biases[l];
      const Floats buffer(b.size() * static_cast<std::size_t>(batch_));
      layers_.push_back({static_cast<int>(net.sizes[l]), static_cast<int>(net.sizes[l + 1]),
                         net.activated(l), w, b, buffer, buffer});
    }
  }

  void forward() {
    const Floats* x = &input_;
    for (Layer& l : layers_) {
      gemm(Read::as_is, Read::transposed, batch_, l.out, l.in, 1, x->data(), l.weight.data(), 0,
           l.y.data());
      activate(l);
      x = &l.y;
    }
  }

  void activate(Layer& l) const {
    with_activation(l.activated, activation_, [&](auto value, auto) {
      in_parallel(batch_, l.out, [&](int begin, int end) {
        const float* __restrict b = l.bias.data();
        for (int s = begin; s < end; ++s) {
          float* __restrict y = l.y.data() + std::ptrdiff_t{s} * l.out;
          for (int k = 0; k < l.out; ++k) y[k] = value(y[k] + b[k]);
        }
      });
    });
  }

  // Times the slope of the activation; in the same pass the biases descend.
  void finish_delta(Layer& l) const {
    with_activation(l.activated, activation_, [&](auto, auto slope) {
      // By columns, so that threads do not meet at the sums.
      in_parallel(l.out, batch_, [&](int begin, int end) {
        float* __restrict b = l.bias.data();
        for (int s = 0; s < batch_; ++s) {
          const float* __restrict y = l.y.data() + std::ptrdiff_t{s} * l.out;
          float* __restrict d = l.delta.data() + std::ptrdiff_t{s} * l.out;
          for (int k = begin; k < end; ++k) {
            d[k] *= slope(y[k]);
            b[k] -= rate_ * d[k];
          }
        }
      });
    });
  }

  // W ← W − η δᵀ x in one call: the gradient itself is never in memory.
  void descend(Layer& l, const Floats& x) const {
    gemm(Read::transposed, Read::as_is, l.out, l.in, batch_, -rate_, l.delta.data(), x.data(), 1,
         l.weight.data());
  }

  int batch_;
  float rate_;
  Activation activation_;
  Floats input_;
  Output output_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<bench::Task> batched(const bench::Network& net) {
  return std::make_unique<Batched>(net);
}

std::unique_ptr<bench::Task> training(const bench::Network& net) {
  const auto is = [&](std::int64_t n) {
    return std::all_of(net.sizes.begin(), net.sizes.end(), [n](auto size) { return size == n; });
  };
  if (is(2)) return tiny(net);
  if (is(32) && net.batch % 32 == 0) return deep(net);
  return net.batch == 1 ? single(net) : batched(net);
}

}  // namespace hand
