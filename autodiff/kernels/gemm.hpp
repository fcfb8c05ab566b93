#pragma once

#include <cstdint>

namespace xtape::kernels {

/// C = op(A) op(B) for row-major matrices: op(A) is m×k, op(B) is k×n, C is m×n, all packed.
struct Gemm {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  double alpha = 1, beta = 0;
};
void gemm(const Gemm& g, const float* a, const float* b, float* c);
void gemm(const Gemm& g, const double* a, const double* b, double* c);

}  // namespace xtape::kernels
