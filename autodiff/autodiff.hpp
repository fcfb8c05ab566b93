#pragma once

// Tensors, tapes, operations and gradients: all of autodiff/.
#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/gradcheck.hpp>
#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/rng.hpp>
#include <xtape/autodiff/tape.hpp>
