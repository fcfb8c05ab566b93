#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/ops/shaping.hpp>
#include <xtape/autodiff/rewrite.hpp>

// Operations that optimizers and compiler passes use.
namespace xtape {

/// What is looked at in a gradient, or in a learning rate.
struct FiniteCheck {
  std::string what;  ///< Whose it is, for the error.
  /// What else it must be.
  enum Also : std::uint8_t {
    none,
    small_squares,  ///< So small that 2^20 of its squares have a finite sum.
    not_negative    ///< As a learning rate.
  } also = none;    ///< What else it must be.
  /// The largest element that may be.
  double limit(DType t) const;
  /// @throws ValueError that says what is wrong with x, where something is.
  void look_at(const void* x, const Spec& s) const;
  std::string str() const { return what; }
  /// Who asks does not matter: one look at a value is enough, and names the first who asked.
  bool operator==(const FiniteCheck& o) const { return also == o.also; }
};
/// x, looked at: @throws ValueError when an element of the floating x is NaN, infinite or beyond
/// the limit. Copies nothing.
Var require_finite(const Var& x, FiniteCheck check);
/// `a`, looked at: @throws ValueError, as require_finite, for a product a·b (its matmul's
/// attributes given). Computes the product only where its operands are so large that it may be
/// beyond the limit.
Var require_finite_product(const Var& a, const Var& b, const Attrs* matmul, FiniteCheck check);
/// That of a require_finite.
const FiniteCheck& finite_check(const Attrs* require_finite);

/// Integers, looked at now, or in every run of a program: `check` throws what is wrong with them.
Var looked_at(const Var& integers, std::function<void(std::span<const std::int64_t>)> check);

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
