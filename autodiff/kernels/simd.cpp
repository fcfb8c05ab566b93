#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <xtape/autodiff/kernels/simd.hpp>

namespace xtape {
namespace {

Simd machine_level() {
#ifdef XTAPE_MULTIVERSION
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) return Simd::avx512;
  if (avx2) return Simd::avx2;
#endif
  return Simd::baseline;
}

}  // namespace

// XTAPE_SIMD=baseline or avx2 asks for less than the machine has, e.g. for the bits of another one.
Simd best_simd_level() {
  const char* wish = std::getenv("XTAPE_SIMD");
  const std::string_view name = wish == nullptr ? "" : wish;
  const Simd limit = name == "baseline" ? Simd::baseline
                     : name == "avx2"   ? Simd::avx2
                                        : Simd::avx512;
  return std::min(limit, machine_level());
}

void set_simd_level(Simd level) {
  detail::simd_level.store(static_cast<int>(std::min(level, machine_level())),
                           std::memory_order_relaxed);
}

}  // namespace xtape
