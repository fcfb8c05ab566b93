#pragma once

#include <algorithm>
#include <cstring>

#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/autodiff/kernels/windows.hpp>

namespace xtape::kernels {

/// The windows of a convolution as columns of a matrix: one row for each tap of each channel.
///
/// With stride 1 a row is a piece of the padded input, and rows of different taps are pieces that
/// begin elsewhere. So where that is not much more, there is a column for every position of the
/// padded input up to the last window: copies have no gaps, and what the columns between two lines
/// of windows give is not used.
template <class T>
class Columns {
 public:
  explicit Columns(const Windows& w) : w_(w), count_(volume(w.out)), wide_(false) {
    pad_.in = w.in;
    pad_.padding = w.padding;
    for (std::size_t i = 0; i < 3; ++i) {
      pad_.out[i] = w.out[i] + (w.window[i] - 1) * w.dilation[i];
    }
    if (w.stride != Extents{1, 1, 1} || count_ == 0) return;
    reach_ = offset({w.window[0] - 1, w.window[1] - 1, w.window[2] - 1});
    const std::int64_t all = volume(pad_.out) - reach_;
    constexpr std::int64_t kFarthest = 512;  // what is padded in vain for some columns
    wide_ = 2 * all <= 3 * count_ && (bare() || reach_ <= kFarthest);
    if (wide_) count_ = all;
  }

  /// Columns of one sample.
  std::int64_t count() const { return count_; }
  /// Whether each is a window.
  bool exact() const { return count_ == volume(w_.out); }
  /// Elements of scratch memory that `columns` columns of so many channels take.
  std::int64_t scratch(std::int64_t channels, std::int64_t columns) const {
    return wide_ && !bare() ? channels * (columns + reach_) : 0;
  }

  /// Columns [first, first + count) of some channels as panels of `width` columns: row c·taps + k
  /// of panel i is at i·panel + (c·taps + k)·width. `width` is a multiple of 16, or at least
  /// `count`.
  void fill(const T* x, std::int64_t channels, std::int64_t first, std::int64_t count,
            std::int64_t width, std::int64_t panel, T* scratch, T* to) const {
    if (wide_) return fill_wide(x, channels, first, count, width, panel, scratch, to);
    for (std::int64_t at = 0; at < count; at += width, to += panel) {
      to_columns(w_, x, channels, first + at, std::min(width, count - at), to, width);
    }
  }

  /// Calls run(column, window, length) for the windows among columns [first, first + count).
  template <class F>
  void each_run(std::int64_t first, std::int64_t count, const F& run) const {
    if (exact()) return run(0, first, count);
    const std::int64_t width = pad_.out[2];
    std::int64_t x = first % width, line = first / width;
    for (std::int64_t at = 0; at < count; x = 0, ++line) {
      const std::int64_t length = std::min(count - at, width - x);
      const std::int64_t y = line % pad_.out[1], z = line / pad_.out[1];
      const std::int64_t windows = std::min(length, w_.out[2] - x);
      if (y < w_.out[1] && windows > 0) run(at, (z * w_.out[1] + y) * w_.out[2] + x, windows);
      at += length;
    }
  }

 private:
  // The padded input is the input.
  bool bare() const { return pad_.in == pad_.out && pad_.padding == Extents{}; }
  std::int64_t offset(const Extents& tap) const {
    return (tap[0] * w_.dilation[0] * pad_.out[1] + tap[1] * w_.dilation[1]) * pad_.out[2] +
           tap[2] * w_.dilation[2];
  }

  void fill_wide(const T* x, std::int64_t channels, std::int64_t first, std::int64_t count,
                 std::int64_t width, std::int64_t panel, T* scratch, T* to) const {
    const T* from = x + first;
    std::int64_t plane = volume(pad_.out);
    if (!bare()) {
      plane = count + reach_;
      to_columns(pad_, x, channels, first, plane, scratch, plane);
      from = scratch;
    }
    at_simd_level([&]() XTAPE_INLINE_LAMBDA {
      Extents tap{};
      for (std::int64_t c = 0; c < channels; ++c, from += plane) {
        for (tap[0] = 0; tap[0] < w_.window[0]; ++tap[0]) {
          for (tap[1] = 0; tap[1] < w_.window[1]; ++tap[1]) {
            const T* row = from + offset(tap);
            for (std::int64_t k = 0; k < w_.window[2]; ++k, row += w_.dilation[2], to += width) {
              copy_row(row, count, width, panel, to);
            }
          }
        }
      }
    });
  }

  // Whole panels first, whose copies are a few instructions.
  XTAPE_INLINE static void copy_row(const T* from, std::int64_t count, std::int64_t width,
                                    std::int64_t panel, T* to) {
    constexpr std::int64_t kBytes = 128, kWide = kBytes / sizeof(T), kPiece = kWide / 4;
    if (width == kWide) {
      for (; count >= kWide; count -= kWide, from += kWide, to += panel) {
        std::memcpy(to, from, kBytes);
      }
    }
    for (; count > 0; count -= width, from += width, to += panel) {
      const std::int64_t n = std::min(width, count);
      std::int64_t i = 0;
      for (; i + kPiece <= n; i += kPiece) std::memcpy(to + i, from + i, kBytes / 4);
      for (; i < n; ++i) to[i] = from[i];
    }
  }

  Windows w_, pad_;
  std::int64_t count_, reach_ = 0;
  bool wide_;
};

}  // namespace xtape::kernels
