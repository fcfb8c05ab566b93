#include "harness.hpp"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <unistd.h>

namespace bench {
namespace {

using Make = std::function<std::unique_ptr<Task>()>;

// Half of the 1e-4 that two subjects may differ by, since each is compared with the reference.
constexpr double kTolerance = 0.5e-4;
constexpr int kCheckedSteps = 3;
constexpr int kWarmUp = 2;

std::vector<Network> networks() {
  std::vector<Network> all;
  for (const std::int64_t batch : {1, 16, 64, 256}) {
    all.push_back({"mlp/" + std::to_string(batch),
                   {784, 128, 64, 10},
                   batch,
                   Network::Error::mean_square,
                   false,
                   0.1});
  }
  all.push_back({"2-2-2", {2, 2, 2}, 1, Network::Error::half_square_sum, true, 0.5});
  return all;
}

const Chain kChain{"chain/1000", 1000, 0.5, 0.999, 0.001};

void compare(const std::string& what, const std::vector<double>& have,
             const std::vector<double>& want) {
  bool same = have.size() == want.size();
  for (std::size_t i = 0; same && i < want.size(); ++i) {
    if (std::abs(have[i] - want[i]) <= kTolerance * std::abs(want[i])) continue;
    std::fprintf(stderr, "%s: result %zu is %.9g, should be %.9g\n", what.c_str(), i, have[i],
                 want[i]);
    same = false;
  }
  if (same) return;
  std::fprintf(stderr, "%s: computes something else than the others, so is not timed\n",
               what.c_str());
  std::exit(1);
}

// Google Benchmark calls `body` several times to find the number of iterations; checks come first.
void add(const std::string& name, std::function<void()> check, Make make) {
  const auto body = [check = std::move(check), make = std::move(make),
                     checked = false](benchmark::State& state) mutable {
    if (!checked) check();
    checked = true;
    const auto task = make();
    for (int i = 0; i < kWarmUp; ++i) task->step();
    for (auto _ : state) task->step();
  };
  benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

void add_network(const Subject& subject, const Network& net) {
  const Make make = [=] { return subject.network(net, make_start(net)); };
  const auto check = [=] {
    const auto task = make();
    for (int i = 0; i < kCheckedSteps; ++i) task->step();
    compare(subject.name + " " + net.name, task->result(),
            {reference_error(net, make_start(net), kCheckedSteps)});
  };
  add(net.name, check, make);
}

void add_chain(const Subject& subject, const Chain& chain) {
  const Make make = [=] { return subject.chain(chain); };
  const auto check = [=] {
    const auto task = make();
    task->step();
    compare(subject.name + " " + chain.name, task->result(), reference_derivatives(chain));
  };
  add(chain.name, check, make);
}

// OpenBLAS and OpenMP read their number of threads when they are loaded, which is before main: to
// change it the program has to start again.
void restart_single_threaded(char** argv) {
  if (std::getenv("OMP_NUM_THREADS") && std::getenv("OPENBLAS_NUM_THREADS")) return;
  setenv("OMP_NUM_THREADS", "1", 0);
  setenv("OPENBLAS_NUM_THREADS", "1", 0);
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
  for (const Network& net : networks()) add_network(subject, net);
  add_chain(subject, kChain);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace bench
