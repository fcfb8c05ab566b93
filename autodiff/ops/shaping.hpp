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

/// transpose(x, perm). @throws ShapeError unless perm names every axis once.
Var permute(const Var& x, const Axes& perm);
/// Two axes exchanged. @throws ShapeError for an axis out of range.
Var swapaxes(const Var& x, std::int64_t a, std::int64_t b);
/// Axes `source` become the axes `destination`; the others keep their order.
/// @throws ShapeError when one is out of range or stands twice, or the lists differ in length.
Var movedim(const Var& x, const Axes& source, const Axes& destination);
/// The last two axes exchanged. @throws ShapeError below rank 2.
Var mT(const Var& x);
/// The transpose of a matrix; vectors and numbers stay. @throws ShapeError above rank 2.
Var t(const Var& x);
/// Without those of `axes` (all, when none are named) whose extent is 1.
/// @throws ShapeError for an axis out of range.
Var squeeze(const Var& x, const Axes& axes = {});
/// With a new axis of extent 1 there. @throws ShapeError outside [−rank − 1, rank].
Var unsqueeze(const Var& x, std::int64_t axis);
/// Axes first … last as one; a number becomes a vector. @throws ShapeError unless first ≤ last.
Var flatten(const Var& x, std::int64_t first = 0, std::int64_t last = -1);
/// One axis as several, of which one extent may be −1. @throws ShapeError when they do not fit.
Var unflatten(const Var& x, std::int64_t axis, const Shape& extents);
/// All elements as a vector.
Var ravel(const Var& x);
/// broadcast_to for which an extent of −1 is that of x. @throws ShapeError.
Var expand(const Var& x, const Shape& shape);
/// All of the shape that they broadcast to. @throws ShapeError when there is none.
std::vector<Var> broadcast_tensors(const std::vector<Var>& xs);
/// Σ x over what broadcasting `shape` to the shape of x repeats. @throws ShapeError.
Var sum_to_size(const Var& x, const Shape& shape);
/// x itself, as a step of its own on the tape.
Var clone(const Var& x);
/// A number as a vector of one.
Var atleast_1d(const Var& x);
/// A number or vector as a matrix of one row.
Var atleast_2d(const Var& x);
/// A number, vector or matrix (n, m) as (1, 1, 1), (1, n, 1), (n, m, 1).
Var atleast_3d(const Var& x);

/// Joined along axis 1, vectors and numbers along axis 0. @throws ShapeError as concat.
Var hstack(const std::vector<Var>& xs);
/// Joined along axis 0, vectors and numbers as rows. @throws ShapeError as concat.
Var vstack(const std::vector<Var>& xs);
/// Joined along axis 2, as atleast_3d. @throws ShapeError as concat.
Var dstack(const std::vector<Var>& xs);
/// Joined along axis 1, vectors and numbers as columns. @throws ShapeError as concat.
Var column_stack(const std::vector<Var>& xs);
/// Matrices (vectors and numbers are rows) along the diagonal of a matrix, 0 elsewhere.
/// @throws ShapeError above rank 2 or for no operand.
Var block_diag(const std::vector<Var>& xs);
/// Parts of `size` positions along the axis, the last perhaps shorter. @throws ValueError for a
/// size that is not positive.
std::vector<Var> split(const Var& x, std::int64_t size, std::int64_t axis = 0);
/// Parts of those sizes. @throws ValueError unless they add up to the extent of the axis.
std::vector<Var> split(const Var& x, const std::vector<std::int64_t>& sizes, std::int64_t axis = 0);
/// At most n parts of ⌈extent / n⌉ positions. @throws ValueError unless n is positive.
std::vector<Var> chunk(const Var& x, std::int64_t n, std::int64_t axis = 0);
/// n parts whose sizes differ by 1 at most, the larger ones first. @throws ValueError.
std::vector<Var> tensor_split(const Var& x, std::int64_t n, std::int64_t axis = 0);
/// Parts that end before each of these positions (slices as in Python), and the rest.
std::vector<Var> tensor_split(const Var& x, const std::vector<std::int64_t>& positions,
                              std::int64_t axis = 0);
