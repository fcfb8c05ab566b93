#pragma once

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/program.hpp>

namespace xtape::optim {

/// Settings of WeightAverage.
struct WeightAverageOptions {
  double decay = 0.999;  ///< d in [0, 1).
  bool warm_up =
      true;  ///< min(d, (1 + t) / (10 + t)) in update t = 0, 1, …: young averages follow.
};

/// An exponential moving average of weights, a ← a + (1 − d) (p − a), which often serves better
/// than the weights that it follows. Polyak and Juditsky, "Acceleration of stochastic approximation
/// by averaging", 1992.
///
///     sgd.step(gradients);
///     average.update();
///     {
///       const auto swapped = average.swap_in();  // the averages are the weights
///       validate(net);
///     }                                          // and the weights are back
class WeightAverage {
 public:
  /// Starts at the present values. @throws ValueError unless the decay is in [0, 1).
  explicit WeightAverage(const Parameters& parameters, const WeightAverageOptions& options = {});
  WeightAverage(const WeightAverage&) = delete;
  WeightAverage& operator=(const WeightAverage&) = delete;

  /// After a step. @throws ValueError while the averages are swapped in.
  void update();
  /// The same inside compile(), in the recording of `recorded` and behind the step of the
  /// optimizer. A run while the averages are swapped in throws, before anything changes.
  void update(const Var& recorded);

  /// Gives the weights back when it goes.
  class Swapped {
   public:
    /// For swap_in().
    explicit Swapped(WeightAverage& average) : average_(&average) { average.swap(); }
    Swapped(const Swapped&) = delete;
    Swapped& operator=(const Swapped&) = delete;
    ~Swapped() { average_->swap(); }

   private:
    WeightAverage* average_;
  };
  /// Exchanges weights and averages for the life of the result. @throws ValueError when they are
  /// already exchanged.
  [[nodiscard]] Swapped swap_in();
  /// The averages become the weights for good.
  void assign_to_parameters();

  /// The average of parameter i.
  const Tensor& average(std::size_t i) const { return averages_[i].value(); }
  /// The number of updates, then the averages: all there is to save.
  Parameters state() const;

 private:
  friend class Swapped;
  void swap();
  void check_in_place() const;

  const Parameters& averages() const;

  Parameters parameters_, averages_;
  Parameter updates_;
  Parameter swapped_;  // 1 while the averages are swapped in: programs look at it, too
  WeightAverageOptions options_;
  Program program_;  // the eager update
};

}  // namespace xtape::optim
