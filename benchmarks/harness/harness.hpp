#pragma once

#include <memory>

#include "workloads.hpp"

// What every subject of the benchmarks has to do, and the frame that checks and times it.
namespace bench {

/// One subject at one workload.
class Task {
 public:
  virtual ~Task() = default;
  /// What is timed: a whole training step, or a value and its gradient.
  virtual void step() = 0;
  /// What the check compares with the function expected… of the workload.
  virtual std::vector<double> result() = 0;
};

template <class Workload>
using Maker = std::unique_ptr<Task> (*)(const Workload&);

/// Makes a T, for the table in Subject.
template <class T, class Workload>
std::unique_ptr<Task> make(const Workload& w) {
  return std::make_unique<T>(w);
}

/// A library, or code without one: what it does for each family of workloads, nullptr for nothing.
struct Subject {
  std::string name;
  Maker<Network> training = nullptr;
  Maker<Network> hessian_vector = nullptr;
  Maker<Chain> chain = nullptr;
  Maker<Gate> gate = nullptr;
  Maker<Rows> rows = nullptr;
  Maker<Function> function = nullptr;
  Maker<Chain> compilation = nullptr;  ///< step() compiles; result() as of chain.
  bool checked = true;                 ///< False for lower limits, which compute no result.
};

/// A main(): registers every workload with Google Benchmark. A workload is timed only after its
/// results agreed with those of plain loops in double; else the process ends with a message. (The
/// driver says XTAPE_BENCH_CHECKED=1 in the rounds after the first, to check once.)
int run(const Subject& subject, int argc, char** argv);

/// Threads asked for in the environment (OMP_NUM_THREADS), 1 by default.
int threads();

/// For result(): a value, then all numbers of each part.
template <class Parts>
std::vector<double> flat(double first, const Parts& parts) {
  std::vector<double> all{first};
  for (const auto& p : parts) all.insert(all.end(), p.begin(), p.end());
  return all;
}

}  // namespace bench
