#pragma once

#include <cstdint>
#include <limits>

#include <xtape/autodiff/dtype.hpp>

namespace xtape::kernels {

/// The largest |x| of n floating elements; infinite when one is infinite or NaN.
double largest(const void* x, DType dtype, std::int64_t n);
/// The largest finite number of a floating dtype.
constexpr double largest_finite(DType t) {
  return t == f32 ? double{std::numeric_limits<float>::max()} : std::numeric_limits<double>::max();
}
/// True when no |x| of n elements is above the (finite) limit, and none is NaN.
bool all_within(const void* x, DType dtype, std::int64_t n, double limit);
/// True when none of n elements is NaN or infinite.
bool all_finite(const void* x, DType dtype, std::int64_t n);

}  // namespace xtape::kernels
