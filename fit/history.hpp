#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <xtape/autodiff/error.hpp>

// What a training tells of itself.
namespace xtape::fit {

/// A step that failed: the loss or a gradient is not finite, a label is out of range. The text
/// names epoch, step and what was wrong. Parameters and optimizer are as before the step; nothing
/// else is restored.
class StepError : public ValueError {
 public:
  /// In that epoch and step, both counted from 1.
  StepError(std::int64_t epoch, std::int64_t step, const std::string& what);
  /// From 1.
  std::int64_t epoch() const { return epoch_; }
  /// Of the whole training, from 1.
  std::int64_t step() const { return step_; }

 private:
  std::int64_t epoch_, step_;
};

/// One pass over the data.
struct Epoch {
  std::int64_t number = 0;  ///< From 1.
  double loss = 0;          ///< Of the training batches as they came, the mean over examples.
  /// The mean over the validation examples; NaN without any.
  double validation_loss = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> metrics = {};  ///< Of the validation examples, as Options::metrics.
  double learning_rate = 0;          ///< Of the last step, first group.
  double seconds = 0;                ///< Since the beginning of the training, validation included.
  double samples_per_second = 0;     ///< Examples trained on over the time of the epoch's steps.
};

/// What happened in a training.
struct History {
  std::vector<std::string> metric_names;                    ///< Of Epoch::metrics.
  std::vector<Epoch> epochs;                                ///< Whole ones, resumed ones included.
  std::int64_t steps = 0;                                   ///< Of the optimizer.
  std::string monitored;                                    ///< What `best` is of.
  std::int64_t best_epoch = 0;                              ///< 0 before the first number.
  double best = std::numeric_limits<double>::quiet_NaN();   ///< Monitored value there.
  double score = std::numeric_limits<double>::quiet_NaN();  ///< That of the weights that were kept.
  std::string stopped;                                      ///< Why before the last epoch, or "".
  std::string resumed;  ///< The checkpoint that it went on from, or "".

  /// "loss", "validation_loss", "learning_rate" or a metric, epoch by epoch. @throws ValueError
  /// listing the names.
  std::vector<double> values(const std::string& name) const;
};

/// What on_step is told.
struct StepReport {
  std::int64_t epoch = 0;         ///< From 1.
  std::int64_t step = 0;          ///< Steps of the optimizer so far.
  std::int64_t batch = 0;         ///< Batches of this epoch so far.
  std::int64_t batches = 0;       ///< Of this epoch.
  std::int64_t samples = 0;       ///< Examples of this epoch so far.
  std::int64_t of = 0;            ///< Examples in this epoch.
  double loss = 0;                ///< Of this batch.
  double samples_per_second = 0;  ///< In this epoch so far.
  double seconds_left = 0;        ///< Until the last epoch ends, at the speed so far.
};

/// What on_epoch is told.
struct EpochReport {
  const Epoch& epoch;       ///< That just ended.
  bool improved = false;    ///< Whether the monitored value is the best so far.
  double seconds_left = 0;  ///< As in StepReport.
};

/// How a callback stops a training.
class Control {
 public:
  /// After this step or epoch. A checkpoint is written, if any are.
  void stop() { stopped_ = true; }
  /// Whether stop() was called.
  bool stopped() const { return stopped_; }

 private:
  bool stopped_ = false;
};

}  // namespace xtape::fit
