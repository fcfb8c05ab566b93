#pragma once

#include <xtape/autodiff/var.hpp>

// Convolutions and pooling over one to three spatial axes; resampling.
namespace xtape {}  // namespace xtape
