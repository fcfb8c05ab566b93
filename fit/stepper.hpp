#pragma once

#include <optional>
#include <span>
#include <variant>
#include <vector>

#include <xtape/autodiff/program.hpp>
#include <xtape/fit/fit.hpp>
#include <xtape/optim/gradients.hpp>

namespace xtape::fit::detail {

/// What moves the parameters.
using Mover = std::variant<optim::Optimizer*, optim::LBFGS*>;
/// What both have.
inline const Parameters& parameters_of(const Mover& m) {
  return std::visit([](auto* o) -> const Parameters& { return o->parameters(); }, m);
}
/// Everything that its next step depends on.
inline Parameters state_of(const Mover& m) {
  return std::visit([](auto* o) { return o->state(); }, m);
}

/// The inputs of a batch in the order in which networks take them, and behind them the labels.
std::vector<Tensor> arguments(const data::Batch& batch);
/// Of each.
std::vector<Spec> specs(const std::vector<Tensor>& all);
/// What a network gives for the first of such arguments.
Var outputs(const nn::Module& net, std::span<const Var> arguments);
/// Those of them that are not frozen. @throws ValueError when there is none.
Parameters live(const Parameters& all);
/// @throws ValueError for NaN or infinity.
void check_loss(double loss);

/// Training steps: what is done with one batch.
class Steps {
 public:
  virtual ~Steps() = default;
  /// The loss of the batch, with `last` the last one of an epoch.
  virtual double train(const data::Batch& batch, bool last) = 0;
  /// Whether the last batch ended in a step of the optimizer.
  virtual bool stepped() const = 0;
};

/// Steps of a rule. Everything given must stay.
class Stepper : public Steps {
 public:
  Stepper(const nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
          const Options& options, optim::WeightAverage* average);
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  /// The optimizer makes its step when enough batches have come, or `last`.
  double train(const data::Batch& batch, bool last) override;
  bool stepped() const override { return waiting_ == 0; }

 private:
  Var record(std::span<const Var> arguments);
  double run(const data::Batch& batch);
  double eagerly(const data::Batch& batch);
  template <class Gradients>
  Gradients clipped(Gradients gradients) const;
  void follow_callbacks();
  void move(const Tensors& gradients);

  const nn::Module& net_;
  optim::Optimizer& optimizer_;
  const Loss& loss_;
  const Options& options_;
  optim::WeightAverage* average_;
  std::vector<bool> frozen_;  // when the last step was made
  std::optional<optim::GradientSum> sums_;
  std::int64_t waiting_ = 0;  // batches in the sums
  Program program_;
  std::vector<bool> modes_;  // that it was recorded in
};

/// Steps of L-BFGS, each with as many evaluations of its batch as it takes.
class QuasiNewtonStepper : public Steps {
 public:
  /// @throws ValueError for options that belong to rules.
  QuasiNewtonStepper(const nn::Module& net, optim::LBFGS& optimizer, const Loss& loss,
                     const Options& options, optim::WeightAverage* average);
  QuasiNewtonStepper(const QuasiNewtonStepper&) = delete;
  QuasiNewtonStepper& operator=(const QuasiNewtonStepper&) = delete;
  double train(const data::Batch& batch, bool last) override;
  bool stepped() const override { return true; }

 private:
  optim::Evaluation evaluate(const std::vector<Tensor>& arguments);

  const nn::Module& net_;
  optim::LBFGS& optimizer_;
  const Loss& loss_;
  bool compiled_;
  optim::WeightAverage* average_;
  Parameters live_;
  Program program_;
  std::vector<bool> modes_;  // that it was recorded in
};

}  // namespace xtape::fit::detail
