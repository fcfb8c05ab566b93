#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <xtape/autodiff/rng.hpp>
#include <xtape/data/dataset.hpp>
#include <xtape/data/sampler.hpp>
#include <xtape/fit/evaluate.hpp>
#include <xtape/fit/history.hpp>
#include <xtape/fit/metrics.hpp>
#include <xtape/nn/module.hpp>
#include <xtape/optim/average.hpp>
#include <xtape/optim/lbfgs.hpp>
#include <xtape/optim/optimizer.hpp>
#include <xtape/optim/schedule.hpp>

// The training loop.
namespace xtape::fit {

/// When a training ends before its last epoch: `monitor` no longer improves.
struct EarlyStopping {
  std::int64_t patience = 10;  ///< So many epochs in a row without improvement, 1 or more.
  double min_delta = 0;        ///< An improvement is more than that.
  bool restore_best = true;    ///< Weights and buffers of the best epoch are kept at the end.
};

/// Which monitored values are good.
enum class Mode : std::uint8_t {
  automatic,  ///< Losses small, metrics as they say.
  minimize,   ///< Small ones.
  maximize    ///< Large ones.
};

/// Where a training is kept while it lasts, see io::Checkpoint.
struct CheckpointOptions {
  std::string folder;             ///< Made where it is missing. Empty: nowhere.
  std::int64_t every_epochs = 1;  ///< 0: only at the end.
  std::int64_t every_steps = 0;   ///< Within epochs, too, unless 0.
  std::int64_t keep_last = 3;     ///< So many files.
  /// Go on from the newest whole one in the folder. Else checkpoints that are there are set aside,
  /// in a folder of their own.
  bool resume = true;
  /// Text that goes into the files, e.g. which network they are of: to go on, it must be the same.
  std::map<std::string, std::string> metadata = {};
};

/// How fit() goes about it.
struct Options {
  std::int64_t epochs = 10;      ///< Passes over the data.
  std::int64_t batch_size = 32;  ///< 0: all examples in every step, in their order.
  bool shuffle = true;           ///< Another order in every epoch.
  data::Sampler sampler = {};    ///< Which examples an epoch shows, in place of shuffling.
  Rng rng = Rng(0);              ///< Draws the orders.
  bool drop_last = false;        ///< Leave a smaller batch at the end of an epoch out.
  std::size_t prefetch = 0;      ///< So many batches are gathered ahead by a thread; 0: none.

  bool compiled = true;            ///< The step is a Program, recorded anew for another batch size.
  double clip_norm = 0;            ///< Above 0: optim::clip_by_norm.
  std::int64_t accumulate = 1;     ///< Batches per step, weighted by their examples.
  optim::Schedule schedule = {};   ///< Factor of the base learning rate, by the optimizer's steps.
  optim::Schedule momentum = {};   ///< The momentum itself (β₁ of Adam and its kind), likewise.
  bool schedule_by_epoch = false;  ///< Both by epochs 0, 1, … instead.
  /// The learning rates fall when `monitor` no longer improves, in the sense of `mode`: there is no
  /// `maximize` of its own. Not with a schedule, which would set them again.
  std::optional<optim::PlateauOptions> plateau = {};
  /// Averages of the weights are validated, and at the end kept, in place of the weights.
  std::optional<optim::WeightAverageOptions> average = {};

  std::optional<data::Dataset> validation = {};  ///< Looked at after each epoch.
  std::int64_t validation_batch_size = 0;        ///< 0: all at once.
  Metrics metrics = {};                          ///< Of the validation data.
  std::string monitor =
      {};  ///< "loss", "validation_loss" (if there is one, the default) or a metric.
  Mode mode = Mode::automatic;                       ///< See there.
  std::optional<EarlyStopping> early_stopping = {};  ///< See there.
  CheckpointOptions checkpoint = {};                 ///< See there.

  std::function<void(const StepReport&, Control&)> on_step = {};    ///< After each batch.
  std::function<void(const EpochReport&, Control&)> on_epoch = {};  ///< After each epoch.
  /// Told in words: from where a training goes on, which checkpoints are damaged, why it stops.
  std::function<void(const std::string&)> on_note = {};
};

/// Trains `net`: for each batch of `data` (labels are targets of whatever kind the loss takes), a
/// step of `optimizer` down the gradient of loss(net(inputs, more…), labels).
///
///     optim::Adam adam(net.parameters());
///     const fit::History h = fit::fit(net, adam, nn::loss("cross_entropy").f, train,
///                                     {.epochs = 20, .validation = test,
///                                      .metrics = {std::make_shared<fit::Accuracy>()},
///                                      .early_stopping = fit::EarlyStopping{.patience = 3}});
///
/// The network trains in the mode train(); where it is on already, modules that were put into
/// eval() stay there. Afterwards all modes are as before, also when something throws. Callbacks may
/// freeze and thaw parameters, between batches that are accumulated excepted, and put modules into
/// other modes; what they froze stays frozen, and both go into checkpoints. The same options,
/// weights and seeds give the same bits, with or without prefetching, and when the training was
/// broken off (also killed) and went on from a checkpoint; for that, optimizer and network must be
/// made in the same way again. Callbacks, samplers, losses and schedules are not kept, learning
/// rates are: without a schedule, that of the checkpoint holds. A checkpoint of other data, another
/// kind of optimizer, other parameters, frozen ones, metrics or another `monitor` is refused.
///
/// @throws ValueError for an option outside its range or data that does not fit a checkpoint,
/// before anything changes; StepError where a step fails; what network, loss, metrics and
/// callbacks throw; DataError when a checkpoint cannot be written.
History fit(nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
            const data::Dataset& data, const Options& options = {});

/// The same by L-BFGS, which takes one step() for each batch: `batch_size` 0 is what it is made
/// for. A network that draws random numbers is another function at each of its evaluations.
/// @throws as above, and ValueError for a schedule, a momentum, a plateau, clip_norm or accumulate:
/// its searches choose the lengths of steps.
History fit(nn::Module& net, optim::LBFGS& optimizer, const Loss& loss, const data::Dataset& data,
            const Options& options = {});

/// How fit_restarts() goes about it.
struct RestartOptions {
  std::int64_t restarts = 3;                                  ///< 1 or more.
  std::function<void(std::int64_t restart)> on_restart = {};  ///< Before each, counted from 0.
};

/// Trainings from several initialisations.
struct Restarts {
  std::int64_t best = 0;           ///< Which of them was kept.
  std::vector<History> histories;  ///< Of all.
};

/// fit() several times, from initialisations of their own and the optimizer's present state; the
/// network and the optimizer of the best History::score are kept. Restart r draws weights from
/// options.rng.split(r).split(1) and orders from options.rng.split(r).split(2), and keeps its
/// checkpoints in the folder "restart-r". One that fails (StepError) is out of the race: its
/// history ends there, History::stopped says why. @throws as fit(), and the StepError of the last
/// restart when all have failed; everything is as before then.
Restarts fit_restarts(nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
                      const data::Dataset& data, const Options& options = {},
                      const RestartOptions& restarts = {});
/// The same by L-BFGS.
Restarts fit_restarts(nn::Module& net, optim::LBFGS& optimizer, const Loss& loss,
                      const data::Dataset& data, const Options& options = {},
                      const RestartOptions& restarts = {});

}  // namespace xtape::fit
