#pragma once

#include <xtape/autodiff/var.hpp>

// Losses.
namespace xtape {}  // namespace xtape
