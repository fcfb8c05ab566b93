#if defined(__x86_64__)
#include <cstdint>
#include <immintrin.h>

// The matrix kernels with AVX-512: 64-byte vectors, partial ones by mask registers.
#define XTAPE_GEMM_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
#define XTAPE_GEMM_BYTES 64
#define XTAPE_GEMM_ROWS 8
#define XTAPE_GEMM_TABLE gemm_kernels_avx512
#define XTAPE_GEMM_PART __attribute__((always_inline)) inline XTAPE_GEMM_TARGET

namespace xtape::kernels {
namespace {

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(64)));
  typedef __mmask16 mask;
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(64)));
  typedef __mmask8 mask;
};
template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
using Mask = typename VecOf<T>::mask;

template <class T>
XTAPE_GEMM_PART Mask<T> mask_of(std::int64_t count) {
  return static_cast<Mask<T>>((1U << count) - 1);
}
XTAPE_GEMM_PART Vec<float> load_part(const float* p, Mask<float> m) {
  return _mm512_maskz_loadu_ps(m, p);
}
XTAPE_GEMM_PART Vec<double> load_part(const double* p, Mask<double> m) {
  return _mm512_maskz_loadu_pd(m, p);
}
XTAPE_GEMM_PART void store_part(float* p, Vec<float> v, Mask<float> m) {
  _mm512_mask_storeu_ps(p, m, v);
}
XTAPE_GEMM_PART void store_part(double* p, Vec<double> v, Mask<double> m) {
  _mm512_mask_storeu_pd(p, m, v);
}
XTAPE_GEMM_PART Vec<float> multiply_add(Vec<float> x, Vec<float> y, Vec<float> z) {
  return _mm512_fmadd_ps(x, y, z);
}
XTAPE_GEMM_PART Vec<double> multiply_add(Vec<double> x, Vec<double> y, Vec<double> z) {
  return _mm512_fmadd_pd(x, y, z);
}

}  // namespace
}  // namespace xtape::kernels

#include <xtape/autodiff/kernels/gemm_tile.hpp>
#endif
