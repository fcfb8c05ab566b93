#pragma once

#include <cstddef>

// The one thing that differs between `hand` and `hand-dnnl`, and between `limit` and `limit-dnnl`:
// whose sgemm it is.
namespace hand {

enum class Read : bool { as_is, transposed };

/// c ← alpha a b + beta c; c is [m, n], the inner extent is k, all row-major and contiguous.
void gemm(Read a_read, Read b_read, int m, int n, int k, float alpha, const float* a,
          const float* b, float beta, float* c);

/// y ← a x; a ← a + alpha x yᵀ; y ← aᵀ x; a is [m, n].
void gemv(int m, int n, const float* a, const float* x, float* y);
void gemv_transposed(int m, int n, const float* a, const float* x, float* y);
void ger(int m, int n, float alpha, const float* x, const float* y, float* a);

/// Whether gemm runs in OpenMP's threads, so that loops may use them, too. Two pools of threads in
/// one process are slower than one thread.
extern const bool kOpenMpGemm;

}  // namespace hand
