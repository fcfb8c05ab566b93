#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include <xtape/optim/optimizer.hpp>

// Learning rates over time.
namespace xtape::optim {

/// A factor of the base learning rate for each step 0, 1, 2, … (or epoch): the functions below make
/// some, and any other function of the step is one, too.
using Schedule = std::function<double(std::int64_t step)>;

/// Sets the rate of the next step in every group: base_learning_rate() · schedule(steps taken). To
/// be called before each step; nothing is kept but the optimizer's own step count, so that
/// restoring the optimizer restores the schedule. @throws ValueError when the factor is negative or
/// not finite; nothing has changed then.
void drive(Optimizer& optimizer, const Schedule& schedule);
/// The same at a step, or epoch, of the caller's count.
void drive(Optimizer& optimizer, const Schedule& schedule, std::int64_t step);

/// `factor` for the first `steps` steps (always when not said), then 1.
Schedule constant(double factor, std::int64_t steps = std::numeric_limits<std::int64_t>::max());
/// Falls by `factor` after every `every` steps: factor^⌊step / every⌋.
Schedule step_decay(std::int64_t every, double factor = 0.1);
/// Falls by `factor` at each of the milestones, at one that stands twice by its square.
Schedule multi_step(std::vector<std::int64_t> milestones, double factor = 0.1);
/// factor^step.
Schedule exponential(double factor);
/// A straight line between two factors over `steps` steps, then the latter.
Schedule linear(double from, double to, std::int64_t steps);
/// (1 − step / steps)^power, then 0.
Schedule polynomial(std::int64_t steps, double power = 1);
/// From 1 to `floor` along half a cosine, floor + (1 − floor) (1 + cos(π step / steps)) / 2, and up
/// again after `steps` steps. Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
/// restarts", 2017.
Schedule cosine(std::int64_t steps, double floor = 0);

/// Settings of cosine_restarts.
struct RestartOptions {
  std::int64_t growth = 1;  ///< Each period is so many times as long as the one before.
  double floor = 0;         ///< As for cosine.
};
/// The same, back at 1 after `steps` steps.
Schedule cosine_restarts(std::int64_t steps, const RestartOptions& options = {});

/// A line from `from` to 1 over `steps` steps, then `then` from its beginning. Goyal et al.,
/// "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
Schedule warm_up(std::int64_t steps, Schedule then = constant(1), double from = 0);
/// Schedule k from milestone k − 1 on, each from its own beginning; one milestone less than parts.
Schedule sequential(std::vector<Schedule> parts, std::vector<std::int64_t> milestones);
/// The product of all.
Schedule chained(std::vector<Schedule> parts);

/// Settings of one_cycle: the base learning rate of the optimizer is the highest.
struct OneCycleOptions {
  std::int64_t steps = 0;       ///< Of the whole, 2 or more.
  double rise = 0.3;            ///< The part of it that goes up, in (0, 1).
  double start = 1.0 / 25;      ///< The factor of the first step.
  double end = 1.0 / 25 / 1e4;  ///< That of the last.
  bool linear = false;          ///< Lines in place of halves of cosines.
  bool three_phases = false;    ///< Down to `start` as fast as up, and then to `end`.
  double low_momentum = 0.85;   ///< Where the rate is highest.
  double high_momentum = 0.95;  ///< Where it is low.
};
/// Up to 1 and down again, once; the last value afterwards. Smith and Topin, "Super-convergence:
/// very fast training of neural networks using large learning rates", 2018.
Schedule one_cycle(const OneCycleOptions& options);
/// The momenta that belong to it, for Optimizer::set_momentum: low where the rate is high.
Schedule one_cycle_momentum(const OneCycleOptions& options);

/// How the waves of cyclic() change.
enum class Waves : std::uint8_t {
  equal,   ///< They do not.
  halved,  ///< Each is half as high as the one before.
  decayed  ///< By `decay` in each step.
};
/// Settings of cyclic: the base learning rate of the optimizer is the highest.
struct CyclicOptions {
  double floor = 0.1;          ///< The lowest factor.
  std::int64_t up = 2000;      ///< Steps that rise.
  std::int64_t down = 2000;    ///< Steps that fall.
  Waves waves = Waves::equal;  ///< See there.
  double decay = 1;            ///< For Waves::decayed.
};
/// Triangles between `floor` and 1. Smith, "Cyclical learning rates for training neural networks",
/// 2017.
Schedule cyclic(const CyclicOptions& options);

/// Settings of ReduceOnPlateau.
struct PlateauOptions {
  double factor = 0.1;         ///< Of the learning rate, in (0, 1).
  std::int64_t patience = 10;  ///< Observations without improvement that are endured.
  /// Less is no improvement: a part of |best|, unless `absolute`. (The usual formula takes a part
  /// of best itself, which differs for negative values only: there, staying would be improvement.)
  double threshold = 1e-4;
  bool absolute = false;      ///< Whether it is a difference, not a part of the best.
  std::int64_t cooldown = 0;  ///< Observations after a change that do not count.
  double smallest_rate = 0;   ///< No rate goes below it.
  double negligible = 1e-8;   ///< Changes of a rate not larger than this are not made.
  bool maximize = false;      ///< Whether larger is better.
};

/// Lowers the learning rates when a quantity, such as the loss of the validation data, no longer
/// improves.
class ReduceOnPlateau {
 public:
  /// What it remembers: all there is to save.
  struct State {
    double best;                ///< ±∞ at the beginning.
    std::int64_t bad = 0;       ///< Observations since that.
    std::int64_t cooldown = 0;  ///< Observations that will not count.
  };
  /// @throws ValueError for an option outside its range.
  explicit ReduceOnPlateau(const PlateauOptions& options = {});
  /// Notes one value, and lowers all rates when it is time. NaN is no improvement.
  /// @returns whether it was.
  bool observe(Optimizer& optimizer, double value);
  const State& state() const { return state_; }         ///< To be saved.
  void restore(const State& state) { state_ = state; }  ///< Continues from there.

 private:
  bool better(double value) const;

  PlateauOptions options_;
  State state_;
};

}  // namespace xtape::optim
