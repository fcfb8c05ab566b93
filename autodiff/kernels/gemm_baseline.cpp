#include <cstdint>

// The matrix kernels in 16-byte vectors, which every processor that matters has (SSE2, NEON);
// partial ones element by element.
#define XTAPE_GEMM_TARGET
#define XTAPE_GEMM_BYTES 16
#define XTAPE_GEMM_ROWS 4
#define XTAPE_GEMM_TABLE gemm_kernels_baseline

namespace xtape::kernels {
namespace {

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(16)));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(16)));
};
template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
using Mask = std::int64_t;

template <class T>
Mask<T> mask_of(std::int64_t count) {
  return count;
}
template <class T>
Vec<T> load_part(const T* p, std::int64_t count) {
  Vec<T> v{};
  for (std::int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
}
template <class T>
void store_part(T* p, const Vec<T>& v, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = v[i];
}
template <class V>
V multiply_add(V x, V y, V z) {
  return x * y + z;
}

}  // namespace
}  // namespace xtape::kernels

#include <xtape/autodiff/kernels/gemm_tile.hpp>
