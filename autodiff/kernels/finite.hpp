#pragma once

#include <cstdint>

#include <xtape/autodiff/dtype.hpp>

namespace xtape::kernels {

/// The largest |x| of n floating elements; infinite when one is infinite or NaN.
double largest(const void* x, DType dtype, std::int64_t n);
/// True when none of n elements is NaN or infinite.
bool all_finite(const void* x, DType dtype, std::int64_t n);

}  // namespace xtape::kernels
