#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/kernels/strided.hpp>

// Reductions over any set of axes, in an order that depends on the shape alone. A reducer R has an
// accumulator type Acc and static members init(), add(acc, x), merge(acc, other).
namespace xtape::kernels {

inline constexpr std::int64_t kLanes = 16;   // independent accumulators of one run: SIMD width
inline constexpr std::int64_t kTile = 64;    // neighbouring outputs reduced together
inline constexpr std::int64_t kChunk = 512;  // elements per partial result: bounds rounding

// Sums of f32 are taken in double: the result is right to its last bit or so at any length.
template <class T>
struct Sum {
  using Acc = std::conditional_t<std::is_same_v<T, std::int64_t>, std::int64_t, double>;
  static Acc init() { return 0; }
  static void add(Acc& acc, T x) { acc += static_cast<Acc>(x); }
  static void merge(Acc& acc, Acc o) { acc += o; }
};

template <class T, bool kLargest>
struct Extremum {
  using Acc = T;
  static Acc init() {
    if constexpr (std::is_same_v<T, std::int64_t>) {
      return kLargest ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
    } else {
      return kLargest ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    }
  }
  static void add(Acc& acc, T x) {
    // No ||, which would be a branch. NaN goes in and stays.
    const bool take = static_cast<bool>((kLargest ? x > acc : x < acc) | (x != x));
    acc = take ? x : acc;
  }
  static void merge(Acc& acc, T x) { add(acc, x); }
};

// Σ e^(x−m) and its maximum m, merged without overflow.
template <class T>
struct LogSumExp {
  struct Acc {
    double max = -std::numeric_limits<double>::infinity();
    double sum = 0;
  };
  static Acc init() { return {}; }
  static void merge(Acc& a, const Acc& b) {
    if (b.max != b.max || a.max < b.max) {
      a.sum = std::isinf(a.max) ? b.sum : a.sum * std::exp(a.max - b.max) + b.sum;
      a.max = b.max;
    } else if (b.sum > 0) {
      a.sum += a.max == b.max ? b.sum : b.sum * std::exp(b.max - a.max);
    }
  }
  static void add(Acc& a, T x) { merge(a, {static_cast<double>(x), 1}); }
};

template <class T>
using Largest = Extremum<T, true>;
template <class T>
using Smallest = Extremum<T, false>;

/// The axes of a reduction split into those that stay and those that go.
struct ReduceGeometry {
  Shape kept, gone;
  Strides kept_strides{}, gone_strides{};
  bool rows = false;  ///< The last axis goes: the input is reduced in contiguous runs.

  ReduceGeometry(const Shape& shape, const Axes& axes) {
    const Strides all = row_major(shape);
    for (int i = 0; i < shape.rank(); ++i) {
      const bool go = std::find(axes.begin(), axes.end(), i) != axes.end();
      if (shape[i] == 1) continue;
      Shape& part = go ? gone : kept;
      (go ? gone_strides : kept_strides)[static_cast<std::size_t>(part.rank())] =
          all[static_cast<std::size_t>(i)];
      part.push_back(shape[i]);
      rows = go;
    }
  }
};

template <class R, class T>
[[gnu::always_inline]] inline typename R::Acc reduce_run_body(const T* x, std::int64_t n) {
  typename R::Acc total = R::init();
  for (std::int64_t start = 0; start < n; start += kChunk * kLanes) {
    const std::int64_t end = std::min(n, start + kChunk * kLanes);
    typename R::Acc lane[kLanes];
    for (auto& acc : lane) acc = R::init();
    std::int64_t i = start;
    for (; i + kLanes <= end; i += kLanes) {
      XTAPE_LANES
      for (std::int64_t k = 0; k < kLanes; ++k) R::add(lane[k], x[i + k]);
    }
    for (std::int64_t k = 0; i < end; ++i, ++k) R::add(lane[k], x[i]);
    for (std::int64_t width = kLanes / 2; width > 0; width /= 2) {
      for (std::int64_t k = 0; k < width; ++k) R::merge(lane[k], lane[k + width]);
    }
    R::merge(total, lane[0]);
  }
  return total;
}

template <class R, class T>
[[gnu::always_inline]] inline void add_row_body(typename R::Acc* acc, const T* x, std::int64_t n) {
  XTAPE_LANES
  for (std::int64_t k = 0; k < n; ++k) R::add(acc[k], x[k]);
}

/// R over n contiguous elements.
template <class R, class T>
typename R::Acc reduce_run(const T* x, std::int64_t n) {
  return at_simd_level([=]() XTAPE_INLINE_LAMBDA { return reduce_run_body<R>(x, n); });
}

template <class R, class T>
void add_row(typename R::Acc* acc, const T* x, std::int64_t n) {
  at_simd_level([=]() XTAPE_INLINE_LAMBDA { add_row_body<R>(acc, x, n); });
}

/// Calls finish(output position, accumulator) for every output of reducing x over `axes`.
template <class R, class T, class Finish>
void reduce(const T* x, const Shape& shape, const Axes& axes, Finish&& finish) {
  const ReduceGeometry g(shape, axes);
  const StridedLoop<1> kept(g.kept, {g.kept_strides});
  const StridedLoop<1> gone(g.gone, {g.gone_strides});
  const bool nothing = g.gone.size() == 0;
  std::int64_t position = 0;
  if (g.rows || nothing || kept.inner_stride(0) != 1) {
    kept.each([&](const auto& outer) {
      for (std::int64_t j = 0; j < kept.inner(); ++j) {
        typename R::Acc total = R::init();
        const T* base = x + outer[0] + j * kept.inner_stride(0);
        gone.each([&](const auto& offset) {
          R::merge(total, reduce_run<R>(base + offset[0], gone.inner()));
        });
        finish(position++, total);
      }
    });
    return;
  }
  kept.each([&](const auto& outer) {
    for (std::int64_t j = 0; j < kept.inner(); j += kTile) {
      const std::int64_t width = std::min(kTile, kept.inner() - j);
      std::array<typename R::Acc, kTile> total, partial;
      total.fill(R::init());
      partial.fill(R::init());
      std::int64_t rows = 0;
      const auto flush = [&] {
        for (std::size_t k = 0; k < static_cast<std::size_t>(width); ++k) {
          R::merge(total[k], partial[k]);
        }
        partial.fill(R::init());
        rows = 0;
      };
      gone.each([&](const auto& offset) {
        const T* base = x + outer[0] + j + offset[0];
        for (std::int64_t r = 0; r < gone.inner(); ++r) {
          add_row<R>(partial.data(), base + r * gone.inner_stride(0), width);
          if (++rows == kChunk) flush();
        }
      });
      flush();
      for (std::int64_t k = 0; k < width; ++k)
        finish(position++, total[static_cast<std::size_t>(k)]);
    }
  });
}

}  // namespace xtape::kernels
