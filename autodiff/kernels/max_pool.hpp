#pragma once

#include <xtape/autodiff/kernels/windows.hpp>

// Where the largest element of each window is.
namespace xtape::kernels {

/// Windows of a fixed size, or such as share each axis out (of `windows` only in and out count).
struct Pool {
  Windows windows;
  bool adaptive;
  bool operator==(const Pool&) const = default;
};

/// The positions of a window on one axis of the input.
struct Range {
  std::int64_t begin, end, step;
};
/// Of window i.
Range window_range(const Pool& p, std::size_t axis, std::int64_t i);

/// For each window of one plane the position of its largest element: the first of equal ones; of
/// NaN, the last one.
void largest_of_plane(const Pool& p, const float* x, std::int64_t* out);
void largest_of_plane(const Pool& p, const double* x, std::int64_t* out);

}  // namespace xtape::kernels
