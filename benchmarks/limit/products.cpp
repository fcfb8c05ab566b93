#include <functional>

#include "../hand/gemm.hpp"
#include "limit.hpp"

namespace limit {
namespace {

using Floats = std::vector<float>;
using hand::Read;

// The matrices of one layer of a step.
struct Layer {
  int in, out;
  Floats weight, weight_gradient;  // [out, in]
  Floats x, below, y, delta;       // [batch, in] twice, [batch, out] twice
};

class Products : public bench::Task {
 public:
  explicit Products(const bench::Network& net) : batch_(static_cast<int>(net.batch)) {
    const bench::Layers start = bench::make_start(net).layers;
    for (std::size_t l = 0; l < net.layers(); ++l) {
      const auto inputs = static_cast<std::size_t>(net.batch * net.sizes[l]);
      const auto outputs = static_cast<std::size_t>(net.batch * net.sizes[l + 1]);
      // No zeros and no denormal numbers.
      layers_.push_back({static_cast<int>(net.sizes[l]), static_cast<int>(net.sizes[l + 1]),
                         start.weights[l], start.weights[l], Floats(inputs, 0.5F),
                         Floats(inputs, 0.5F), Floats(outputs, 0.5F), Floats(outputs, 0.25F)});
    }
  }

  std::vector<double> result() override { return {}; }

 protected:
  // y = x Wᵀ
  void forward(Layer& l) const {
    if (batch_ == 1) return hand::gemv(l.out, l.in, l.weight.data(), l.x.data(), l.y.data());
    hand::gemm(Read::as_is, Read::transposed, batch_, l.out, l.in, 1, l.x.data(), l.weight.data(),
               0, l.y.data());
  }
  // x̄ = δ W
  void backward(Layer& l) const {
    if (batch_ == 1) {
      return hand::gemv_transposed(l.out, l.in, l.weight.data(), l.delta.data(), l.below.data());
    }
    hand::gemm(Read::as_is, Read::as_is, batch_, l.in, l.out, 1, l.delta.data(), l.weight.data(), 0,
               l.below.data());
  }
  // W̄ = δᵀ x
  void gradient(Layer& l) const {
    if (batch_ == 1) {
      return hand::ger(l.out, l.in, 1e-9F, l.delta.data(), l.x.data(), l.weight_gradient.data());
    }
    hand::gemm(Read::transposed, Read::as_is, l.out, l.in, batch_, 1, l.delta.data(), l.x.data(), 0,
               l.weight_gradient.data());
  }

  int batch_;
  std::vector<Layer> layers_;
};

class Training : public Products {
 public:
  using Products::Products;
  void step() override {
    for (Layer& l : layers_) forward(l);
    for (std::size_t l = layers_.size(); l-- > 0;) {
      if (l > 0) backward(layers_[l]);
      gradient(layers_[l]);
    }
  }
};

// With Ṽ the direction and tildes for derivatives along it (Pearlmutter, "Fast exact multiplication
// by the Hessian", 1994): x Wᵀ, x Ṽᵀ and x̃ Wᵀ forward, δ W, δ̃ W and δ Ṽ backward, δ̃ᵀ x and δᵀ x̃
// for the result. The input has no x̃, and nothing is wanted below the first layer. Reverse over
// reverse needs as many.
class HessianVector : public Products {
 public:
  using Products::Products;
  void step() override {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      for (int i = 0; i < (l > 0 ? 3 : 2); ++i) forward(layers_[l]);
    }
    for (std::size_t l = layers_.size(); l-- > 0;) {
      for (int i = 0; i < (l > 0 ? 3 : 0); ++i) backward(layers_[l]);
      for (int i = 0; i < (l > 0 ? 2 : 1); ++i) gradient(layers_[l]);
    }
  }
};

}  // namespace

std::unique_ptr<bench::Task> training(const bench::Network& net) {
  return std::make_unique<Training>(net);
}
std::unique_ptr<bench::Task> hessian_vector(const bench::Network& net) {
  return std::make_unique<HessianVector>(net);
}

}  // namespace limit
