#pragma once

#include <cstdint>

// Between gemm.cpp and the files that do the work: not for users.
namespace xtape::kernels {

/// C = alpha op(A) op(B) + beta C for row-major matrices with leading dimensions of their own.
template <class T>
struct Product {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  const T* a;
  std::int64_t lda;
  const T* b;
  std::int64_t ldb;
  T* c;
  std::int64_t ldc;
  T alpha, beta;
};

/// y = alpha M x + beta y, or with Mᵀ; M is rows×columns.
template <class T>
struct MatrixVector {
  std::int64_t rows, columns;
  const T* matrix;
  std::int64_t ld;
  const T* x;
  T* y;
  T alpha, beta;
};

/// The kernels of one instruction set.
template <class T>
struct GemmKernels {
  void (*product)(const Product<T>&);            ///< Any product; k at least 1.
  void (*dot_rows)(const MatrixVector<T>&);      ///< y[i] from row i and x.
  void (*combine_rows)(const MatrixVector<T>&);  ///< y from the rows weighted by x.
  void (*outer)(const Product<T>&);              ///< k = 1; column and row without gaps.
};

/// Instruction sets that the kernels are written for.
enum class GemmSimd { baseline, avx2, avx512 };

/// The best one that this processor has and set_gemm_simd allows.
GemmSimd gemm_simd_level();
/// Uses no instruction set beyond this one: for tests. Returns whether the processor has it.
bool set_gemm_simd(GemmSimd level);

template <class T>
const GemmKernels<T>& gemm_kernels_baseline();
template <class T>
const GemmKernels<T>& gemm_kernels_avx2();
template <class T>
const GemmKernels<T>& gemm_kernels_avx512();
/// Those of gemm_simd_level().
template <class T>
const GemmKernels<T>& gemm_kernels();

}  // namespace xtape::kernels
