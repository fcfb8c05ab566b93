#pragma once

#include <xtape/autodiff/var.hpp>

// Trigonometric and hyperbolic functions, their inverses, exponentials and logarithms: elementwise,
// floating only.
namespace xtape {}  // namespace xtape
