#pragma once

#include <optional>

#include <xtape/autodiff/ops/scan.hpp>
#include <xtape/autodiff/var.hpp>

// Order: sorting, and what is chosen by rank. Equal elements keep their order; NaN counts as larger
// than all. Gradients go to the elements that were chosen, by the indices returned.
// All throw ShapeError for an axis out of range and DTypeError for a boolean operand.
namespace xtape {

/// The positions that sort x along `axis`, i64; no gradient.
Var argsort(const Var& x, std::int64_t axis = -1, bool descending = false);
/// x sorted along `axis`, and where each element came from.
Selected sort(const Var& x, std::int64_t axis = -1, bool descending = false);
/// x sorted along its first axis. @throws ShapeError for a 0-d operand.
Var msort(const Var& x);
/// The k largest (or smallest) elements along `axis`, in order.
/// @throws ValueError unless 0 ≤ k ≤ extent of the axis.
Selected topk(const Var& x, std::int64_t k, std::int64_t axis = -1, bool largest = true);
/// The k-th smallest element along `axis`, k from 1.
/// @throws ValueError unless 1 ≤ k ≤ extent of the axis.
Selected kthvalue(const Var& x, std::int64_t k, std::int64_t axis = -1, bool keepdims = false);
/// The median along `axis`: the lower one of two. NaN, where there is one, is the median.
/// @throws ShapeError over no elements.
Selected median(const Var& x, std::int64_t axis, bool keepdims = false);
/// The median of all elements.
Var median(const Var& x);

/// The largest element along `axis` and where it first stands: it alone gets the gradient (in max()
/// those that tie share it). NaN wins. @throws ShapeError over no elements.
Selected max_with_indices(const Var& x, std::int64_t axis, bool keepdims = false);
/// The smallest; as max_with_indices.
Selected min_with_indices(const Var& x, std::int64_t axis, bool keepdims = false);

/// What quantile() gives where a quantile lies between two elements.
enum class QuantileInterpolation {
  linear,    ///< Between them, by distance.
  lower,     ///< The lower one.
  higher,    ///< The higher one.
  midpoint,  ///< Halfway.
  nearest,   ///< The nearest; halfway the one of even rank.
};
/// How quantile() reads its operand.
struct QuantileOptions {
  /// Along this axis; of all elements without.
  std::optional<std::int64_t> axis = {};
  /// Between two elements.
  QuantileInterpolation interpolation = QuantileInterpolation::linear;
  /// The reduced axes stay, with extent 1.
  bool keepdims = false;
};
/// The element of rank q (n − 1) of the n elements in order, q in [0, 1]: a number, or a vector,
/// whose quantiles stand along a new first axis. NaN among the elements gives NaN. Differentiable
/// in x and, by the slope between two elements, in q. Takes f32 and f64.
/// @throws ShapeError over no elements or for a q of rank 2 or more; ValueError for a rank outside
/// of the elements.
Var quantile(const Var& x, const Var& q, const QuantileOptions& options = {});

}  // namespace xtape
