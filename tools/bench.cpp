#include "bench.hpp"

#include <filesystem>
#include <unistd.h>
#include <vector>

#include <xtape/autodiff/error.hpp>

#include "data_source.hpp"

namespace xtape::tools {
namespace {

// Beside this executable: as the build tree has it, or as it is installed.
std::filesystem::path driver() {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const char* place : {"../benchmarks/run", "../libexec/xtape/benchmarks/run"}) {
    const fs::path path = (here / place).lexically_normal();
    if (!here.empty() && fs::exists(path, ignored)) return path;
  }
  throw DataError(
      "bench",
      "the benchmarks were not built: configure with -DXTAPE_BUILD_BENCHMARKS=ON and build");
}

}  // namespace

void BenchCommand::add_to(CLI::App& app) {
  app.add_option("--only", only, "families of workloads or single ones: W1,W4/1e5");
  app.add_option("--json", json, "write medians and spreads to this file");
  app.add_option("--svg", svg, "draw the ratios to libtorch into this file");
  app.add_option("--threads", threads, "numbers of threads")->capture_default_str();
  app.add_option("--rounds", rounds)->check(whole_from(1))->capture_default_str();
  app.add_flag("--bars", bars, "compare with what xtape sets itself");
}

int bench(const BenchCommand& o) {
  std::vector<std::string> words{driver().string(), "--threads", o.threads, "--rounds",
                                 std::to_string(o.rounds)};
  const auto add = [&](const char* option, const std::string& value) {
    if (value.empty()) return;
    words.emplace_back(option);
    words.push_back(value);
  };
  add("--only", o.only);
  add("--json", o.json);
  add("--svg", o.svg);
  if (o.bars) words.emplace_back("--bars");
  std::vector<char*> arguments;
  for (std::string& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  throw DataError("bench", words[0] + " does not run: is python3 installed?");
}

}  // namespace xtape::tools
