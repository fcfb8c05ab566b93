#pragma once

#include <atomic>

// Which vector instructions the kernels use. A kernel is a plain loop, compiled once per level and
// chosen at run time; the compiler makes SIMD code of it. See at_simd_level.
namespace xtape {

/// Sets of vector instructions, from what every machine has to what few have.
enum class Simd {
  baseline,  ///< What the compiler was told to use anyway: SSE2 on x86-64.
  avx2,      ///< AVX2 and FMA, 256 bits.
  avx512,    ///< AVX-512 F, BW, DQ and VL, 512 bits.
};

/// The highest level that this machine has.
Simd best_simd_level();

namespace detail {
inline constexpr int kSimdUnknown = -1;
// Constant-initialised, so that a kernel may run before main, and read without a guard.
inline constinit std::atomic<int> simd_level{kSimdUnknown};
}  // namespace detail

/// Makes kernels use `level`, or the best one if the machine has less. For tests: results of
/// different levels differ in their last bits, so a program should not change it half-way.
void set_simd_level(Simd level);

/// The level that kernels use.
inline Simd simd_level() {
  const int level = detail::simd_level.load(std::memory_order_relaxed);
  if (level != detail::kSimdUnknown) [[likely]]
    return static_cast<Simd>(level);
  set_simd_level(best_simd_level());
  return best_simd_level();
}

#if defined(__GNUC__) || defined(__clang__)
#define XTAPE_INLINE [[gnu::always_inline]] inline
#define XTAPE_INLINE_LAMBDA __attribute__((always_inline))
#define XTAPE_NOINLINE [[gnu::noinline]]
#else
#define XTAPE_INLINE inline
#define XTAPE_INLINE_LAMBDA
#define XTAPE_NOINLINE
#endif

// On an inner loop of few iterations, none of which reads what another one writes: becomes straight
// SIMD code.
#if defined(__clang__)
#define XTAPE_LANES _Pragma("clang loop vectorize(assume_safety) unroll(disable)")
#elif defined(__GNUC__)
#define XTAPE_LANES _Pragma("GCC unroll 1") _Pragma("GCC ivdep")
#else
#define XTAPE_LANES
#endif

namespace kernels {

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define XTAPE_MULTIVERSION 1
#define XTAPE_AVX2 "avx2,fma"
#if defined(__clang__)
#define XTAPE_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
#else
#define XTAPE_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512"
#endif

template <class F>
__attribute__((target(XTAPE_AVX2), flatten, noinline)) auto at_avx2(const F& f) {
  return f();
}
template <class F>
__attribute__((target(XTAPE_AVX512), flatten, noinline)) auto at_avx512(const F& f) {
  return f();
}
#endif

template <class F>
XTAPE_NOINLINE auto at_baseline(const F& f) {
  return f();
}

/// f(), compiled for the level in use. What f calls must be inlined into it (XTAPE_INLINE), lambdas
/// by XTAPE_INLINE_LAMBDA: only then is it compiled for that level, too.
template <class F>
auto at_simd_level(const F& f) {
#ifdef XTAPE_MULTIVERSION
  switch (simd_level()) {
    case Simd::avx512:
      return at_avx512(f);
    case Simd::avx2:
      return at_avx2(f);
    case Simd::baseline:
      break;
  }
#endif
  return at_baseline(f);
}

}  // namespace kernels
}  // namespace xtape
