#include "hand.hpp"

// With another GEMM only the networks differ.
int main(int argc, char** argv) {
  return bench::run({.name = "hand-dnnl", .training = hand::training}, argc, argv);
}
