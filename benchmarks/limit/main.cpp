#include "limit.hpp"

int main(int argc, char** argv) {
  return bench::run({.name = "limit",
                     .training = limit::training,
                     .hessian_vector = limit::hessian_vector,
                     .gate = limit::gate,
                     .rows = limit::rows,
                     .checked = false},
                    argc, argv);
}
