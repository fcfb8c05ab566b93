#pragma once

#include <optional>
#include <vector>

#include <xtape/autodiff/program.hpp>
#include <xtape/fit/fit.hpp>
#include <xtape/optim/gradients.hpp>

namespace xtape::fit::detail {

/// Training steps of fit(): what is done with one batch. Everything given must stay.
class Stepper {
 public:
  Stepper(const nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
          const Options& options, optim::WeightAverage* average);
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  /// The loss of the batch. The optimizer makes its step when enough of them have come, or `last`.
  double train(const data::Batch& batch, bool last);
  /// Whether the last batch ended in a step of the optimizer.
  bool stepped() const { return waiting_ == 0; }

 private:
  Var record(const Var& x, const Var& targets);
  double run(const data::Batch& batch);
  double eagerly(const data::Batch& batch);
  template <class Gradients>
  Gradients clipped(Gradients gradients) const;
  template <class T>
  std::vector<T> spread(const std::vector<T>& gradients) const;
  void move(const Tensors& gradients);

  const nn::Module& net_;
  optim::Optimizer& optimizer_;
  const Loss& loss_;
  const Options& options_;
  optim::WeightAverage* average_;
  Parameters live_;  // those that are not frozen
  std::optional<optim::GradientSum> sums_;
  std::int64_t waiting_ = 0;  // batches in the sums
  Program program_;
};

}  // namespace xtape::fit::detail
