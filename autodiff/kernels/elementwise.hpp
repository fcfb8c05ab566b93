#pragma once

#include <cstdint>
#include <utility>

#include <xtape/autodiff/op.hpp>

// From a scalar functor to kernels. Each loop is compiled for the baseline instruction set and for
// AVX2, chosen at run time; no multiply-add contraction takes place (see CMakeLists.txt), so both
// give the same bits.
namespace xtape::kernels {

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define XTAPE_MULTIVERSION 1
#define XTAPE_AVX2 __attribute__((target("avx2"), flatten))
inline bool has_avx2() {
  static const bool yes = __builtin_cpu_supports("avx2");
  return yes;
}
#endif
#if defined(__clang__)
#define XTAPE_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define XTAPE_IVDEP _Pragma("GCC ivdep")
#else
#define XTAPE_IVDEP
#endif

/// A run of elements, and one element read again and again.
template <class T>
struct Run {
  const T* p;
  T operator[](std::int64_t i) const { return p[i]; }
};
template <class T>
struct Repeat {
  T v;
  T operator[](std::int64_t) const { return v; }
};

template <class F, class Out, class... In>
[[gnu::always_inline]] inline void loop(const F& f, Out* out, std::int64_t n, In... in) {
  XTAPE_IVDEP
  for (std::int64_t i = 0; i < n; ++i) out[i] = f(in[i]...);
}

#ifdef XTAPE_MULTIVERSION
template <class F, class Out, class... In>
XTAPE_AVX2 void loop_avx2(const F& f, Out* out, std::int64_t n, In... in) {
  loop(f, out, n, in...);
}
#endif

/// out[i] = f(in[i]...) by the best instruction set at hand.
template <class F, class Out, class... In>
void run(const F& f, Out* out, std::int64_t n, In... in) {
#ifdef XTAPE_MULTIVERSION
  if (n >= 16 && has_avx2()) return loop_avx2(f, out, n, in...);
#endif
  loop(f, out, n, in...);
}

template <class F, class T>
using Result = decltype(std::declval<F>()(std::declval<T>()));

/// Block of a unary functor; T is the element type of the input.
template <class F, class T>
void unary_block(const F& f, const BlockArgs& a) {
  auto* out = static_cast<decltype(f(T{}))*>(a.out);
  const auto* x = static_cast<const T*>(a.in[0]);
  if (a.step[0]) {
    run(f, out, a.n, Run<T>{x});
  } else {
    run(f, out, a.n, Repeat<T>{*x});
  }
}

/// Block of a binary functor.
template <class F, class T>
void binary_block(const F& f, const BlockArgs& a) {
  auto* out = static_cast<decltype(f(T{}, T{}))*>(a.out);
  const auto* x = static_cast<const T*>(a.in[0]);
  const auto* y = static_cast<const T*>(a.in[1]);
  if (a.step[0]) {
    if (a.step[1]) {
      run(f, out, a.n, Run<T>{x}, Run<T>{y});
    } else {
      run(f, out, a.n, Run<T>{x}, Repeat<T>{*y});
    }
  } else if (a.step[1]) {
    run(f, out, a.n, Repeat<T>{*x}, Run<T>{y});
  } else {
    run(f, out, a.n, Repeat<T>{*x}, Repeat<T>{*y});
  }
}

/// Calls f with each of `pointers` as what it reads: a run, or one element again and again.
template <class T, class F>
void with_operands(const BlockArgs&, F&& f, std::integral_constant<int, 3>, auto... in) {
  f(in...);
}
template <class T, class F, int K = 0>
void with_operands(const BlockArgs& a, F&& f, std::integral_constant<int, K> = {}, auto... in) {
  using Next = std::integral_constant<int, K + 1>;
  const auto* p = static_cast<const T*>(a.in[K]);
  if (a.step[K]) {
    with_operands<T>(a, f, Next{}, in..., Run<T>{p});
  } else {
    with_operands<T>(a, f, Next{}, in..., Repeat<T>{*p});
  }
}

/// Block of a functor of three.
template <class F, class T>
void ternary_block(const F& f, const BlockArgs& a) {
  with_operands<T>(a, [&](auto... in) { run(f, static_cast<T*>(a.out), a.n, in...); });
}

/// Block of where(mask, x, y).
template <class T>
void select_block(const BlockArgs& a) {
  const auto f = [](bool m, T x, T y) { return m ? x : y; };
  auto* out = static_cast<T*>(a.out);
  const auto* m = static_cast<const bool*>(a.in[0]);
  const auto* x = static_cast<const T*>(a.in[1]);
  const auto* y = static_cast<const T*>(a.in[2]);
  if (!a.step[0]) {
    const auto id = [](T v) { return v; };
    const int k = *m ? 1 : 2;
    const T* chosen = *m ? x : y;
    if (a.step[k]) return run(id, out, a.n, Run<T>{chosen});
    return run(id, out, a.n, Repeat<T>{*chosen});
  }
  if (a.step[1]) {
    if (a.step[2]) return run(f, out, a.n, Run<bool>{m}, Run<T>{x}, Run<T>{y});
    return run(f, out, a.n, Run<bool>{m}, Run<T>{x}, Repeat<T>{*y});
  }
  if (a.step[2]) return run(f, out, a.n, Run<bool>{m}, Repeat<T>{*x}, Run<T>{y});
  run(f, out, a.n, Run<bool>{m}, Repeat<T>{*x}, Repeat<T>{*y});
}

/// The kernel of every elementwise op: walks the broadcast shape and calls op.block on runs.
void elementwise(const KernelArgs& args);

}  // namespace xtape::kernels
