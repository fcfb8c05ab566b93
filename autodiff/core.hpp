#pragma once

// Tensors, tapes, operations and their gradients: what most programs need, and quick to compile.
#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/tape.hpp>
