#include <atomic>

#include <xtape/autodiff/kernels/gemm_kernels.hpp>

// Which instruction set the matrix kernels use.
namespace xtape::kernels {
namespace {

GemmSimd best() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    return GemmSimd::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return GemmSimd::avx2;
#endif
  return GemmSimd::baseline;
}

std::atomic<GemmSimd>& level() {
  static std::atomic<GemmSimd> l{best()};
  return l;
}

template <class T>
const GemmKernels<T>& kernels_of(GemmSimd l) {
#if defined(__x86_64__)
  if (l == GemmSimd::avx512) return gemm_kernels_avx512<T>();
  if (l == GemmSimd::avx2) return gemm_kernels_avx2<T>();
#endif
  static_cast<void>(l);
  return gemm_kernels_baseline<T>();
}

}  // namespace

GemmSimd gemm_simd_level() { return level().load(std::memory_order_relaxed); }

bool set_gemm_simd(GemmSimd l) {
  if (l > best()) return false;
  level().store(l, std::memory_order_relaxed);
  return true;
}

template <>
const GemmKernels<float>& gemm_kernels<float>() {
  return kernels_of<float>(gemm_simd_level());
}
template <>
const GemmKernels<double>& gemm_kernels<double>() {
  return kernels_of<double>(gemm_simd_level());
}

}  // namespace xtape::kernels
