#pragma once

#include <xtape/autodiff/var.hpp>

// Order: sort, topk, median and their kind; and scans along an axis.
namespace xtape {}  // namespace xtape
