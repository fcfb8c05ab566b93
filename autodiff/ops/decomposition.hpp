#pragma once

#include <xtape/autodiff/var.hpp>

// Matrices: inverses, solutions, decompositions and functions of them, batched over leading axes.
namespace xtape {}  // namespace xtape
