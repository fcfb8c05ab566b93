#pragma once

#include "../harness/harness.hpp"

// What the workloads cost without a library: derivatives worked out on paper, buffers made once,
// every pass over memory that can be saved saved. Compiled with what an expert would allow himself
// for code that runs on this machine only: -O3 -march=native -ffast-math, by which loops over exp
// and tanh become SIMD code.
namespace hand {

std::unique_ptr<bench::Task> training(const bench::Network& net);
std::unique_ptr<bench::Task> batched(const bench::Network& net);  ///< GEMMs.
std::unique_ptr<bench::Task> single(const bench::Network& net);   ///< Batch 1.
std::unique_ptr<bench::Task> tiny(const bench::Network& net);     ///< 2-2-2.
std::unique_ptr<bench::Task> deep(const bench::Network& net);     ///< Layers 32×32.
std::unique_ptr<bench::Task> chain(const bench::Chain& chain);
std::unique_ptr<bench::Task> gate(const bench::Gate& gate);
std::unique_ptr<bench::Task> rows(const bench::Rows& rows);
std::unique_ptr<bench::Task> function(const bench::Function& f);

}  // namespace hand
