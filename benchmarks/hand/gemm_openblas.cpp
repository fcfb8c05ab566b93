#include <cblas.h>

#include "gemm.hpp"

namespace hand {

const bool kOpenMpGemm = false;

void gemm(Read a_read, Read b_read, int m, int n, int k, float alpha, const float* a,
          const float* b, float beta, float* c) {
  const bool ta = a_read == Read::transposed, tb = b_read == Read::transposed;
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n,
              k, alpha, a, ta ? m : k, b, tb ? k : n, beta, c, n);
}

void gemv(int m, int n, const float* a, const float* x, float* y) {
  cblas_sgemv(CblasRowMajor, CblasNoTrans, m, n, 1, a, n, x, 1, 0, y, 1);
}

void gemv_transposed(int m, int n, const float* a, const float* x, float* y) {
  cblas_sgemv(CblasRowMajor, CblasTrans, m, n, 1, a, n, x, 1, 0, y, 1);
}

void ger(int m, int n, float alpha, const float* x, const float* y, float* a) {
  cblas_sger(CblasRowMajor, m, n, alpha, x, 1, y, 1, a, n);
}

}  // namespace hand
