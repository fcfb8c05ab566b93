#pragma once

#include <xtape/autodiff/var.hpp>

// Special functions of statistics and physics, and rounding: elementwise.
namespace xtape {}  // namespace xtape
