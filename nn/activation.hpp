#pragma once

#include <initializer_list>
#include <vector>

#include <xtape/autodiff/elementwise.hpp>
#include <xtape/nn/module.hpp>

// Activation functions as layers. What they compute, and where it is from, is said with the
// operations of the same names in autodiff/ops/activation.hpp.
namespace xtape::nn {

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
  /// As shown by describe(): for the library's own what activation() makes it of.
  const std::string& name() const { return name_; }
  /// True when both are the same function known to the library.
  bool same_as(const Activation& o) const { return known_ && o.known_ && name_ == o.name_; }
  /// Whether it is known to compute each element from that element alone.
  bool elementwise() const { return elementwise_; }

 private:
  friend Activation activation(const std::string& name, const std::vector<double>& arguments);
  std::string name_;
  Function f_;
  bool known_ = false, elementwise_ = true;
};

/// The activation of that name, e.g. "relu", "leaky_relu" (with its usual slope), or
/// "leaky_relu:0.2", "hardtanh:-2:2"; gelu_tanh is gelu by tanh.
/// @throws ParseError listing the names, or for numbers that it does not take.
Activation activation(const std::string& text);
/// The same with the numbers apart; those left out have their usual values.
Activation activation(const std::string& name, const std::vector<double>& arguments);

/// An activation that activation() knows.
struct ActivationKind {
  const char* name;                               ///< "leaky_relu".
  const char* arguments[2] = {};                  ///< Names of its numbers, or null.
  double usual[2] = {};                           ///< Their values when left out.
  Var (*f)(const Var&, const double*) = nullptr;  ///< What it computes with them.
  bool elementwise = true;                        ///< False where it looks at several elements.
};
/// All of them.
std::span<const ActivationKind> activation_kinds();

/// y = 1/(1 + e⁻ˣ).
struct Sigmoid : Activation {
  Sigmoid() : Activation(activation("sigmoid")) {}
};
/// y = max(x, 0).
struct ReLU : Activation {
  ReLU() : Activation(activation("relu")) {}
};
/// y = tanh x.
struct Tanh : Activation {
  Tanh() : Activation(activation("tanh")) {}
};
/// y = ln(1 + e^(βx)) / β, and x where βx > threshold.
struct Softplus : Activation {
  Softplus() : Activation(activation("softplus")) {}
  /// @throws ValueError at the first use for β = 0.
  explicit Softplus(double beta, double threshold = 20)
      : Activation(activation("softplus", {beta, threshold})) {}
};
/// y = eˣ / Σ eˣ along an axis.
struct Softmax : Activation {
  /// Along the last axis, or another one.
  explicit Softmax(int axis = -1) : Activation(activation("softmax", {double(axis)})) {}
};
/// y = ln softmax x along an axis.
struct LogSoftmax : Activation {
  /// Along the last axis, or another one.
  explicit LogSoftmax(int axis = -1) : Activation(activation("log_softmax", {double(axis)})) {}
};
/// y = softmax(−x) along an axis.
struct Softmin : Activation {
  /// Along the last axis, or another one.
  explicit Softmin(int axis = -1) : Activation(activation("softmin", {double(axis)})) {}
};
/// y = x.
struct Identity : Activation {
  Identity() : Activation(activation("identity")) {}
};
/// y = x for x > 0, else slope·x.
struct LeakyReLU : Activation {
  /// The slope for x < 0.
  explicit LeakyReLU(double slope = 0.01) : Activation(activation("leaky_relu", {slope})) {}
};
/// y = x for x > 0, else α (eˣ − 1).
struct ELU : Activation {
  /// See the formula.
  explicit ELU(double alpha = 1) : Activation(activation("elu", {alpha})) {}
};
/// The self-normalizing elu.
struct SELU : Activation {
  SELU() : Activation(activation("selu")) {}
};
/// y = x for x > 0, else α (e^(x/α) − 1).
struct CELU : Activation {
  /// α ≠ 0.
  explicit CELU(double alpha = 1) : Activation(activation("celu", {alpha})) {}
};
/// y = x sigmoid x.
struct SiLU : Activation {
  SiLU() : Activation(activation("silu")) {}
};
/// y = x Φ(x), exactly or by tanh.
struct GELU : Activation {
  /// Exact unless told otherwise.
  explicit GELU(Gelu form = Gelu::exact)
      : Activation(activation(form == Gelu::exact ? "gelu" : "gelu_tanh")) {}
};
/// y = x tanh(softplus x).
struct Mish : Activation {
  Mish() : Activation(activation("mish")) {}
};
/// y = x / (1 + |x|).
struct Softsign : Activation {
  Softsign() : Activation(activation("softsign")) {}
};
/// y = ln sigmoid x.
struct LogSigmoid : Activation {
  LogSigmoid() : Activation(activation("log_sigmoid")) {}
};
/// y = x limited to [low, high].
struct Hardtanh : Activation {
  /// low ≤ high.
  explicit Hardtanh(double low = -1, double high = 1)
      : Activation(activation("hardtanh", {low, high})) {}
};
/// y = x limited to [0, 6].
struct ReLU6 : Activation {
  ReLU6() : Activation(activation("relu6")) {}
};
/// y = relu6(x + 3) / 6.
struct Hardsigmoid : Activation {
  Hardsigmoid() : Activation(activation("hardsigmoid")) {}
};
/// y = x relu6(x + 3) / 6.
struct Hardswish : Activation {
  Hardswish() : Activation(activation("hardswish")) {}
};
/// y = x − tanh x.
struct Tanhshrink : Activation {
  Tanhshrink() : Activation(activation("tanhshrink")) {}
};
/// y = x moved by λ towards 0.
struct Softshrink : Activation {
  /// λ ≥ 0.
  explicit Softshrink(double lambda = 0.5) : Activation(activation("softshrink", {lambda})) {}
};
/// y = x for |x| > λ, else 0.
struct Hardshrink : Activation {
  /// λ ≥ 0.
  explicit Hardshrink(double lambda = 0.5) : Activation(activation("hardshrink", {lambda})) {}
};
/// y = x for x > threshold, else value.
struct Threshold : Activation {
  /// See the formula.
  Threshold(double threshold, double value)
      : Activation(activation("threshold", {threshold, value})) {}
};
/// y = a sigmoid b, a and b the halves of x along an axis.
struct GLU : Activation {
  /// Along the last axis, or another one.
  explicit GLU(int axis = -1) : Activation(activation("glu", {double(axis)})) {}
};
/// A user's own scalar activation as a layer:
/// `nn::Elementwise("mish", [](auto x) { return x * tanh(softplus(x)); })`.
struct Elementwise : Activation {
  /// From a generic lambda of a scalar.
  template <class F>
  Elementwise(std::string name, F f)
      : Activation(xtape::elementwise(std::move(name), std::move(f))) {}
  /// From an elementwise operation.
  Elementwise(const xtape::Elementwise& f) : Activation(f) {}
};

/// What a PReLU layer is made with.
struct PReLUOptions {
  std::int64_t channels = 1;  ///< One slope for all, or one for each channel (axis 1).
  double init = 0.25;         ///< The first value of the slopes.
  DType dtype = f32;          ///< Of the slopes.
};
/// y = x for x > 0, else weight·x, with learned slopes `weight` [channels] (He et al. 2015).
class PReLU : public Cloneable<PReLU> {
 public:
  /// @throws ValueError unless there is a channel.
  explicit PReLU(const PReLUOptions& options = {});
  Var forward(const Var& x) const override { return prelu(x, own_parameters()[0]); }
  std::string describe() const override;
};

}  // namespace xtape::nn
