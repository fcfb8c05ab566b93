#pragma once

// Every public operation. Operands are Var: tensors, xtensor expressions, plain numbers,
// parameters and recorded values convert by themselves.
#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops/linalg.hpp>
#include <xtape/autodiff/ops/pointwise.hpp>
#include <xtape/autodiff/ops/reduce.hpp>
#include <xtape/autodiff/ops/shaping.hpp>
