#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/autodiff/op.hpp>

// From a scalar functor to kernels. Every element goes through the same SIMD code, in blocks of
// kBlock: the end of an array is copied into a block of its own, and so is an operand that repeats.
// So an element's bits depend neither on where it stands, nor on how many there are, nor on which
// operands repeat, although multiplications and additions contract where the machine can (the
// compiler may choose differently for the vector part and the scalar rest of a common loop).
namespace xtape::kernels {

inline constexpr std::int64_t kBlock = 16;  // floats of a 512-bit vector

/// An operand: element i is p[i·step], step 0 or 1.
template <class T>
struct Operand {
  const T* p;
  std::int64_t step;
};

/// An operand that moves on with the output.
template <class T>
struct Run : Operand<T> {
  explicit Run(const T* x) : Operand<T>{x, 1} {}
};

// n < kBlock elements: a call of memcpy would take longer than the copies.
template <class T>
XTAPE_INLINE void copy_few(T* to, const T* from, std::int64_t n) {
  for (std::int64_t k = 0; k < n; ++k) {
    to[k] = from[k];
#if defined(__GNUC__) || defined(__clang__)
    asm volatile("" : : : "memory");  // or the compiler would make that call of it
#endif
  }
}

/// An operand, block by block.
template <class T>
class Blocks {
 public:
  XTAPE_INLINE explicit Blocks(Operand<T> x)
      : p_(x.step ? x.p : stage_), step_(x.step ? kBlock : 0) {
    if (x.step == 0) fill(*x.p);
  }
  Blocks(const Blocks&) = delete;
  XTAPE_INLINE const T* operator[](std::int64_t i) const { return p_ + i * step_; }
  /// Block i, of which only n elements exist.
  XTAPE_INLINE const T* part(std::int64_t i, std::int64_t n) {
    if (step_ == 0) return stage_;
    const T* p = p_ + i * step_;
    fill(*p);
    copy_few(stage_, p, n);
    return stage_;
  }

 private:
  XTAPE_INLINE void fill(T v) {
    XTAPE_LANES
    for (std::int64_t k = 0; k < kBlock; ++k) stage_[k] = v;
  }
  alignas(64) T stage_[kBlock];
  const T* p_;
  std::int64_t step_;
};

/// Functors that are right for most arguments only: where `rare(x)`, the value is `rare_value(x)`.
template <class F, class... T>
concept HasRareCase = requires(const F& f, T... x) {
  f.rare(x...);
  f.rare_value(x...);
};

template <class F, class Out, class... T>
XTAPE_INLINE void block(const F& f, Out* out, const T*... in) {
  if constexpr (HasRareCase<F, T...>) {
    alignas(64) Out y[kBlock];
    int rare = 0;
    XTAPE_LANES
    for (std::int64_t k = 0; k < kBlock; ++k) y[k] = f(in[k]...);
    for (std::int64_t k = 0; k < kBlock; ++k) rare += f.rare(in[k]...);
    for (std::int64_t k = 0; rare > 0 && k < kBlock; ++k) {
      if (f.rare(in[k]...)) y[k] = f.rare_value(in[k]...);
    }
    for (std::int64_t k = 0; k < kBlock; ++k) out[k] = y[k];
  } else {
    XTAPE_LANES
    for (std::int64_t k = 0; k < kBlock; ++k) out[k] = f(in[k]...);
  }
}

template <class F, class Out, class... T>
XTAPE_INLINE void each_block(const F& f, Out* out, std::int64_t n, Blocks<T>&&... in) {
  std::int64_t i = 0;
  for (; (i + 1) * kBlock <= n; ++i) block(f, out + i * kBlock, in[i]...);
  const std::int64_t rest = n - i * kBlock;
  if (rest == 0) return;
  alignas(64) Out last[kBlock];
  block(f, last, in.part(i, rest)...);
  copy_few(out + i * kBlock, last, rest);
}

/// Functors of one operation (or a product and a sum, which contract alike everywhere): their bits
/// are the same in a vector and alone, so that a few numbers need no block. They say so by a
/// member kPlain.
template <class F>
concept Plain = F::kPlain;

/// out[j] = f(in[j]...) for j < n by the best instruction set at hand. An operand may be `out`.
template <class F, class Out, class... T>
void run(const F& f, Out* out, std::int64_t n, Operand<T>... in) {
  at_simd_level([=]() XTAPE_INLINE_LAMBDA {
    if constexpr (Plain<F>) {
      if (n < kBlock) {
        for (std::int64_t k = 0; k < n; ++k) out[k] = f(in.p[k * in.step]...);
        return;
      }
    }
    each_block(f, out, n, Blocks<T>(in)...);
  });
}

/// Block of a unary functor; T is the element type of the input.
template <class F, class T>
void unary_block(const F& f, const BlockArgs& a) {
  run(f, static_cast<decltype(f(T{}))*>(a.out), a.n,
      Operand<T>{static_cast<const T*>(a.in[0]), a.step[0]});
}

/// Block of a binary functor.
template <class F, class T>
void binary_block(const F& f, const BlockArgs& a) {
  run(f, static_cast<decltype(f(T{}, T{}))*>(a.out), a.n,
      Operand<T>{static_cast<const T*>(a.in[0]), a.step[0]},
      Operand<T>{static_cast<const T*>(a.in[1]), a.step[1]});
}

/// Block of a functor of three operands, the first of type A.
template <class A, class T, class F>
void ternary_block(const F& f, const BlockArgs& a) {
  run(f, static_cast<T*>(a.out), a.n, Operand<A>{static_cast<const A*>(a.in[0]), a.step[0]},
      Operand<T>{static_cast<const T*>(a.in[1]), a.step[1]},
      Operand<T>{static_cast<const T*>(a.in[2]), a.step[2]});
}

/// The kernel of every elementwise op: walks the broadcast shape and calls op.block on runs.
void elementwise(const KernelArgs& args);

}  // namespace xtape::kernels
