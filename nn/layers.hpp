#pragma once

#include <xtape/autodiff/elementwise.hpp>
#include <xtape/nn/module.hpp>

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
/// each neuron), `bias` is [out].
class Dense : public Cloneable<Dense> {
 public:
  /// @throws ValueError unless both extents are 1 or more.
  Dense(std::int64_t in, std::int64_t out, const DenseOptions& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;
  Shape output_shape(const Shape& in) const override;
  void rebind() override;

  /// Extent of the last axis of the input.
  std::int64_t in_features() const { return weight_.shape()[1]; }
  /// Number of neurons.
  std::int64_t out_features() const { return weight_.shape()[0]; }
  /// [out, in].
  const Parameter& weight() const { return weight_; }
  /// Undefined without a bias.
  const Parameter& bias() const { return bias_; }

 private:
  Parameter weight_, bias_;
};

/// A named elementwise or row-wise function of its input, without parameters.
class Activation : public Cloneable<Activation> {
 public:
  /// What an activation computes.
  using Function = std::function<Var(const Var&)>;
  /// From any function of a Var that keeps its shape.
  Activation(std::string name, Function f) : name_(std::move(name)), f_(std::move(f)) {}
  /// From a user's scalar function, see xtape::elementwise.
  Activation(const xtape::Elementwise& f) : Activation(f.name(), f) {}
  Var forward(const Var& x) const override { return f_(x); }
  std::string describe() const override { return name_; }
  /// As shown by describe().
  const std::string& name() const { return name_; }
  /// True when both are the same function known to the library.
  bool same_as(const Activation& o) const;

 private:
  std::string name_;
  Function f_;
};

/// y = 1/(1 + e⁻ˣ).
class Sigmoid : public Activation {
 public:
  Sigmoid();
};
/// y = max(x, 0).
class ReLU : public Activation {
 public:
  ReLU();
};
/// y = tanh x.
class Tanh : public Activation {
 public:
  Tanh();
};
/// y = ln(1 + eˣ).
class Softplus : public Activation {
 public:
  Softplus();
};
/// y = eˣ / Σ eˣ along the last axis.
class Softmax : public Activation {
 public:
  Softmax();
};
/// y = x.
class Identity : public Activation {
 public:
  Identity();
};
/// A user's own scalar activation as a layer:
/// `nn::Elementwise("mish", [](auto x) { return x * tanh(softplus(x)); })`.
class Elementwise : public Activation {
 public:
  /// From a generic lambda of a scalar.
  template <class F>
  Elementwise(std::string name, F f)
      : Activation(xtape::elementwise(std::move(name), std::move(f))) {}
  /// From an elementwise operation.
  Elementwise(const xtape::Elementwise& f) : Activation(f) {}
};

/// The activation of that name (sigmoid, relu, tanh, softplus, softmax, identity).
/// @throws ParseError listing the names.
Activation activation(const std::string& name);

/// A dense layer in which every neuron has an activation of its own: yₖ = fₖ(Wₖ·x + bₖ). Softmax,
/// which looks at all neurons, cannot be one of them.
class Neurons : public Cloneable<Neurons> {
 public:
  /// One neuron for each activation. @throws ValueError without any, or when in < 1.
  Neurons(std::int64_t in, std::vector<Activation> activations, const DenseOptions& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;
  Shape output_shape(const Shape& in) const override;
  void rebind() override;

  /// The layer that computes the sums.
  const Dense& dense() const { return static_cast<const Dense&>(*children().at(0).module); }
  /// One for each neuron.
  const std::vector<Activation>& activations() const { return activations_; }

 private:
  std::vector<Activation> activations_;
};

}  // namespace xtape::nn
