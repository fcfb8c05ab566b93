#include <cstdlib>

#include "torch_subject.hpp"

int main(int argc, char** argv) {
  const bool lean = std::getenv("XTAPE_BENCH_LEAN");
  with_torch::set_threads(bench::threads());
  return bench::run({.name = lean ? "torch-lean" : "torch",
                     .training = lean ? with_torch::lean_training : with_torch::training,
                     .hessian_vector = with_torch::hessian_vector,
                     .chain = with_torch::chain,
                     .gate = with_torch::gate,
                     .rows = with_torch::rows,
                     .function = with_torch::function},
                    argc, argv);
}
