#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>

namespace xtape {

/// The largest rank of a Tensor.
inline constexpr int kMaxRank = 8;

/// A short list of integers, kept inline: what Shape and Axes have in common.
class Dims {
 public:
  /// No entries.
  constexpr Dims() noexcept = default;
  /// @throws ShapeError when there are more than kMaxRank entries.
  Dims(std::initializer_list<std::int64_t> dims) { assign(dims.begin(), dims.end()); }
  /// From a range. @throws ShapeError for more than kMaxRank entries.
  template <class It>
  requires(!std::integral<It>) Dims(It first, It last) { assign(first, last); }

  /// Number of entries.
  int rank() const noexcept { return rank_; }
  /// True without entries.
  bool empty() const noexcept { return rank_ == 0; }
  /// Entry i, negative ones counted from the last; the range is not checked.
  std::int64_t operator[](int i) const noexcept { return dims_[place(i)]; }
  /// The same for writing.
  std::int64_t& operator[](int i) noexcept { return dims_[place(i)]; }
  /// The first entry.
  const std::int64_t* begin() const noexcept { return dims_.data(); }
  /// One past the last entry.
  const std::int64_t* end() const noexcept { return dims_.data() + rank_; }
  /// Appends. @throws ShapeError beyond kMaxRank entries.
  void push_back(std::int64_t d);
  /// "(2, 3)", "(4,)", "()".
  std::string str() const;

  /// Same entries in the same order.
  friend bool operator==(const Dims& a, const Dims& b) noexcept {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  std::size_t place(int i) const noexcept {
    return static_cast<std::size_t>(i < 0 ? i + rank_ : i);
  }
  template <class It>
  void assign(It first, It last) {
    for (; first != last; ++first) push_back(static_cast<std::int64_t>(*first));
  }

  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& os, const Dims& d);

/// Extents of a Tensor, outermost first; `Shape{}` is that of a single number.
class Shape : public Dims {
 public:
  using Dims::Dims;
  /// Number of elements: the product of the extents, 1 for rank 0.
  std::int64_t size() const noexcept {
    std::uint64_t n = 1;  // unsigned: what overflows is refused where memory is asked for
    for (std::int64_t d : *this) n *= static_cast<std::uint64_t>(d);
    return static_cast<std::int64_t>(n);
  }
};

/// Axes of a reduction or permutation; negative ones count from the last. `Axes{}` means all.
class Axes : public Dims {
 public:
  using Dims::Dims;
  /// A single axis.
  template <std::integral T>
  requires(!std::same_as<T, bool>) Axes(T axis) { push_back(static_cast<std::int64_t>(axis)); }
};

/// The shape that two operands broadcast to, by NumPy's rule: aligned at the last axis, extents
/// agree or one of them is 1.
/// @throws ShapeError naming `op`, both shapes and the axis that does not fit.
Shape broadcast(std::string_view op, const Shape& a, const Shape& b);

/// `axis` counted from the front.
/// @throws ShapeError naming `op` when it is not in [-rank, rank).
int normalize_axis(std::string_view op, std::int64_t axis, const Shape& shape);

/// Sorted, counted from the front; all axes for an empty list.
/// @throws ShapeError naming `op` when one is out of range or stands twice.
Axes normalize_axes(std::string_view op, const Axes& axes, const Shape& shape);

/// What remains of `shape` when `axes` (normalized) are reduced: dropped, or 1 with `keepdims`.
Shape reduced(const Shape& shape, const Axes& axes, bool keepdims);

}  // namespace xtape
