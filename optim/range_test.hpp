#pragma once

#include <functional>
#include <string>
#include <vector>

#include <xtape/optim/optimizer.hpp>

namespace xtape::optim {

/// Settings of find_learning_rate.
struct RangeTestOptions {
  double from = 1e-7;        ///< The first rate, more than 0.
  double to = 10;            ///< The last.
  std::int64_t steps = 100;  ///< Of training, from one to the other in equal ratios; 2 or more.
  double smoothing = 0.95;   ///< Of the losses: the decay of their average, in [0, 1).
  double divergence = 4;     ///< Ends when the smoothed loss is so many times its least.
  /// What else a step changes: running statistics (`net.buffers()`), places of random numbers
  /// (`net.random_state()`).
  Parameters restored = {};
};

/// What find_learning_rate found.
struct RangeTest {
  std::vector<double> rates;   ///< That were tried.
  std::vector<double> losses;  ///< Smoothed, the losses before the step with each rate.
  double suggestion = 0;       ///< Where the smoothed loss falls fastest over ln rate.
  std::string stopped;         ///< Why before the end: "" or the reason.
};

/// Trains a little with learning rates that grow, to see which of them train. `step` makes one step
/// with `optimizer` and its next batch and returns the loss. Parameters, optimizer and what
/// `restored` names are afterwards as before, also when something throws. Smith, "Cyclical learning
/// rates for training neural networks", 2017, section 3.3.
///
/// The test ends when the loss diverges or is not finite. A ValueError of a later step than the
/// first (the optimizer refuses gradients that are not finite) ends it, too; `stopped` says so.
/// @throws ValueError for an option outside its range, or when fewer than 3 losses came out.
RangeTest find_learning_rate(Optimizer& optimizer, const std::function<double()>& step,
                             const RangeTestOptions& options = {});

}  // namespace xtape::optim
