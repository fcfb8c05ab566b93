#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/ops/shaping.hpp>
#include <xtape/autodiff/rewrite.hpp>

// Operations that optimizers and compiler passes use.
namespace xtape {

/// x, looked at: @throws ValueError, naming `what`, when an element of the floating x is NaN or
/// infinite. Copies nothing.
Var require_finite(const Var& x, std::string what);
/// `a`, looked at: @throws ValueError, as require_finite, when a product a·b (its matmul's
/// attributes given) is not finite. Computes the product only where its operands are so large that
/// it may overflow.
Var require_finite_product(const Var& a, const Var& b, const Attrs* matmul, std::string what);
/// What a require_finite names.
const std::string& named(const Attrs* require_finite);
[[noreturn]] void throw_not_finite(const std::string& what);
/// A learning rate, looked at: @throws ValueError when it is negative or not finite.
Var require_rate(const Var& rate);

/// c + s·op(a) op(b) for matrices and a single number s; `attrs` are those of a matmul.
/// @throws ShapeError or DTypeError when c is not of the product's shape and dtype.
Var add_product(const Var& c, const Var& a, const Var& b, const Var& s, const Attrs* attrs);

/// e^(x − m).
Var exp_difference(const Var& x, const Var& m);

/// `v` as factor·x, where it is a product of one constant number and the rest; undefined otherwise.
/// The number is between 2^-40 and 2^40, so that taking it out of a sum leaves the range of f32
/// only where its values are near the end of it.
struct Scaled {
  Var factor, x;
};
Scaled scaled(const Rewrite& r, const Var& v);

/// What softmax, log_softmax and logsumexp have in common: their rows shifted by the largest
/// element (by 0 where that is −∞), the exponentials and their sum.
struct SoftmaxParts {
  Var max, exp, sum;
};
SoftmaxParts softmax_parts(const Var& x, const Axes& axes);
/// Whether `axes` are the last ones, and few enough elements for a pass over each row.
bool is_row(const Shape& shape, const Axes& axes);

/// The order of axes in the attributes of a transpose.
Axes permutation(const Attrs* transpose);

/// 0 of shape `whole`, but x at the slices: the gradient of slice().
Var unslice(const Var& x, const Shape& whole, const std::vector<Slice>& slices);
/// 0 of shape `whole`, but x on a diagonal: the gradient of diagonal().
Var place_on_diagonal(const Var& x, const Shape& whole, std::int64_t k, std::int64_t row,
                      std::int64_t column);
/// Row-major positions of what is true in a mask. @throws DTypeError unless it is boolean.
Tensor true_positions(std::string_view op, const Tensor& mask);
/// The operands, parameters among them joined to the tape that some other operand has.
std::vector<Var> beside_each_other(const std::vector<Var>& xs);

/// Another reference to attributes that a node holds.
inline AttrsRef share(const Attrs* a) {
  if (a) a->retain();
  return AttrsRef(a);
}

}  // namespace xtape
