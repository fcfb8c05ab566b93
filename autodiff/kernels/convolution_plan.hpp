#pragma once

#include <algorithm>

#include <xtape/autodiff/kernels/columns.hpp>
#include <xtape/autodiff/kernels/convolution.hpp>
#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/gemm_kernels.hpp>
#include <xtape/autodiff/kernels/scratch.hpp>
#include <xtape/autodiff/threads.hpp>

// Between the files that compute convolutions: sizes, and how the work is shared out.
namespace xtape::kernels::conv {

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Columns are made in panels as wide as the register blocks of the matrix kernels: a panel of one
// pass lies in the L1 cache without gaps.
template <class T>
constexpr std::int64_t kPanel = 128 / static_cast<std::int64_t>(sizeof(T));
constexpr std::int64_t kPanels = 8;   // at a time: those of a pass stay in the L2 cache
constexpr std::int64_t kDepth = 256;  // rows of columns per pass, where a channel has less
constexpr std::int64_t kStrip = 256;  // rows of the other operand

// A convolution of windows of one element is a product as it is, over one long axis.
inline Convolution simplified(const Convolution& c) {
  Convolution out = c;
  if (c.windows.plain()) {
    out.windows = {};
    out.windows.in[2] = out.windows.out[2] = volume(c.windows.in);
  }
  return out;
}

// What all three have in common: sizes, and parts of the input channels, so that the rows of
// columns that a part has fill a pass.
template <class T>
struct Plan {
  explicit Plan(const Convolution& conv)
      : c(simplified(conv)),
        columns(c.windows),
        taps(volume(c.windows.window)),
        rows(c.inputs * taps),
        points(volume(c.windows.out)),
        in_points(volume(c.windows.in)),
        parts(ceil_div(c.inputs, std::max<std::int64_t>(kDepth / taps, 1))) {}
  bool empty() const { return c.samples * c.groups * c.outputs * points * rows == 0; }
  // Multiply-adds per window of one group.
  std::int64_t work() const { return c.outputs * rows; }

  std::int64_t channel(std::int64_t part) const { return c.inputs * part / parts; }
  // Channels of the largest part.
  std::int64_t channels() const { return ceil_div(c.inputs, parts); }

  std::int64_t x_at(std::int64_t sample, std::int64_t group) const {
    return (sample * c.groups + group) * c.inputs * in_points;
  }
  std::int64_t w_at(std::int64_t group) const { return group * c.outputs * rows; }
  std::int64_t y_at(std::int64_t sample, std::int64_t group) const {
    return (sample * c.groups + group) * c.outputs * points;
  }

  Convolution c;
  Columns<T> columns;
  std::int64_t taps, rows;  // rows of all columns: inputs × taps
  std::int64_t points, in_points;
  std::int64_t parts;
};

// Calls body(i) for i < count in portions of enough work for a thread.
template <class F>
void share_out(std::int64_t count, std::int64_t work, const F& body) {
  const std::int64_t portion =
      std::max<std::int64_t>(kWorkPerPiece / std::max<std::int64_t>(work, 1), 1);
  const auto run = [&](std::int64_t piece) {
    const std::int64_t end = std::min(count, (piece + 1) * portion);
    for (std::int64_t i = piece * portion; i < end; ++i) body(i);
  };
  if (count <= portion) return run(0);
  detail::parallel_for(ceil_div(count, portion), run);
}

// A matrix, transposed.
template <class T>
void transpose(std::int64_t rows, std::int64_t columns, const T* from, T* to) {
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t j = 0; j < columns; j += kBlock) {
    const std::int64_t end = std::min(columns, j + kBlock);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t k = j; k < end; ++k) to[k * rows + i] = from[i * columns + k];
    }
  }
}

}  // namespace xtape::kernels::conv
