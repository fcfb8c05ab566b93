#pragma once

#include <xtape/autodiff/var.hpp>

namespace xtape {

/// (Σ |x|ᵖ)^(1/p) over `axes`, which stay with extent 1: max |x| for p = ∞, the number of elements
/// ≠ 0 for p = 0. The gradient at 0 is 0. @throws ValueError, naming `op`, when p is negative.
Var p_norm(const char* op, const Var& x, double p, const Axes& axes);

}  // namespace xtape
