#pragma once

#include <xtape/autodiff/var.hpp>

// Elements chosen by position: gather, scatter, index, mask.
//
// Index tensors are i64. Negative indices count from the end; one outside [−n, n) is a ValueError
// that names the index, its position and the extent, thrown before anything is written. Where
// indices repeat, sums are taken and elements written in row-major order of the indices.
namespace xtape {

/// y[…, k, …] = x[…, indices[…, k, …], …] on `axis`: `indices` has the rank of x, and extents at
/// most those of x on the other axes; the result has the shape of `indices` (PyTorch's gather).
/// @throws ShapeError; DTypeError unless indices are i64; ValueError for an index out of range.
Var gather(const Var& x, std::int64_t axis, const Var& indices);
/// gather for which x and `indices` broadcast against each other on the other axes (NumPy's
/// take_along_axis). @throws as gather.
Var take_along_axis(const Var& x, const Var& indices, std::int64_t axis);
/// take_along_axis's gradient: y = 0 of `shape`, y[…, indices[…, k, …], …] += src[…, k, …]. `src`
/// and `indices` have one shape, whose extents are at most those of `shape` on the other axes.
/// @throws as gather.
Var scatter_add_along_axis(const Var& src, const Var& indices, std::int64_t axis,
                           const Shape& shape);
/// y[…, k, …] = x[…, indices[k], …]: `indices` is a vector or a single number (which counts as a
/// vector of one). @throws as gather.
Var index_select(const Var& x, std::int64_t axis, const Var& indices);
/// index_select's gradient, a sum by segments: y = 0 with `extent` positions on `axis`,
/// y[…, indices[k], …] += src[…, k, …]. @throws as gather; ValueError for a negative extent.
Var index_sum(const Var& src, std::int64_t axis, const Var& indices, std::int64_t extent);

}  // namespace xtape
