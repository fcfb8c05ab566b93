#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace xtape::tools {

struct BenchCommand {
  std::string only, json, svg, threads = "1,2";
  int rounds = 7;
  bool bars = false;

  void add_to(CLI::App& app);
};

/// Hands over to the driver of the benchmarks, whose exit code is the command's; does not return.
/// @throws DataError when the benchmarks were not built.
int bench(const BenchCommand& options);

}  // namespace xtape::tools
