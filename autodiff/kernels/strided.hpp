#pragma once

#include <array>
#include <cstdint>

#include <xtape/autodiff/shape.hpp>

namespace xtape::kernels {

using Strides = std::array<std::int64_t, kMaxRank>;

/// Element strides of a contiguous row-major array.
inline Strides row_major(const Shape& shape) {
  Strides s{};
  std::int64_t step = 1;
  for (int i = shape.rank(); i-- > 0;) {
    s[static_cast<std::size_t>(i)] = step;
    step *= shape[i];
  }
  return s;
}

/// Strides with which an array of shape `from` is read as one of shape `to`: 0 where it repeats.
inline Strides broadcast_strides(const Shape& from, const Shape& to) {
  const Strides own = row_major(from);
  Strides s{};
  const int shift = to.rank() - from.rank();
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] != 1) s[static_cast<std::size_t>(i + shift)] = own[static_cast<std::size_t>(i)];
  }
  return s;
}

/// A loop over all but the last axes of a shape, for N arrays with strides of their own. Axes that
/// all arrays walk without a gap are merged first, so that runs are as long as can be.
template <std::size_t N>
class StridedLoop {
 public:
  StridedLoop(const Shape& shape, const std::array<Strides, N>& strides) {
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == 1) continue;
      push(shape[i], strides, static_cast<std::size_t>(i));
    }
    if (rank_ == 0) extent_[rank_++] = 1;
  }

  std::int64_t inner() const { return extent_[rank_ - 1]; }
  std::int64_t inner_stride(std::size_t k) const { return stride_[k][rank_ - 1]; }

  /// Calls f(offsets) once per run, in row-major order; offsets count elements.
  template <class F>
  void each(F&& f) const {
    std::array<std::int64_t, N> offset{};
    std::array<std::int64_t, kMaxRank> index{};
    for (std::size_t i = 0; i < rank_; ++i) {
      if (extent_[i] == 0) return;
    }
    while (true) {
      f(offset);
      std::size_t axis = rank_ - 1;
      while (axis-- > 0) {
        for (std::size_t k = 0; k < N; ++k) offset[k] += stride_[k][axis];
        if (++index[axis] < extent_[axis]) break;
        for (std::size_t k = 0; k < N; ++k) offset[k] -= stride_[k][axis] * extent_[axis];
        index[axis] = 0;
        if (axis == 0) return;
      }
      if (rank_ == 1) return;
    }
  }

 private:
  void push(std::int64_t extent, const std::array<Strides, N>& strides, std::size_t axis) {
    bool merge = rank_ > 0;
    for (std::size_t k = 0; merge && k < N; ++k) {
      merge = stride_[k][rank_ - 1] == strides[k][axis] * extent;
    }
    if (!merge) ++rank_;
    for (std::size_t k = 0; k < N; ++k) stride_[k][rank_ - 1] = strides[k][axis];
    extent_[rank_ - 1] = merge ? extent_[rank_ - 1] * extent : extent;
  }

  std::array<std::int64_t, kMaxRank> extent_{};
  std::array<Strides, N> stride_{};
  std::size_t rank_ = 0;
};

}  // namespace xtape::kernels
