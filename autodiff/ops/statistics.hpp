#pragma once

#include <xtape/autodiff/var.hpp>

// Statistics: reductions made of, or beside, those of reduce.hpp.
namespace xtape {}  // namespace xtape
