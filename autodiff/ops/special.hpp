#pragma once

#include <xtape/autodiff/var.hpp>

// Special functions, roots, rounding and signs: elementwise, floating only (DTypeError otherwise);
// those of two operands broadcast (ShapeError where they cannot).
namespace xtape {

/// y = 1 − erf x, precise where erf is near 1.
Var erfc(const Var& x);
/// y = e^x² erfc x, without underflow for large x.
Var erfcx(const Var& x);
/// The inverse of erf on (−1, 1); ±∞ at ±1, NaN beyond.
Var erfinv(const Var& x);
/// The normal distribution function, y = ½ erfc(−x/√2).
Var ndtr(const Var& x);
/// y = ln ndtr x, without underflow.
Var log_ndtr(const Var& x);
/// y = ln |Γ(x)|.
Var lgamma(const Var& x);
/// y = ψ(x) = d/dx ln Γ(x); −∞ at 0, NaN at negative integers.
Var digamma(const Var& x);
/// y = ψ⁽ⁿ⁾(x), the n-th derivative of digamma. @throws ValueError for n < 0 or n > 100.
Var polygamma(std::int64_t n, const Var& x);

/// y = 1 / √x.
Var rsqrt(const Var& x);
/// y = 1 / x.
Var reciprocal(const Var& x);
/// y = ∛x, real for negative x; infinite slope at 0.
Var cbrt(const Var& x);
/// y = xᵖ computed in f64, whatever the dtypes of the operands.
Var float_power(const Var& x, const Var& p);

/// The next integer upwards; gradient 0 everywhere.
Var ceil(const Var& x);
/// The next integer downwards; gradient 0 everywhere.
Var floor(const Var& x);
/// The nearest integer, an even one for halves; gradient 0 everywhere.
Var round(const Var& x);
/// x without its fraction; gradient 0 everywhere.
Var trunc(const Var& x);
/// x − trunc x, with the sign of x; gradient 1 everywhere.
Var frac(const Var& x);
/// y = ⌊a / b⌋, such that floor_divide(a, b)·b + remainder(a, b) is a; gradient 0 everywhere.
Var floor_divide(const Var& a, const Var& b);
/// y = trunc(a / b); gradient 0 everywhere.
Var trunc_divide(const Var& a, const Var& b);
/// y = a − b trunc(a / b), with the sign of a (C's fmod).
Var fmod(const Var& a, const Var& b);
/// y = a − b ⌊a / b⌋, with the sign of b (Python's %).
Var remainder(const Var& a, const Var& b);
/// |a| with the sign of b (that of −0, too); gradient 0 at a = 0.
Var copysign(const Var& a, const Var& b);

/// x with other numbers in the place of NaN, ∞ and −∞: without them 0 and the largest and smallest
/// finite ones of the dtype. Gradient 0 where x was not finite.
Var nan_to_num(const Var& x);
/// As above, with these numbers.
Var nan_to_num(const Var& x, double nan, double posinf, double neginf);

}  // namespace xtape
