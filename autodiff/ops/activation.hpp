#pragma once

#include <xtape/autodiff/var.hpp>

// Activation functions of neurons: elementwise, floating only.
namespace xtape {}  // namespace xtape
