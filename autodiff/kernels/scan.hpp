#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/autodiff/shape.hpp>

// Scans: every line of a shape along an axis is walked from one end to the other, and a state goes
// with it. Lines that lie side by side are walked together, lane by lane; lines of contiguous
// elements a few at a time, so that they need not wait for their own last step.
namespace xtape::kernels {

/// What f32 is accumulated in.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, T>;

/// The lines of a shape along an axis: `outer` blocks of `inner` lines side by side, n long.
struct Lines {
  std::int64_t outer = 1, n = 1, inner = 1;
  Lines(const Shape& shape, int axis) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    if (axis < shape.rank()) n = shape[axis];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
  /// Calls f(first element, stride, length) for each line, in the order of what remains when the
  /// axis is reduced.
  template <class F>
  void each(F&& f) const {
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) f(o * n * inner + i, inner, n);
    }
  }
};

template <class State, class Step>
XTAPE_INLINE void scan_neighbours(const Step& step, const State& initial, std::int64_t at,
                                  std::int64_t stride, std::int64_t n, std::int64_t width) {
  constexpr std::int64_t kSide = 64;
  for (std::int64_t first = 0; first < width; first += kSide) {
    const std::int64_t count = std::min(kSide, width - first);
    State state[kSide];
    for (auto& s : state) s = initial;
    std::int64_t row = at + first;
    for (std::int64_t k = 0; k < n; ++k, row += stride) {
      XTAPE_LANES
      for (std::int64_t j = 0; j < count; ++j) step(state[j], row + j, k);
    }
  }
}

template <std::int64_t kCount, class State, class Step>
XTAPE_INLINE void scan_lines(const Step& step, const State& initial, std::int64_t at,
                             std::int64_t stride, std::int64_t n) {
  State state[kCount];
  for (auto& s : state) s = initial;
  const std::int64_t apart = n;
  for (std::int64_t k = 0; k < n; ++k, at += stride) {
    for (std::int64_t j = 0; j < kCount; ++j) step(state[j], at + j * apart, k);
  }
}

/// Calls step(state, at, k) for each element `at`, the k-th of its line in the order of the walk.
/// `step` is a lambda of XTAPE_INLINE_LAMBDA that writes nothing another line reads.
template <class State, class Step>
void scan(const Shape& shape, int axis, bool reverse, const State& initial, const Step& step) {
  const Lines lines(shape, axis);
  if (shape.size() == 0) return;
  at_simd_level([&]() XTAPE_INLINE_LAMBDA {
    const std::int64_t start = reverse ? (lines.n - 1) * lines.inner : 0;
    const std::int64_t stride = reverse ? -lines.inner : lines.inner;
    if (lines.inner > 1) {
      for (std::int64_t o = 0; o < lines.outer; ++o) {
        scan_neighbours(step, initial, o * lines.n * lines.inner + start, stride, lines.n,
                        lines.inner);
      }
      return;
    }
    std::int64_t o = 0;
    for (; o + 8 <= lines.outer; o += 8) {
      scan_lines<8>(step, initial, o * lines.n + start, stride, lines.n);
    }
    for (; o < lines.outer; ++o) {
      scan_lines<1>(step, initial, o * lines.n + start, stride, lines.n);
    }
  });
}

}  // namespace xtape::kernels
