#pragma once

#include <cstdint>

namespace xtape::kernels {

/// C = alpha op(A) op(B) + beta C for row-major matrices: op(A) is m×k, op(B) is k×n, C is m×n, all
/// packed. With beta = 0 the old C is not read; with k = 0 the product is zero.
struct Gemm {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  double alpha = 1, beta = 0;
};

/// Computes it, with the threads of threads.hpp where that pays. The result depends on the
/// processor and the backend (see backend.hpp), not on the number of threads.
void gemm(const Gemm& g, const float* a, const float* b, float* c);
void gemm(const Gemm& g, const double* a, const double* b, double* c);

/// Multiply-adds from which on two threads do a job faster than one: many small products are
/// shared out in portions of this size.
constexpr std::int64_t kWorkPerPiece = std::int64_t{1} << 20;

}  // namespace xtape::kernels
