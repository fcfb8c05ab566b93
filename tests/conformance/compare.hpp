#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/tensor.hpp>

namespace xtape::conformance {

/// How far two tensors may be apart: |got − reference| ≤ relative · (largest |reference|) +
/// absolute. Infinities and NaN must stand in the same places.
struct Bar {
  double relative = 1e-10;
  double absolute = 1e-12;
};

/// What a comparison found.
struct Difference {
  std::string broken;               ///< "" when shape and dtype fit, otherwise what does not.
  double error = 0;                 ///< The largest |got − reference| / (largest |reference|).
  std::vector<std::int64_t> wrong;  ///< Row-major positions beyond the bar.
  std::string first;                ///< The first of them in words.
  bool ok() const { return broken.empty() && wrong.empty(); }
};

/// Compares all elements. With `single`, elements beyond the range of f32 may be infinite and NaN
/// there is none.
Difference compare(const Tensor& got, const Tensor& reference, const Bar& bar, bool single = false);

}  // namespace xtape::conformance
