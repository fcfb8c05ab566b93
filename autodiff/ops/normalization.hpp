#pragma once

#include <xtape/autodiff/var.hpp>

// Normalization, attention, embeddings.
namespace xtape {}  // namespace xtape
