#pragma once

#include <xtape/autodiff/var.hpp>

// Trigonometric and hyperbolic functions, their inverses, and more of exponentials and logarithms:
// elementwise, floating only. All throw DTypeError for other dtypes; those of two operands
// broadcast and throw ShapeError where they cannot. sin, cos, tanh, exp and log are in
// pointwise.hpp.
namespace xtape {

/// y = tan x.
Var tan(const Var& x);
/// y = arcsin x in [−π/2, π/2]; NaN outside of [−1, 1], infinite slope at ±1.
Var asin(const Var& x);
/// y = arccos x in [0, π]; NaN outside of [−1, 1], infinite slope at ±1.
Var acos(const Var& x);
/// y = arctan x in (−π/2, π/2).
Var atan(const Var& x);
/// The angle of the point (x, y), in [−π, π]; gradient 0 at the origin.
Var atan2(const Var& y, const Var& x);
/// y = √(a² + b²) without overflow; gradient 0 at the origin.
Var hypot(const Var& a, const Var& b);
/// y = sin(πx) / (πx), 1 at 0; differentiable to every order there.
Var sinc(const Var& x);
/// Degrees to radians, y = x π / 180.
Var deg2rad(const Var& x);
/// Radians to degrees, y = 180 x / π.
Var rad2deg(const Var& x);

/// y = sinh x.
Var sinh(const Var& x);
/// y = cosh x.
Var cosh(const Var& x);
/// y = arsinh x.
Var asinh(const Var& x);
/// y = arcosh x; NaN below 1, infinite slope at 1.
Var acosh(const Var& x);
/// y = artanh x; ±∞ at ±1, NaN beyond.
Var atanh(const Var& x);

/// y = 2ˣ.
Var exp2(const Var& x);
/// y = log₂ x.
Var log2(const Var& x);
/// y = log₁₀ x.
Var log10(const Var& x);
/// y = ln(x / (1 − x)), the inverse of sigmoid. @throws ValueError unless 0 ≤ eps ≤ ½: x is limited
/// to [eps, 1 − eps] first, where eps > 0.
Var logit(const Var& x, double eps = 0);
/// y = ln(eᵃ + eᵇ), without overflow.
Var logaddexp(const Var& a, const Var& b);
/// y = log₂(2ᵃ + 2ᵇ), without overflow.
Var logaddexp2(const Var& a, const Var& b);
/// y = a ln b, 0 where a is 0 (unless b is NaN).
Var xlogy(const Var& a, const Var& b);
/// y = a ln(1 + b), 0 where a is 0 (unless b is NaN).
Var xlog1py(const Var& a, const Var& b);
/// y = −x ln x, 0 at 0, −∞ below: the summand of an entropy.
Var entr(const Var& x);

}  // namespace xtape
