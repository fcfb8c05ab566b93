#pragma once

#include <xtape/autodiff/var.hpp>

// Elements chosen by position: gather, scatter, index, mask; and padding.
namespace xtape {}  // namespace xtape
