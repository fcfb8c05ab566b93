#pragma once

#include <xtape/autodiff/var.hpp>

// Reductions. `axes` counts from the last when negative, and means all axes when empty; a reduced
// axis is dropped, or stays with extent 1 under `keepdims`.
// All throw ShapeError for an axis out of range or named twice.
namespace xtape {

/// y = Σ x; 0 over no elements. Sums f32 in double, in a fixed order.
Var sum(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// y = Π x; 1 over no elements. x̄ᵢ = ȳ times the product of the others, without a division: exact
/// with zeros among them, at any order.
Var prod(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// y = Σ x / n, floating only; NaN over no elements.
Var mean(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// y = max x; elements that tie share the gradient equally. NaN wins.
/// @throws ShapeError over no elements.
Var max(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// y = min x; as max.
Var min(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// y = ln Σ eˣ, without overflow; −∞ over no elements. Gradient: softmax.
Var logsumexp(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// y = eˣ / Σ eˣ along `axis`, without overflow.
Var softmax(const Var& x, std::int64_t axis = -1);
/// y = x − ln Σ eˣ along `axis`, without overflow or cancellation.
Var log_softmax(const Var& x, std::int64_t axis = -1);
/// y = e⁻ˣ / Σ e⁻ˣ along `axis`, without overflow.
Var softmin(const Var& x, std::int64_t axis = -1);
/// The position of the (first) largest element along `axis`, i64; no gradient.
/// @throws ShapeError over no elements.
Var argmax(const Var& x, std::int64_t axis = -1, bool keepdims = false);
/// The position of the (first) smallest element along `axis`; as argmax.
Var argmin(const Var& x, std::int64_t axis = -1, bool keepdims = false);
/// Sums `x` to `shape`, undoing a broadcast from it. @throws ShapeError when it is not one.
Var sum_to(const Var& x, const Shape& shape);

}  // namespace xtape
