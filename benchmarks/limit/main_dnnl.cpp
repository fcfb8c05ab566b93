#include "limit.hpp"

int main(int argc, char** argv) {
  return bench::run({.name = "limit-dnnl",
                     .training = limit::training,
                     .hessian_vector = limit::hessian_vector,
                     .checked = false},
                    argc, argv);
}
