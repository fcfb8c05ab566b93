#if defined(__x86_64__)
#include <algorithm>
#include <cstdint>
#include <immintrin.h>

// The matrix kernels with AVX2 and FMA: 32-byte vectors, partial ones by masked moves.
#define XTAPE_GEMM_TARGET __attribute__((target("avx2,fma")))
#define XTAPE_GEMM_BYTES 32
#define XTAPE_GEMM_ROWS 6
#define XTAPE_GEMM_TABLE gemm_kernels_avx2
#define XTAPE_GEMM_PART __attribute__((always_inline)) inline XTAPE_GEMM_TARGET

namespace xtape::kernels {
namespace {

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(32)));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(32)));
};
template <class T>
using Vec = typename VecOf<T>::type;
typedef long long Lanes __attribute__((vector_size(32)));
template <class T>
using Mask = Lanes;

// Ones, then zeros: a mask is a window into them.
alignas(64) constexpr std::int32_t kOnes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

template <class T>
XTAPE_GEMM_PART Mask<T> mask_of(std::int64_t count) {
  Lanes mask;
  const std::int64_t words = count * static_cast<std::int64_t>(sizeof(T) / 4);
  __builtin_memcpy(&mask, kOnes + 8 - words, sizeof mask);
  return mask;
}
XTAPE_GEMM_PART Vec<float> load_part(const float* p, Lanes m) {
  return _mm256_maskload_ps(p, reinterpret_cast<__m256i>(m));
}
XTAPE_GEMM_PART Vec<double> load_part(const double* p, Lanes m) {
  return _mm256_maskload_pd(p, reinterpret_cast<__m256i>(m));
}
XTAPE_GEMM_PART void store_part(float* p, Vec<float> v, Lanes m) {
  _mm256_maskstore_ps(p, reinterpret_cast<__m256i>(m), v);
}
XTAPE_GEMM_PART void store_part(double* p, Vec<double> v, Lanes m) {
  _mm256_maskstore_pd(p, reinterpret_cast<__m256i>(m), v);
}
XTAPE_GEMM_PART Vec<float> multiply_add(Vec<float> x, Vec<float> y, Vec<float> z) {
  return _mm256_fmadd_ps(x, y, z);
}
XTAPE_GEMM_PART Vec<double> multiply_add(Vec<double> x, Vec<double> y, Vec<double> z) {
  return _mm256_fmadd_pd(x, y, z);
}

}  // namespace
}  // namespace xtape::kernels

#include <xtape/autodiff/kernels/gemm_tile.hpp>
#endif
