#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace xtape::tools {

struct ExplainCommand {
  std::string net = "2 dense:2 sigmoid dense:2 sigmoid";
  std::string loss = "half_squared";
  std::string input, target, of;  ///< Empty: drawn at random; all of the first parameter.
  std::string init;
  std::int64_t paths = 20;
  bool every_step = false, layers = false;
  std::uint64_t seed = 0;
  std::string json, svg, dot;

  void add_to(CLI::App& app);
};

/// Prints why a gradient of a network is what it is: the paths from the loss to a parameter.
int explain(const ExplainCommand& options);

}  // namespace xtape::tools
