#pragma once

#include <algorithm>
#include <string>

#include <xtape/autodiff/kernels/reduce.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// What the ops on index tensors share.
namespace xtape::indexed {

/// The axis that indices point into, and the shape of the whole.
struct AxisOf {
  int axis;
  Shape shape;
  std::string str() const { return "axis " + std::to_string(axis) + " of " + shape.str(); }
  bool operator==(const AxisOf&) const = default;
};

/// @throws DTypeError unless `indices` are i64.
inline void check_index_dtype(std::string_view op, const Spec& indices) {
  if (indices.dtype == i64) return;
  throw DTypeError(op, std::string("indices are ") + name(indices.dtype) + indices.shape.str() +
                           ": they must be i64, write cast(indices, i64)");
}

/// @throws ShapeError unless `indices` has the rank of `whole` and fits into it beside `axis`.
inline void check_fits(std::string_view op, const Shape& indices, const Shape& whole, int axis) {
  bool fits = indices.rank() == whole.rank();
  for (int i = 0; fits && i < whole.rank(); ++i) fits = i == axis || indices[i] <= whole[i];
  if (fits) return;
  throw ShapeError(op, "indices " + indices.str() + " into axis " + std::to_string(axis) + " of " +
                           whole.str() +
                           ": ranks must agree, and extents beside the axis must not be larger");
}

/// @throws ValueError naming the first of the indices that is outside [−extent, extent).
inline void check_range(std::string_view op, const std::int64_t* index, std::int64_t n,
                        std::int64_t extent) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (index[i] >= -extent && index[i] < extent) continue;
    throw ValueError(op, "index " + std::to_string(index[i]) + " at position " + std::to_string(i) +
                             " into an axis of extent " + std::to_string(extent) +
                             ": must be in [" + std::to_string(-extent) + ", " +
                             std::to_string(extent) + ")");
  }
}

/// The index counted from the front.
XTAPE_INLINE std::int64_t from_front(std::int64_t index, std::int64_t extent) {
  return index < 0 ? index + extent : index;
}

/// Calls f(position in `indices`, position in `whole`) for every index, in row-major order.
template <class F>
void each_indexed(const std::int64_t* index, const Shape& indices, const Shape& whole, int axis,
                  F&& f) {
  kernels::Strides strides = kernels::row_major(whole);
  const std::int64_t extent = whole[axis];
  const std::int64_t along = std::exchange(strides[static_cast<std::size_t>(axis)], 0);
  const kernels::StridedLoop<1> loop(indices, {strides});
  std::int64_t at = 0;
  loop.each([&](const auto& offset) {
    for (std::int64_t i = 0; i < loop.inner(); ++i, ++at) {
      f(at, offset[0] + i * loop.inner_stride(0) + from_front(index[at], extent) * along);
    }
  });
}

/// Extents before, at and behind an axis.
struct Blocks {
  std::int64_t outer = 1, extent, inner = 1;
  Blocks(const Shape& shape, int axis) : extent(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

/// Sums of type T, kept in double where that is float until they are taken.
template <class T>
class Sums {
 public:
  using Acc = typename kernels::Sum<T>::Acc;
  Sums(void* out, std::int64_t n) : out_(static_cast<T*>(out)), n_(n) {
    if constexpr (kApart) {
      acc_ = static_cast<Acc*>(memory::allocate(bytes()));
    } else {
      acc_ = out_;
    }
    std::fill_n(acc_, n_, Acc{0});
  }
  Sums(const Sums&) = delete;
  Sums& operator=(const Sums&) = delete;
  ~Sums() {
    if constexpr (kApart) {
      for (std::int64_t i = 0; i < n_; ++i) out_[i] = static_cast<T>(acc_[i]);
      memory::release(acc_, bytes());
    }
  }
  Acc* data() { return acc_; }

 private:
  static constexpr bool kApart = !std::is_same_v<Acc, T>;
  std::size_t bytes() const { return static_cast<std::size_t>(n_) * sizeof(Acc); }
  T* out_;
  Acc* acc_;
  std::int64_t n_;
};

/// Calls f with an unsigned integer as wide as an element.
template <class F>
void dispatch_width(DType dtype, F&& f) {
  if (size_of(dtype) == 8) return f(std::uint64_t{});
  if (size_of(dtype) == 4) return f(std::uint32_t{});
  f(std::uint8_t{});
}

/// Indices for samples: small and fixed; unless `repeats`, each stands once along an axis.
Tensor sample_indices(const Shape& shape, std::int64_t extent, bool repeats = true, int axis = 0);

/// What is scattered to `indices`: `src` cut to their shape, or a single number for all of them.
/// @throws ShapeError when it is smaller.
Var values_for(const char* op, const Var& x, const Var& indices, const Var& src);

}  // namespace xtape::indexed
