#pragma once

#include <xtape/autodiff/var.hpp>

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

}  // namespace xtape
