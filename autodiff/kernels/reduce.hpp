#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/kernels/strided.hpp>

// Reductions over any set of axes, in an order that depends on the shape alone. A reducer R has an
// accumulator type Acc, a number of independent accumulators (lanes) of one run, and static members
// init(), add(acc, x), merge(acc, other) and add_lanes, which adds x[k] to lane k.
namespace xtape::kernels {

inline constexpr std::int64_t kTile = 64;    // neighbouring outputs reduced together
inline constexpr std::int64_t kChunk = 512;  // elements per partial result: bounds rounding

// Sums of f32 are taken in double: the result is right to its last bit or so at any length.
template <class T>
struct Sum {
  using Acc = std::conditional_t<std::is_same_v<T, std::int64_t>, std::int64_t, double>;
  static Acc init() { return 0; }
  XTAPE_INLINE static void add(Acc& acc, T x) { acc += static_cast<Acc>(x); }
  XTAPE_INLINE static void merge(Acc& acc, Acc o) { acc += o; }
  static constexpr bool kIdempotent = false;
  static constexpr std::int64_t kLanes = 16;
  // Left to be unrolled: then lanes stay in registers.
  XTAPE_INLINE static void add_lanes(Acc* lane, const T* x) {
    for (std::int64_t k = 0; k < kLanes; ++k) add(lane[k], x[k]);
  }
};

template <class T>
struct Product {
  using Acc = typename Sum<T>::Acc;
  static Acc init() { return 1; }
  XTAPE_INLINE static void add(Acc& acc, T x) { acc *= static_cast<Acc>(x); }
  XTAPE_INLINE static void merge(Acc& acc, Acc o) { acc *= o; }
  static constexpr bool kIdempotent = false;
  static constexpr std::int64_t kLanes = 16;
  XTAPE_INLINE static void add_lanes(Acc* lane, const T* x) {
    for (std::int64_t k = 0; k < kLanes; ++k) add(lane[k], x[k]);
  }
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
  XTAPE_INLINE static void add(Acc& acc, T x) {
    // No ||, which would be a branch. NaN goes in and stays.
    const bool take = static_cast<bool>((kLargest ? x > acc : x < acc) | (x != x));
    acc = take ? x : acc;
  }
  XTAPE_INLINE static void merge(Acc& acc, T x) { add(acc, x); }
  // Selections become SIMD code in a loop only, which keeps lanes in memory: several vectors hide
  // that.
  static constexpr std::int64_t kLanes = 256 / sizeof(T);
  static constexpr bool kIdempotent = true;  // an element may be added twice
  XTAPE_INLINE static void add_lanes(Acc* lane, const T* x) {
    XTAPE_LANES
    for (std::int64_t k = 0; k < kLanes; ++k) add(lane[k], x[k]);
  }
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

// Halves the lanes until one is left.
template <class R, std::int64_t kWidth>
XTAPE_INLINE void merge_lanes(typename R::Acc* lane) {
  if constexpr (kWidth > 0) {
    XTAPE_LANES
    for (std::int64_t k = 0; k < kWidth; ++k) R::merge(lane[k], lane[k + kWidth]);
    merge_lanes<R, kWidth / 2>(lane);
  }
}

template <class R, class T>
XTAPE_INLINE typename R::Acc reduce_run_body(const T* x, std::int64_t n) {
  constexpr std::int64_t kLanes = R::kLanes;
  typename R::Acc total = R::init();
  if (n < kLanes) {
    for (std::int64_t i = 0; i < n; ++i) R::add(total, x[i]);
    return total;
  }
  for (std::int64_t start = 0; start < n; start += kChunk * kLanes) {
    const std::int64_t end = std::min(n, start + kChunk * kLanes);
    alignas(64) typename R::Acc lane[kLanes];
    for (auto& acc : lane) acc = R::init();
    std::int64_t i = start;
    for (; i + kLanes <= end; i += kLanes) R::add_lanes(lane, x + i);
    if (R::kIdempotent && i < end) {
      R::add_lanes(lane, x + end - kLanes);
    } else {
      for (std::int64_t k = 0; i < end; ++i, ++k) R::add(lane[k], x[i]);
    }
    merge_lanes<R, kLanes / 2>(lane);
    R::merge(total, lane[0]);
  }
  return total;
}

template <class R, class T>
XTAPE_INLINE void add_row_body(typename R::Acc* acc, const T* x, std::int64_t n) {
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

/// How the outputs of a reduction are walked: one after the other where each is reduced in
/// contiguous runs, else in tiles of neighbours, row by row.
class ReduceLoops {
 public:
  ReduceLoops(const Shape& shape, const Axes& axes) : ReduceLoops(ReduceGeometry(shape, axes)) {}
  bool by_runs() const { return by_runs_; }

  /// f(offset) for every output, in order; `offset` is that of the first of its elements.
  template <class F>
  void each_output(F&& f) const {
    kept_.each([&](const auto& outer) {
      for (std::int64_t j = 0; j < kept_.inner(); ++j) f(outer[0] + j * kept_.inner_stride(0));
    });
  }
  /// The same for tiles of `width` outputs: f(offset, width).
  template <class F>
  void each_tile(F&& f) const {
    kept_.each([&](const auto& outer) {
      for (std::int64_t j = 0; j < kept_.inner(); j += kTile) {
        f(outer[0] + j, std::min(kTile, kept_.inner() - j));
      }
    });
  }

  /// An output whose elements start at x; run(x, n) reduces one run of them.
  template <class R, class T, class Run>
  typename R::Acc output(const T* x, Run&& run) const {
    typename R::Acc total = R::init();
    gone_.each([&](const auto& offset) { R::merge(total, run(x + offset[0], gone_.inner())); });
    return total;
  }
  /// A tile of outputs whose elements start at x; row(acc, x) adds an element to each of them.
  template <class R, class T, class Row>
  void tile(const T* x, std::int64_t width, typename R::Acc* total, Row&& row) const {
    std::array<typename R::Acc, kTile> partial;
    partial.fill(R::init());
    std::fill_n(total, width, R::init());
    std::int64_t rows = 0;
    const auto flush = [&] {
      for (std::int64_t k = 0; k < width; ++k) {
        R::merge(total[k], partial[static_cast<std::size_t>(k)]);
      }
      partial.fill(R::init());
      rows = 0;
    };
    gone_.each([&](const auto& offset) {
      for (std::int64_t r = 0; r < gone_.inner(); ++r) {
        row(partial.data(), x + offset[0] + r * gone_.inner_stride(0));
        if (++rows == kChunk) flush();
      }
    });
    flush();
  }

 private:
  explicit ReduceLoops(const ReduceGeometry& g)
      : kept_(g.kept, {g.kept_strides}),
        gone_(g.gone, {g.gone_strides}),
        by_runs_(g.rows || g.gone.size() == 0 || kept_.inner_stride(0) != 1) {}
  StridedLoop<1> kept_, gone_;
  bool by_runs_;
};

/// Calls finish(output position, accumulator) for every output of reducing x over `axes`.
template <class R, class T, class Finish>
void reduce(const T* x, const Shape& shape, const Axes& axes, Finish&& finish) {
  const ReduceLoops loops(shape, axes);
  std::int64_t position = 0;
  if (loops.by_runs()) {
    loops.each_output(
        [&](std::int64_t at) { finish(position++, loops.output<R>(x + at, reduce_run<R, T>)); });
    return;
  }
  loops.each_tile([&](std::int64_t at, std::int64_t width) {
    typename R::Acc total[kTile];
    loops.tile<R>(x + at, width, total,
                  [&](typename R::Acc* acc, const T* row) { add_row<R>(acc, row, width); });
    for (std::int64_t k = 0; k < width; ++k) finish(position++, total[k]);
  });
}

}  // namespace xtape::kernels
