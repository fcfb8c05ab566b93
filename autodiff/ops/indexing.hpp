#pragma once

#include <variant>
#include <vector>

#include <xtape/autodiff/ops/shaping.hpp>

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
/// x[…, indices, …]: the axis gives way to those of `indices` (NumPy's take, an embedding).
/// @throws as gather.
Var take(const Var& x, const Var& indices, std::int64_t axis);
/// x as a vector, at `indices`; the result has their shape. @throws as gather.
Var take(const Var& x, const Var& indices);

/// y = x, y[…, indices[…, k, …], …] = src[…, k, …]; where an index repeats, the last one stands,
/// and only it has a gradient. Shapes as gather; `src` may be larger than `indices`, or a single
/// number.
/// @throws as gather; DTypeError when x and src differ.
Var scatter(const Var& x, std::int64_t axis, const Var& indices, const Var& src);
/// The same with one number.
Var scatter(const Var& x, std::int64_t axis, const Var& indices, double value);
/// y = x, y[…, indices[…, k, …], …] += src[…, k, …]. @throws as scatter.
Var scatter_add(const Var& x, std::int64_t axis, const Var& indices, const Var& src);

/// How scatter_reduce joins what meets at one element.
enum class Join { sum, prod, mean, amax, amin };
/// y = x, joined with src[…, k, …] at […, indices[…, k, …], …]; without `with_self`, x stays only
/// where no index points. Ties of amax and amin share the gradient equally; `prod` has all its
/// derivatives at zeros too, for which it takes memory for indices × extent of the axis.
/// @throws as scatter.
Var scatter_reduce(const Var& x, std::int64_t axis, const Var& indices, const Var& src, Join join,
                   bool with_self = true);

/// y = x, y[…, indices[k], …] += alpha·src[…, k, …]. @throws as index_select.
Var index_add(const Var& x, std::int64_t axis, const Var& indices, const Var& src,
              double alpha = 1);
/// y = x, y[…, indices[k], …] = src[…, k, …]; the last one stands. @throws as index_select.
Var index_copy(const Var& x, std::int64_t axis, const Var& indices, const Var& src);
/// y = x, y[…, indices[k], …] = value, a single number. @throws as index_select.
Var index_fill(const Var& x, std::int64_t axis, const Var& indices, const Var& value);
/// The same with a plain number.
Var index_fill(const Var& x, std::int64_t axis, const Var& indices, double value);

/// y = x, but src at the slices. @throws ShapeError unless src has their shape.
Var slice_scatter(const Var& x, const Var& src, const std::vector<Slice>& slices);
/// y = x, but src at one position of the axis. @throws ShapeError; ValueError when out of range.
Var select_scatter(const Var& x, const Var& src, std::int64_t axis, std::int64_t position);
/// y = x, but src on a diagonal, see diagonal(). @throws ShapeError.
Var diagonal_scatter(const Var& x, const Var& src, std::int64_t k = 0, std::int64_t row = 0,
                     std::int64_t column = 1);

/// The elements where `mask` is true, in row-major order; x and mask broadcast. The shape depends
/// on the values of `mask`, which are read here: compile() can not record it.
/// @throws DTypeError unless the mask is boolean.
Var masked_select(const Var& x, const Var& mask);
/// y = x, but where `mask` is true one element of src after the other, in row-major order; x and
/// mask broadcast. @throws DTypeError unless it is boolean; ValueError when src has too few.
Var masked_scatter(const Var& x, const Var& mask, const Var& src);

/// A new axis of extent 1 in index().
struct NewAxis {};
/// As many whole axes as are not named in index().
struct Ellipsis {};
/// A position (its axis goes), a slice, a new axis, an ellipsis, or a tensor of positions (i64) or
/// a mask (boolean; its values are read, as by masked_select).
using IndexItem = std::variant<std::int64_t, Slice, NewAxis, Ellipsis, Var>;
/// x[items…] as in Python. Tensors broadcast against each other; their axes stand where the
/// tensors stand, or in front when other axes part them (a position does not part them).
/// @throws ShapeError for too many items or shapes that do not broadcast; DTypeError for an index
/// tensor of another dtype; ValueError for a position out of range.
Var index(const Var& x, const std::vector<IndexItem>& items);
/// y = x, y[items…] = values (with `accumulate`, += values), which broadcast to the shape of
/// index(x, items). Where an element is named twice, the last one stands. @throws as index.
Var index_put(const Var& x, const std::vector<IndexItem>& items, const Var& values,
              bool accumulate = false);

}  // namespace xtape
