#pragma once

#include <limits>

#include <xtape/autodiff/var.hpp>

// Statistics, norms and distances: reductions made of, or beside, those of reduce.hpp. Axes as
// there. Unless said otherwise all take f32 and f64 and throw DTypeError for others.
namespace xtape {

/// y = Σ (x − mean)² / (n − correction), in two passes. NaN or infinite where n ≤ correction.
Var var(const Var& x, const Axes& axes = {}, double correction = 1, bool keepdims = false);
/// y = √var. Its gradient is 0 where y is 0.
Var stddev(const Var& x, const Axes& axes = {}, double correction = 1, bool keepdims = false);
/// A spread and the mean it is measured from.
struct Moments {
  Var spread;  ///< The variance or the standard deviation.
  Var mean;    ///< The mean of the same elements.
};
/// var() and mean() of the same elements.
Moments var_mean(const Var& x, const Axes& axes = {}, double correction = 1, bool keepdims = false);
/// stddev() and mean() of the same elements.
Moments std_mean(const Var& x, const Axes& axes = {}, double correction = 1, bool keepdims = false);

/// max() by its other name: elements that tie share the gradient equally.
Var amax(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// min() by its other name; as amax.
Var amin(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// The smallest and the largest element.
struct Extrema {
  Var min;  ///< The smallest element.
  Var max;  ///< The largest.
};
/// amin() and amax() of the same elements. @throws ShapeError over no elements.
Extrema aminmax(const Var& x, const Axes& axes = {}, bool keepdims = false);

/// Σ x without the NaNs, which get gradient 0.
Var nansum(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// The mean of what is not NaN; NaN where all is.
Var nanmean(const Var& x, const Axes& axes = {}, bool keepdims = false);

/// How many elements are not 0, i64; any dtype, no gradient. NaN is not 0.
Var count_nonzero(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// Whether an element is not 0, boolean; any dtype. False over no elements.
Var any(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// Whether no element is 0, boolean; any dtype. True over no elements.
Var all(const Var& x, const Axes& axes = {}, bool keepdims = false);

/// The integral of y, sampled at steps of dx along `axis`, by the trapezoidal rule.
Var trapezoid(const Var& y, double dx = 1, std::int64_t axis = -1);
/// The same, sampled at x: a vector along the axis, or of y's shape (or broadcast against it).
Var trapezoid(const Var& y, const Var& x, std::int64_t axis = -1);
/// The integrals up to each sample but the first; as trapezoid.
Var cumulative_trapezoid(const Var& y, double dx = 1, std::int64_t axis = -1);
/// The same, sampled at x.
Var cumulative_trapezoid(const Var& y, const Var& x, std::int64_t axis = -1);

/// ‖x‖₂ = √Σ x². Overflows or underflows only where the result does. Gradient x/‖x‖, 0 at 0.
Var euclidean_norm(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// ‖x‖ₚ = (Σ |x|ᵖ)^(1/p), without overflow; max |x| and min |x| for p = ±∞, the number of elements
/// that are not 0 for p = 0 (with gradient 0). The gradient is 0 at the zero vector and, for p < 1,
/// at zero elements; those that tie for p = ±∞ share it.
/// @throws ShapeError over no elements for p < 0 or p = ∞; ValueError for p = NaN.
Var vector_norm(const Var& x, double p = 2, const Axes& axes = {}, bool keepdims = false);
/// ‖a − b‖ₚ over all elements; a and b broadcast.
Var dist(const Var& a, const Var& b, double p = 2);

/// The norms of a matrix.
enum class MatrixNorm {
  frobenius,        ///< √Σ x².
  largest_column,   ///< The 1-norm: the largest Σ |x| of a column.
  smallest_column,  ///< The smallest of them.
  largest_row,      ///< The ∞-norm: the largest Σ |x| of a row.
  smallest_row,     ///< The smallest of them.
  nuclear,          ///< The sum of the singular values.
  spectral,         ///< The 2-norm: the largest singular value.
  smallest_singular_value,
};
/// The norm of each matrix of x over `axes` (rows, columns). @throws ShapeError unless they are
/// two.
Var matrix_norm(const Var& x, MatrixNorm kind = MatrixNorm::frobenius, const Axes& axes = {-2, -1},
                bool keepdims = false);

/// Σ a b / (max(‖a‖, eps) max(‖b‖, eps)) along `axis`; a and b broadcast.
Var cosine_similarity(const Var& a, const Var& b, std::int64_t axis = 1, double eps = 1e-8);
/// ‖a − b + eps‖ₚ along the last axis; a and b broadcast.
Var pairwise_distance(const Var& a, const Var& b, double p = 2, double eps = 1e-6,
                      bool keepdims = false);
/// y[…, i, j] = ‖a[…, i, :] − b[…, j, :]‖ₚ; leading axes broadcast. Exact where points are close or
/// equal: takes differences, not products. @throws ShapeError below rank 2 or when the last extents
/// differ.
Var cdist(const Var& a, const Var& b, double p = 2);
/// The distances ‖x[i] − x[j]‖ₚ of all pairs i < j of rows, in order, as a vector.
/// @throws ShapeError unless x is a matrix.
Var pdist(const Var& x, double p = 2);

}  // namespace xtape
