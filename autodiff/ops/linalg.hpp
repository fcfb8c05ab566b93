#pragma once

#include <vector>

#include <xtape/autodiff/var.hpp>

// Products of matrices and vectors.
namespace xtape {

/// Which operands of matmul are read transposed in their last two axes. Nothing is copied.
struct MatmulOptions {
  /// Read a as its transpose.
  bool transpose_a = false;
  /// Read b as its transpose.
  bool transpose_b = false;
};

/// The matrix product over the last two axes, by NumPy's rules: vectors act as a row on the left
/// and a column on the right, leading axes broadcast.
/// c[…, i, j] = Σₖ a[…, i, k] · b[…, k, j]; ā = c̄ bᵀ, b̄ = aᵀ c̄.
/// @throws ShapeError for a 0-d operand, when the inner extents differ or leading axes do not
/// broadcast; ValueError for a transposed vector; DTypeError unless both are f32 or both f64.
Var matmul(const Var& a, const Var& b, const MatmulOptions& options = {});

// Products of one kind of operands. All throw ShapeError when ranks or extents do not fit, and
// DTypeError unless all operands are f32 or all f64.

/// Σ a[i] b[i] of two vectors.
Var dot(const Var& a, const Var& b);
/// dot(a, b): of real vectors the same.
Var vdot(const Var& a, const Var& b);
/// Σ a[…, i] b[…, i] along the axis, the others broadcast.
Var vecdot(const Var& a, const Var& b, std::int64_t axis = -1);
/// y[…, …] = Σ a[…, k] b[…, k] over the last axes; a number times anything is their product.
Var inner(const Var& a, const Var& b);
/// y[i, j] = a[i] b[j] of two vectors.
Var outer(const Var& a, const Var& b);
/// y[i] = Σ a[i, k] x[k].
Var mv(const Var& a, const Var& x);
/// y[i, j] = Σ a[i, k] b[k, j] of two matrices.
Var mm(const Var& a, const Var& b);
/// y[n, i, j] = Σ a[n, i, k] b[n, k, j] of two batches.
Var bmm(const Var& a, const Var& b);

// β c + α times a product, to whose shape c broadcasts; with β = 0, c is not looked at.

/// β c + α a b of matrices a and b.
Var addmm(const Var& c, const Var& a, const Var& b, double beta = 1, double alpha = 1);
/// β c + α a x of a matrix and a vector.
Var addmv(const Var& c, const Var& a, const Var& x, double beta = 1, double alpha = 1);
/// β c + α x yᵀ of two vectors.
Var addr(const Var& c, const Var& x, const Var& y, double beta = 1, double alpha = 1);
/// β c + α Σₙ a[n] b[n] of two batches.
Var addbmm(const Var& c, const Var& a, const Var& b, double beta = 1, double alpha = 1);
/// β c[n] + α a[n] b[n] of two batches.
Var baddbmm(const Var& c, const Var& a, const Var& b, double beta = 1, double alpha = 1);

/// Each element of a times all of b: y[i p + k, …] = a[i, …] b[k, …] where b has p rows; the lower
/// rank is filled up with 1 at the front. i64 too.
Var kron(const Var& a, const Var& b);
/// a × b along an axis of extent 3, the others broadcast. i64 too.
Var cross(const Var& a, const Var& b, std::int64_t axis = -1);
/// The product of all, in the order of least multiply-adds; the first and the last may be vectors.
/// @throws ValueError for fewer than two.
Var multi_dot(const std::vector<Var>& xs);

/// x Wᵀ + b: x of shape (…, in), W (out, in) or (in,), b of shape (out,) or left out.
Var linear(const Var& x, const Var& weight, const Var& bias = {});
/// y[…, o] = Σ x[…, i] W[o, i, j] z[…, j] + b[o].
Var bilinear(const Var& x, const Var& z, const Var& weight, const Var& bias = {});

}  // namespace xtape