/// x[k] along the axis, one for each k.
std::vector<Var> unbind(const Var& x, std::int64_t axis = 0);
/// `length` positions from `start` (from the end when negative). @throws ValueError when they are
/// not all there.
Var narrow(const Var& x, std::int64_t axis, std::int64_t start, std::int64_t length);
/// x[…, position, …], without the axis. @throws ValueError when out of range.
Var select(const Var& x, std::int64_t axis, std::int64_t position);
/// Vectors (or numbers) spanned over a grid: result i varies along axis i; with `xy`, axes 0 and 1
/// change places. @throws ShapeError above rank 1 or for no operand.
std::vector<Var> meshgrid(const std::vector<Var>& xs, bool xy = false);
/// x repeated as a whole, repeats[i] times along axis i; both are filled up with 1 at the front.
/// @throws ValueError for a negative number.
Var tile(const Var& x, const Shape& repeats);
/// Each position of the axis n times. @throws ValueError for a negative number.
Var repeat_interleave(const Var& x, std::int64_t n, std::int64_t axis = 0);
/// Position k of the axis repeats[k] times. @throws ValueError.
Var repeat_interleave(const Var& x, const std::vector<std::int64_t>& repeats,
                      std::int64_t axis = 0);

/// The axes read backwards; all, when none are named. @throws ShapeError.
Var flip(const Var& x, const Axes& axes = {});
/// Axis 1 read backwards. @throws ShapeError below rank 2.
Var fliplr(const Var& x);
/// Axis 0 read backwards. @throws ShapeError for a number.
Var flipud(const Var& x);
/// k quarter turns from the first of two axes to the second. @throws ShapeError.
Var rot90(const Var& x, std::int64_t k = 1, const Axes& axes = {0, 1});
/// y[i + shifts[j]] = x[i] around each axes[j]; without axes, around x as a vector, by one shift.
/// @throws ShapeError when the numbers of shifts and axes differ.
Var roll(const Var& x, const std::vector<std::int64_t>& shifts, const Axes& axes = {});
/// Windows of `size` positions, `step` apart: y[…, w, …, k] = x[…, w·step + k, …].
/// @throws ValueError unless size is in [0, extent] and step positive.
Var unfold(const Var& x, std::int64_t axis, std::int64_t size, std::int64_t step);
/// (…, c r², h, w) to (…, c, h r, w r): y[c, h r + i, w r + j] = x[c r² + i r + j, h, w].
/// @throws ShapeError; ValueError unless r is positive.
Var pixel_shuffle(const Var& x, std::int64_t r);
/// The inverse of pixel_shuffle. @throws ShapeError; ValueError unless r is positive.
Var pixel_unshuffle(const Var& x, std::int64_t r);
/// n times y[k] = x[k + 1] − x[k] along the axis, of x between `prepend` and `append`.
/// @throws ValueError for negative n; ShapeError as concat.
Var diff(const Var& x, std::int64_t n = 1, std::int64_t axis = -1, const Var& prepend = {},
         const Var& append = {});

/// What stands beyond the edges of a padded array.
enum class Padding {
  constant,   ///< One number.
  reflect,    ///< x mirrored at its outermost elements, which stand once: less than its extent.
  replicate,  ///< The outermost element.
  circular    ///< x (what is left of it) again: at most its extent.
};
/// How many elements are added on both sides of an axis; negative ones are taken away.
struct Pad {
  std::int64_t before = 0;  ///< In front of position 0.
  std::int64_t after = 0;   ///< Behind the last position.
};
/// x with pads[i] around axis axes[i]. @throws ShapeError when the lists differ in length or an
/// axis is out of range; ValueError for pads that the kind of padding does not allow.
Var pad(const Var& x, const std::vector<Pad>& pads, const Axes& axes,
        Padding kind = Padding::constant, double value = 0);

/// x[i, j] where j ≤ i + k, else 0, in the last two axes. @throws ShapeError below rank 2.
Var tril(const Var& x, std::int64_t k = 0);
/// x[i, j] where j ≥ i + k, else 0, in the last two axes. @throws ShapeError below rank 2.
Var triu(const Var& x, std::int64_t k = 0);
/// y[…, i] = x[…, i, i + k, …] of two axes, which give way to one at the end (k < 0: i − k, i).
/// @throws ShapeError for equal axes or one out of range.
Var diagonal(const Var& x, std::int64_t k = 0, std::int64_t row = 0, std::int64_t column = 1);
/// The transpose of diagonal: the last axis on the k-th diagonal of two new axes, 0 elsewhere.
/// @throws ShapeError.
Var diag_embed(const Var& x, std::int64_t k = 0, std::int64_t row = -2, std::int64_t column = -1);
/// A vector as the k-th diagonal of a matrix, or that of a matrix as a vector. @throws ShapeError.
Var diag(const Var& x, std::int64_t k = 0);
/// All elements as the k-th diagonal of a matrix.
Var diagflat(const Var& x, std::int64_t k = 0);
/// Σ x[i, i] of a matrix. @throws ShapeError for another rank.
Var trace(const Var& x);

}  // namespace xtape
