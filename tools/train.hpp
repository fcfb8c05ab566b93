#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "data_source.hpp"

namespace xtape::tools {

struct TrainOptions {
  DataOptions data;
  std::optional<std::string> net;   ///< Unless given: two hidden ReLU layers that fit the data.
  std::optional<std::string> loss;  ///< Unless given: cross_entropy, mse for targets.
  std::string init;                 ///< Empty: xavier_uniform.
  std::string dtype = "f32";
  std::string optimizer = "sgd", schedule = "constant", checkpoint;
  std::optional<double> learning_rate;  ///< Unless given: what suits the optimizer.
  std::optional<double> weight_decay;   ///< Unless given: what the optimizer has.
  double lr_decay = 1, momentum = 0, clip = 0;
  bool nesterov = false, full_batch = false, quiet = false;
  std::int64_t batch = 64, early_stopping = 0;
  int epochs = 10, restarts = 1;
  std::uint64_t seed = 0;
  std::string log, picture, save;

  void add_to(CLI::App& app);
};

/// Trains, prints a line for each epoch, the accuracy per class at the end; writes log, picture and
/// weights.
int train(const TrainOptions& options);

struct GradcheckCommand {
  std::string net = "4 dense:3 sigmoid dense:2";
  std::string loss = "cross_entropy";
  std::string init;
  std::int64_t samples = 4, max_elements = 0;
  int order = 1;
  std::uint64_t seed = 0;

  void add_to(CLI::App& app);
};

/// Checks every parameter of a network against finite differences; 1 when one is wrong.
int gradcheck(const GradcheckCommand& options);

}  // namespace xtape::tools
