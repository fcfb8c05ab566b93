#pragma once

#include <utility>

#include <xtape/autodiff/var.hpp>

// Scans: what a loop along one axis would leave at each step. Results have the shape of x.
// All throw ShapeError for an axis out of range and DTypeError for an operand that is not floating
// (cumsum, cumprod and cumulative extrema take i64, too).
namespace xtape {

/// How a scan walks its axis.
struct ScanOptions {
  /// From the last element to the first.
  bool reverse = false;
  /// Each result leaves its own element out: 0, x₀, x₀ + x₁, …
  bool exclusive = false;
};

/// yᵢ = Σ x₀…xᵢ along `axis`. Accumulates f32 in double. x̄: the same sum of ȳ, reversed.
Var cumsum(const Var& x, std::int64_t axis, const ScanOptions& options = {});
/// yᵢ = Π x₀…xᵢ along `axis`. Its gradient divides by nothing: exact where x has zeros, at any
/// order.
Var cumprod(const Var& x, std::int64_t axis, const ScanOptions& options = {});
/// yᵢ = ln Σ e^x₀…e^xᵢ along `axis`, without overflow; −∞ where all are.
Var logcumsumexp(const Var& x, std::int64_t axis);

/// What was selected along an axis.
struct Selected {
  Var values;   ///< Differentiable.
  Var indices;  ///< Where along the axis they were found: i64, no gradient.
};
/// yᵢ = max x₀…xᵢ along `axis`; the last of those that tie is taken, and gets the gradient. NaN
/// wins and stays.
Selected cummax(const Var& x, std::int64_t axis);
/// yᵢ = min x₀…xᵢ; as cummax.
Selected cummin(const Var& x, std::int64_t axis);
/// The positions that cummax returns, alone.
Var cumargmax(const Var& x, std::int64_t axis);
/// The positions that cummin returns, alone.
Var cumargmin(const Var& x, std::int64_t axis);

/// How a linear recurrence is walked.
struct RecurrenceOptions {
  /// The axis that is time.
  std::int64_t axis = 0;
  /// From the last step to the first: hₜ = aₜ hₜ₊₁ + xₜ.
  bool reverse = false;
  /// What comes before the first step, of the shape of one step (or broadcast to it); 0 without.
  Var initial = {};
};
/// hₜ = aₜ hₜ₋₁ + xₜ along an axis: first-order linear recurrences, such as leaky integrators, the
/// states of linear recurrent networks, discounted returns. a and x broadcast against each other;
/// the carry of f32 is kept in double. With g the reversed recurrence gₜ = h̄ₜ + aₜ₊₁ gₜ₊₁:
/// x̄ₜ = gₜ, āₜ = gₜ hₜ₋₁.
/// @throws ShapeError for an initial state of another shape.
Var linear_recurrence(const Var& a, const Var& x, const RecurrenceOptions& options = {});
/// The same coefficient at every step, as in an exponential moving average.
Var linear_recurrence(double a, const Var& x, const RecurrenceOptions& options = {});

}  // namespace xtape
