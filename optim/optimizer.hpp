#pragma once

#include <vector>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/program.hpp>

namespace xtape::optim {

/// Changes parameters by their gradients. Derived classes say how one parameter and its state move,
/// in ordinary operations: the same rule runs eagerly (as a program of its own, compiled at the
/// first step) and inside the programs that compile() makes of whole training steps.
///
/// The learning rate, the step count and all state are buffers (Parameter::buffer): a recorded step
/// reads them at every run, so set_learning_rate() needs no new recording.
class Optimizer {
 public:
  /// @throws ValueError when a parameter stands twice, or `learning_rate` is negative or not
  /// finite.
  Optimizer(Parameters parameters, double learning_rate);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of every parameter that is not frozen; `gradients` in the order of parameters().
  /// @throws ValueError, ShapeError or DTypeError naming the parameter whose gradient is missing,
  /// does not fit or (ValueError) is not finite; no parameter has changed then.
  void step(std::span<const Tensor> gradients);
  /// As above.
  void step(std::initializer_list<Tensor> gradients);
  /// The same for recorded gradients, inside compile(): notes the update, which every run of the
  /// program makes. Whether a gradient is finite is looked at in the run.
  void step(const std::vector<Var>& gradients);

  /// The rate of the next step.
  double learning_rate() const { return learning_rate_.value().item(); }
  /// May change between steps and runs: schedules. @throws ValueError as the constructor.
  void set_learning_rate(double learning_rate);
  /// The same by a recorded number, inside compile(): the rate of every run, from its argument.
  void set_learning_rate(const Var& learning_rate);
  /// Number of steps taken.
  std::int64_t steps() const { return static_cast<std::int64_t>(steps_.value().item()); }
  /// As given to the constructor.
  const Parameters& parameters() const { return parameters_; }

 protected:
  /// Moves parameter `i` by its gradient: assigns to it and to its state, through assign(). `rate`
  /// is the learning rate in the dtype of the parameter; steps taken before are steps_taken().
  virtual void update(std::size_t i, Parameter& p, const Var& gradient, const Var& rate) = 0;
  /// How many steps came before this one, as a recorded i64 number.
  const Parameter& steps_taken() const { return steps_; }

 private:
  void check(const std::vector<Spec>& gradients) const;
  void record(const std::vector<Var>& gradients);
  bool program_fits() const;
  void compile_step();

  Parameters parameters_;
  Parameter learning_rate_, steps_;
  Program program_;  // the eager step
  std::vector<bool> recorded_frozen_;
  std::vector<DType> recorded_dtype_;
  std::vector<Spec> specs_;   // of the gradients
  std::vector<Tensor> live_;  // gradients of those that are not frozen
};

}  // namespace xtape::optim
