#include "harness.hpp"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <unistd.h>

namespace bench {
namespace {

using Make = std::function<std::unique_ptr<Task>()>;
using Expected = std::function<std::vector<double>()>;

// Half of the 1e-4 that two subjects may differ by, since each is compared with the reference.
constexpr double kTolerance32 = 0.5e-4, kTolerance64 = 1e-9;
constexpr int kCheckedSteps = 3;
constexpr int kWarmUp = 2;

// Distances by the Euclidean norm: gradients have elements near 0 that f32 gets only roughly.
void compare(const std::string& what, const std::vector<double>& have,
             const std::vector<double>& want, double tolerance) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < std::min(have.size(), want.size()); ++i) {
    difference += std::pow(have[i] - want[i], 2);
    norm += std::pow(want[i], 2);
  }
  if (have.size() == want.size() && std::sqrt(difference) <= tolerance * std::sqrt(norm)) return;
  std::fprintf(stderr,
               "%s: computes something else than the others, so is not timed: %zu numbers, first "
               "%.9g, should be %zu and %.9g; relative distance %.3g\n",
               what.c_str(), have.size(), have.empty() ? 0 : have[0], want.size(), want[0],
               std::sqrt(difference / norm));
  std::exit(1);
}

double mebibytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  std::string word;
  double kib = 0;
  while (status >> word) {
    if (word == key && status >> kib) break;
  }
  return kib / 1024;
}

// The peak of resident memory, of the steps alone where the system can be told to forget the peak
// so far (Linux), over what was there before the first task. Means something in a process that was
// asked for one workload and did not check it: the heap keeps what others used.
class Memory {
 public:
  void start() { std::ofstream("/proc/self/clear_refs") << 5; }
  double peak() const { return mebibytes("VmHWM:") - before_; }

 private:
  double before_ = mebibytes("VmRSS:");
};

// Google Benchmark calls `body` several times to find the number of iterations; checks come first.
void add(const std::string& name, std::function<void()> check, Make make) {
  const auto body = [check = std::move(check), make = std::move(make),
                     memory = std::optional<Memory>()](benchmark::State& state) mutable {
    if (!memory) {
      check();
      memory.emplace();
    }
    const auto task = make();
    memory->start();
    for (int i = 0; i < kWarmUp; ++i) task->step();
    for (auto _ : state) task->step();
    state.counters["MiB"] = memory->peak();
  };
  benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

// Every workload of a family. `small(w)` is what is checked in place of w.
template <class Workload, class Expect, class Small>
void add_all(const Subject& subject, const std::vector<Workload>& all, Maker<Workload> maker,
             int steps, double tolerance, Expect expect, Small small) {
  if (!maker) return;
  for (const Workload& w : all) {
    const auto check = [=, &subject] {
      if (!subject.checked || std::getenv("XTAPE_BENCH_CHECKED")) return;
      const Workload checked = small(w);
      const auto task = maker(checked);
      for (int i = 0; i < steps; ++i) task->step();
      compare(subject.name + " " + w.name, task->result(), expect(checked), tolerance);
    };
    add(w.name, check, [=] { return maker(w); });
  }
}

// W5 in plain loops would take minutes: a batch of 4 instead.
Network affordable(Network net) {
  if (net.sizes[1] > 1000) net.batch = 4;
  return net;
}

void add_everything(const Subject& s) {
  const auto same = [](const auto& w) { return w; };
  const auto expect = [](const auto& w) { return expected(w); };
  add_all(
      s, networks(), s.training, kCheckedSteps, kTolerance32,
      [](const Network& n) { return expected_training(n, kCheckedSteps); }, affordable);
  add_all(s, hessian_vectors(), s.hessian_vector, 1, kTolerance32, expected_hessian_vector, same);
  add_all(s, gates(), s.gate, 1, kTolerance32, expect, same);
  add_all(s, rows(), s.rows, 1, kTolerance32, expect, same);
  add_all(s, chains(), s.chain, 1, kTolerance64, expect, same);
  add_all(s, functions(), s.function, 1, kTolerance64, expect, same);
  add_all(s, {compiled_chain()}, s.compilation, 1, kTolerance64, expect, same);
}

// OpenBLAS and OpenMP read their number of threads when they are loaded, which is before main: to
// change it the program has to start again.
void restart_single_threaded(char** argv) {
  const char* variables[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "XTAPE_NUM_THREADS"};
  if (std::all_of(std::begin(variables), std::end(variables), std::getenv)) return;
  for (const char* v : variables) setenv(v, "1", 0);
  execv("/proc/self/exe", argv);
}

}  // namespace

int threads() {
  const char* n = std::getenv("OMP_NUM_THREADS");
  return n ? std::max(1, std::atoi(n)) : 1;
}

int run(const Subject& subject, int argc, char** argv) {
  restart_single_threaded(argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add_everything(subject);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace bench
