#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace xtape::tools {

struct ExportCommand {
  std::string weights;             ///< A safetensors file of `train --save` or `--checkpoint`.
  std::optional<std::string> net;  ///< Unless given: what the file says.
  std::string out, name;           ///< Empty name: that of `out`, without folder and ending.
  std::string check;               ///< Empty: none.
  std::uint64_t seed = 0;

  void add_to(CLI::App& app);
};

/// Writes a trained network as a C++ header, and a program that compares both.
int export_network(const ExportCommand& options);

}  // namespace xtape::tools
