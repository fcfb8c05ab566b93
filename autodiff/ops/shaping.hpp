#pragma once

#include <optional>
#include <vector>

#include <xtape/autodiff/var.hpp>

// Operations that move elements and compute nothing.
namespace xtape {

/// The same elements under another shape; one extent may be −1. Copies nothing.
/// @throws ShapeError when the number of elements differs.
Var reshape(const Var& x, const Shape& shape);
/// x, for which gradients count as a constant. Copies nothing. On a tape the value stays recorded;
/// no_grad(x) takes it off the tape.
Var stop_gradient(const Var& x);
/// Repeats x to `shape` by NumPy's rule. @throws ShapeError when x does not broadcast to it.
Var broadcast_to(const Var& x, const Shape& shape);
/// Axis i of the result is axis perm[i] of x; without `perm` the order is reversed.
/// @throws ShapeError unless perm names every axis once.
Var transpose(const Var& x, const Axes& perm = {});

/// start:stop:step as in NumPy: negative positions count from the end, what lies outside is cut
/// off, step may be negative.
struct Slice {
  /// First position; from the end when negative.
  std::optional<std::int64_t> start = {};
  /// One past the last position.
  std::optional<std::int64_t> stop = {};
  /// Not 0; negative walks backwards.
  std::int64_t step = 1;
};
/// x[s₀, s₁, …]; axes without a slice stay whole.
/// @throws ShapeError for more slices than axes; ValueError for step 0.
Var slice(const Var& x, const std::vector<Slice>& slices);
/// x[…, start:stop:step, …] on one axis.
Var slice(const Var& x, std::int64_t axis, const Slice& s);
/// Joins along an existing axis. @throws ShapeError when other extents differ, or for no operand.
Var concat(const std::vector<Var>& xs, std::int64_t axis = 0);
/// Joins along a new axis. @throws ShapeError when shapes differ, or for no operand.
Var stack(const std::vector<Var>& xs, std::int64_t axis = 0);
/// Rows of the identity: y[…, k] = 1 where labels[…] = k. `labels` is i64; the result has one more
/// axis of extent `classes`. @throws DTypeError; ValueError naming a label outside [0, classes).
Var one_hot(const Var& labels, std::int64_t classes, DType dtype = f32);

}  // namespace xtape
