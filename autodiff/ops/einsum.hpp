#pragma once

#include <xtape/autodiff/var.hpp>

// Contractions: einsum, tensordot, and the products made of them.
namespace xtape {}  // namespace xtape
