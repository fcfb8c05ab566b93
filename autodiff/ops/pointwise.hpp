#pragma once

#include <xtape/autodiff/var.hpp>

// Elementwise operations. Operands broadcast by NumPy's rule and have one dtype; plain numbers
// adopt the dtype of the other operand. The result has the broadcast shape.
// All throw ShapeError when shapes do not broadcast and DTypeError when dtypes differ or are not
// floating (+ − × neg abs maximum minimum and comparisons take i64, too).
namespace xtape {

/// y = a + b.
Var add(const Var& a, const Var& b);
/// y = a − b.
Var subtract(const Var& a, const Var& b);
/// y = a · b.
Var multiply(const Var& a, const Var& b);
/// y = a / b, floating only.
Var divide(const Var& a, const Var& b);
/// y = a·b + c in one pass, rounded once where the machine can, else after each step.
Var multiply_add(const Var& a, const Var& b, const Var& c);
/// y = −x.
Var negative(const Var& x);
/// y = xᵖ. The gradient with respect to x is p·xᵖ⁻¹, 0 for p = 0; that with respect to p is
/// xᵖ ln x, 0 for x = 0 and p ≥ 0.
Var pow(const Var& x, const Var& p);
/// y = x².
Var square(const Var& x);
/// y = √x. At 0 the derivative is infinite; a zero cotangent gives 0 there.
Var sqrt(const Var& x);
/// y = |x|, with derivative 0 at 0.
Var abs(const Var& x);
/// −1, 0 or 1; its gradient is 0 everywhere.
Var sign(const Var& x);
/// y = max(a, b); at a tie each gets half of the gradient, or, where only one of them is on a tape,
/// the other takes all of it (so that maximum(x, 0) is relu). NaN wins.
Var maximum(const Var& a, const Var& b);
/// y = min(a, b); ties as in maximum. NaN wins.
Var minimum(const Var& a, const Var& b);
/// y = max(a, b), but NaN loses; at a tie each gets half of the gradient.
Var fmax(const Var& a, const Var& b);
/// y = min(a, b), but NaN loses; at a tie each gets half of the gradient.
Var fmin(const Var& a, const Var& b);
/// x limited to [low, high]; derivative 1 between, 0 at the bounds and beyond.
/// @throws ValueError when low > high.
Var clamp(const Var& x, double low, double high);
/// y = max(x, low); the gradient goes to x where x > low, else to low. NaN wins.
Var clamp_min(const Var& x, const Var& low);
/// y = min(x, high); the gradient goes to x where x < high, else to high. NaN wins.
Var clamp_max(const Var& x, const Var& high);
/// y = min(max(x, low), high), the bounds broadcast; as clamp_min and clamp_max. Where low > high
/// it is high.
Var clamp(const Var& x, const Var& low, const Var& high);
/// y = a + w (b − a).
Var lerp(const Var& a, const Var& b, const Var& w);
/// y = x + scale·a·b.
Var addcmul(const Var& x, const Var& a, const Var& b, double scale = 1);
/// y = x + scale·a / b.
Var addcdiv(const Var& x, const Var& a, const Var& b, double scale = 1);

/// y = eˣ.
Var exp(const Var& x);
/// y = eˣ − 1, precise near 0.
Var expm1(const Var& x);
/// y = ln x.
Var log(const Var& x);
/// y = ln(1 + x), precise near 0.
Var log1p(const Var& x);
/// y = sin x.
Var sin(const Var& x);
/// y = cos x.
Var cos(const Var& x);
/// y = tanh x.
Var tanh(const Var& x);
/// y = 1/(1 + e⁻ˣ), without overflow.
Var sigmoid(const Var& x);
/// y = max(x, 0), with derivative 0 at 0.
Var relu(const Var& x);
/// y = ln(1 + eˣ), without overflow.
Var softplus(const Var& x);
/// The error function, y = 2/√π ∫₀ˣ e^−t² dt.
Var erf(const Var& x);

/// a < b, as boolean.
Var less(const Var& a, const Var& b);
/// a ≤ b, as boolean.
Var less_equal(const Var& a, const Var& b);
/// a > b, as boolean.
Var greater(const Var& a, const Var& b);
/// a ≥ b, as boolean.
Var greater_equal(const Var& a, const Var& b);
/// a = b, as boolean. (There is no operator==: it reads like a test of identity.)
Var equal(const Var& a, const Var& b);
/// a ≠ b, as boolean.
Var not_equal(const Var& a, const Var& b);
/// a where `mask` (boolean) is true, else b. The branch not taken gets gradient 0, never NaN.
Var where(const Var& mask, const Var& a, const Var& b);
/// `value` where `mask` (boolean) is true, else x.
Var masked_fill(const Var& x, const Var& mask, const Var& value);
/// a and b, as boolean. As the next three it takes booleans only (DTypeError).
Var logical_and(const Var& a, const Var& b);
/// a or b, as boolean.
Var logical_or(const Var& a, const Var& b);
/// a or b but not both, as boolean.
Var logical_xor(const Var& a, const Var& b);
/// not a, as boolean.
Var logical_not(const Var& a);
/// Whether x is NaN, as boolean. As the next two it takes f32 and f64 (DTypeError).
Var is_nan(const Var& x);
/// Whether x is infinite, as boolean.
Var is_inf(const Var& x);
/// Whether x is neither infinite nor NaN, as boolean.
Var is_finite(const Var& x);
/// What is_close takes for close.
struct CloseOptions {
  double rtol = 1e-5;      ///< Relative to |b|.
  double atol = 1e-8;      ///< Beside that.
  bool equal_nan = false;  ///< Whether two NaN are close.
};
/// |a − b| ≤ atol + rtol |b|, as boolean; infinities are close to themselves only.
Var is_close(const Var& a, const Var& b, const CloseOptions& options = {});
/// x in another dtype; gradients flow between f32 and f64.
Var cast(const Var& x, DType dtype);

inline Var operator+(const Var& a, const Var& b) { return add(a, b); }
inline Var operator-(const Var& a, const Var& b) { return subtract(a, b); }
inline Var operator*(const Var& a, const Var& b) { return multiply(a, b); }
inline Var operator/(const Var& a, const Var& b) { return divide(a, b); }
inline Var operator-(const Var& x) { return negative(x); }
inline Var operator+(const Var& x) { return x; }
inline Var operator<(const Var& a, const Var& b) { return less(a, b); }
inline Var operator<=(const Var& a, const Var& b) { return less_equal(a, b); }
inline Var operator>(const Var& a, const Var& b) { return greater(a, b); }
inline Var operator>=(const Var& a, const Var& b) { return greater_equal(a, b); }
// An operand of ours and an xtensor expression. Constrained, so that they go before xtensor's own
// operators, which take anything and would make lazy expressions of Vars.
template <class A>
concept Recordable =
    std::is_same_v<std::remove_cvref_t<A>, Var> || std::is_same_v<std::remove_cvref_t<A>, Tensor> ||
    std::is_same_v<std::remove_cvref_t<A>, Parameter>;
template <class A, class B>
concept WithExpression = (Recordable<A> && ArrayExpression<std::remove_cvref_t<B>>) ||
                         (ArrayExpression<std::remove_cvref_t<A>> && Recordable<B>);
#define XTAPE_WITH_EXPRESSION(op, function) \
  template <class A, class B>               \
  requires WithExpression<A, B> Var operator op(A&& a, B&& b) { return function(Var(a), Var(b)); }
XTAPE_WITH_EXPRESSION(+, add)
XTAPE_WITH_EXPRESSION(-, subtract)
XTAPE_WITH_EXPRESSION(*, multiply)
XTAPE_WITH_EXPRESSION(/, divide)
XTAPE_WITH_EXPRESSION(<, less)
XTAPE_WITH_EXPRESSION(<=, less_equal)
XTAPE_WITH_EXPRESSION(>, greater)
XTAPE_WITH_EXPRESSION(>=, greater_equal)
#undef XTAPE_WITH_EXPRESSION

inline Var& operator+=(Var& a, const Var& b) { return a = add(a, b); }
inline Var& operator-=(Var& a, const Var& b) { return a = subtract(a, b); }
inline Var& operator*=(Var& a, const Var& b) { return a = multiply(a, b); }
inline Var& operator/=(Var& a, const Var& b) { return a = divide(a, b); }

}  // namespace xtape
