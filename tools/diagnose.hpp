#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "data_source.hpp"

namespace xtape::tools {

struct DiagnoseCommand {
  DataOptions data;
  std::optional<std::string> net;  ///< Unless given: two hidden ReLU layers that fit the data.
  std::string weights;             ///< What `train` kept. Empty: freshly drawn ones.
  std::string loss = "cross_entropy";
  std::string init;  ///< Empty: xavier_uniform.
  std::int64_t samples = 64;
  double learning_rate = 0;
  std::uint64_t seed = 0;
  std::string json, svg;

  void add_to(CLI::App& app);
};

/// Prints the state of a network at the start of training; 1 when something is wrong with it.
int diagnose(const DiagnoseCommand& options);

}  // namespace xtape::tools
