#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <xtape/fit/best.hpp>
#include <xtape/fit/fit.hpp>
#include <xtape/fit/modes.hpp>
#include <xtape/fit/stepper.hpp>
#include <xtape/io/checkpoint.hpp>

namespace xtape::fit::detail {

/// Whether the best value of what is monitored is the largest.
bool larger_is_better(const Options& options, const std::string& monitored);

/// One fit(): what it is at, and what of it a checkpoint keeps.
class Trainer {
 public:
  Trainer(nn::Module& net, Mover optimizer, const Loss& loss, const data::Dataset& data,
          const Options& options);
  /// @throws StepError; history() says what came before it.
  void run();
  /// What has happened.
  const History& history() const { return history_; }
  /// Everything that training changes in the network, and what else the optimizer moves.
  static Parameters moved(const nn::Module& net, const Mover& optimizer);

 private:
  using Clock = std::chrono::steady_clock;

  // trainer.cpp
  void one_epoch();
  data::Batches batches(Rng& rng);
  std::unique_ptr<Steps> make_stepper();
  void take(const data::Batch& batch);
  void drive();
  void report_step(double loss);
  void end_epoch();
  void validate(Epoch& epoch);
  double monitored(const Epoch& epoch) const;
  bool done();
  void keep();
  double seconds() const;
  double seconds_left() const;
  void note(const std::string& text) const;

  // trainer_checkpoint.cpp
  void bind();
  void resume();
  void set_aside() const;
  void save();
  io::Metadata make_identity() const;
  void require_identity(const std::string& path, const io::Metadata& kept) const;
  std::string progress() const;
  void restore(const std::string& path, const std::string& text);
  /// What callbacks may change beside numbers: which parameters are frozen, modes of modules.
  struct Flags {
    std::vector<bool> frozen, modes;
  };
  Flags flags() const;

  nn::Module& net_;
  Mover optimizer_;
  const Loss& loss_;
  const data::Dataset& data_;
  const Options& options_;
  Modes modes_;
  std::optional<optim::WeightAverage> average_;
  std::unique_ptr<Steps> stepper_;
  Evaluator evaluator_;
  std::optional<Best> best_;
  std::optional<optim::ReduceOnPlateau> plateau_;
  History history_;
  Control control_;
  io::Checkpoint checkpoint_;
  io::Metadata identity_;  // what its files say of whose they are
  Flags began_with_;       // at the beginning of the training

  Rng order_;                             // as it was when the present epoch began
  std::int64_t batch_ = 0, samples_ = 0;  // of the present epoch, so far
  std::int64_t rows_ = 0, count_ = 0;     // of the present epoch, in all: examples, batches
  double total_ = 0;                      // of losses, weighted by examples
  bool saved_ = false;                    // nothing has changed since

  double earlier_seconds_ = 0;  // of broken off trainings
  Clock::time_point began_ = Clock::now(), epoch_began_ = began_;
  std::int64_t trained_ = 0, epoch_trained_ = 0;  // examples since
};

}  // namespace xtape::fit::detail
