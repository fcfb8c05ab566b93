#include <dnnl.h>

#include "gemm.hpp"

namespace hand {

const bool kOpenMpGemm = true;

void gemm(Read a_read, Read b_read, int m, int n, int k, float alpha, const float* a,
          const float* b, float beta, float* c) {
  const bool ta = a_read == Read::transposed, tb = b_read == Read::transposed;
  dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, alpha, a, ta ? m : k, b, tb ? k : n, beta, c,
             n);
}

// oneDNN has no products of matrix and vector.
void gemv(int m, int n, const float* a, const float* x, float* y) {
  gemm(Read::as_is, Read::as_is, m, 1, n, 1, a, x, 0, y);
}

void gemv_transposed(int m, int n, const float* a, const float* x, float* y) {
  gemm(Read::as_is, Read::as_is, 1, n, m, 1, x, a, 0, y);
}

void ger(int m, int n, float alpha, const float* x, const float* y, float* a) {
  gemm(Read::as_is, Read::as_is, m, n, 1, alpha, x, y, 1, a);
}

}  // namespace hand
