#pragma once

#include <xtape/nn/activation.hpp>

// Layers of neurons that all see all inputs.

namespace xtape::nn {

/// What a Dense layer is made with.
struct DenseOptions {
  /// Whether there is a `bias`.
  bool bias = true;
  /// Of `weight`.
  Initializer weight_init = xavier_uniform();
  /// Of `bias`.
  Initializer bias_init = constant(0);
  /// Of both.
  DType dtype = f32;
};

/// A fully connected layer: y = x Wᵀ + b, for x of shape […, in]; `weight` is [out, in] (a row for
/// each neuron), `bias` is [out]. `in` may be nn::infer.
class Dense : public Cloneable<Dense> {
 public:
  /// @throws ValueError unless both extents are 1 or more.
  Dense(std::int64_t in, std::int64_t out, const DenseOptions& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;

  /// Extent of the last axis of the input.
  std::int64_t in_features() const { return weight().shape()[1]; }
  /// Number of neurons.
  std::int64_t out_features() const { return out_; }
  /// [out, in].
  const Parameter& weight() const { return own_parameters()[0]; }
  /// Undefined without a bias.
  Parameter bias() const { return own("bias"); }

 private:
  std::int64_t out_;
};

/// y[…, o] = Σ x[…, i] W[o, i, j] z[…, j] + b[o]: takes x [.., in1] and z [.., in2]. `weight` is
/// [out, in1, in2], `bias` [out].
class Bilinear : public Joining<Bilinear> {
 public:
  /// @throws ValueError unless all extents are 1 or more.
  Bilinear(std::int64_t in1, std::int64_t in2, std::int64_t out, const DenseOptions& options = {});
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;
};

/// A dense layer in which every neuron has an activation of its own: yₖ = fₖ(Wₖ·x + bₖ). Softmax,
/// which looks at all neurons, cannot be one of them.
class Neurons : public Cloneable<Neurons> {
 public:
  /// One neuron for each activation. @throws ValueError without any, or when in < 1.
  Neurons(std::int64_t in, std::vector<Activation> activations, const DenseOptions& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;

  /// The layer that computes the sums.
  const Dense& dense() const { return static_cast<const Dense&>(*children().at(0).module); }
  /// One for each neuron.
  const std::vector<Activation>& activations() const { return activations_; }

 private:
  std::vector<Activation> activations_;
};

}  // namespace xtape::nn
