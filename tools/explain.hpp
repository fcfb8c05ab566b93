#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace xtape::tools {

struct ExplainCommand {
  std::optional<std::string> net;  ///< Unless given: 2-2-2 with sigmoids.
  std::string weights;             ///< What `train` kept. Empty: freshly drawn ones.
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
