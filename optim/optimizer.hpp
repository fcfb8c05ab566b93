#pragma once

#include <vector>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/parameter.hpp>

namespace xtape::optim {

/// Changes parameters by their gradients. Derived classes say how one parameter and its state move,
/// in ordinary operations.
class Optimizer {
 public:
  /// @throws ValueError when a parameter stands twice, or `learning_rate` is negative or not
  /// finite.
  Optimizer(Parameters parameters, double learning_rate);
  virtual ~Optimizer() = default;

  /// One update of every parameter that is not frozen; `gradients` in the order of parameters().
  /// @throws ValueError, ShapeError or DTypeError naming the parameter whose gradient is missing,
  /// does not fit or (ValueError) is not finite; no parameter has changed then.
  void step(const std::vector<Tensor>& gradients);

  /// The rate of the next step.
  double learning_rate() const { return learning_rate_; }
  /// May change between steps: schedules. @throws ValueError as the constructor.
  void set_learning_rate(double learning_rate);
  /// Number of steps taken.
  std::int64_t steps() const { return steps_; }
  /// As given to the constructor.
  const Parameters& parameters() const { return parameters_; }

 protected:
  /// The new value of parameter `i` from its value and gradient; t = steps() counts from 1 here.
  virtual Tensor update(std::size_t i, const Tensor& value, const Tensor& gradient) = 0;

 private:
  Parameters parameters_;
  double learning_rate_;
  std::int64_t steps_ = 0;
};

}  // namespace xtape::optim
