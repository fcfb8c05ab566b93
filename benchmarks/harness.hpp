#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// What every subject of the benchmarks has to do, and the frame that checks and times it. Knows
// neither xtape nor libtorch.
namespace bench {

/// Training of a network of dense layers, a sigmoid behind each, by steepest descent.
struct Network {
  enum class Error : std::uint8_t { mean_square, half_square_sum };  ///< mean (y−t)², ½ Σ (y−t)²

  std::string name;
  std::vector<std::int64_t> sizes;  ///< Inputs, then neurons of each layer.
  std::int64_t batch;
  Error error;
  bool f64;
  double rate;
};

/// Where the training starts; row-major, weights[l] is [sizes[l+1], sizes[l]]. Numbers are exact in
/// the element type of the network.
struct Start {
  std::vector<double> input, target;
  std::vector<std::vector<double>> weights, biases;
};
Start make_start(const Network& net);

/// z ← z a + b, `length` times, in f64; then the gradient of the last z by a and b.
struct Chain {
  std::string name;
  std::int64_t length;
  double z, a, b;
};

/// One subject at one workload.
class Task {
 public:
  virtual ~Task() = default;
  /// What is timed: a whole training step, or forward and backward through the chain.
  virtual void step() = 0;
  /// What the check compares: {error of the network as it is now}, or {dz/da, dz/db}.
  virtual std::vector<double> result() = 0;
};

/// A library, or code without one.
struct Subject {
  std::string name;
  std::unique_ptr<Task> (*network)(const Network&, const Start&);
  std::unique_ptr<Task> (*chain)(const Chain&);
};

/// A main(): registers every workload with Google Benchmark. A workload is timed only after its
/// results agreed with those of plain loops in double; else the process ends with a message.
int run(const Subject& subject, int argc, char** argv);

/// Threads asked for in the environment (OMP_NUM_THREADS), 1 by default.
int threads();

/// The right results by plain loops: the error after `steps` steps; the derivatives of the chain.
double reference_error(const Network& net, Start start, int steps);
std::vector<double> reference_derivatives(const Chain& chain);

}  // namespace bench
