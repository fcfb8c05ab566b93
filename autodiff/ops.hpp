#pragma once

// Every public operation. Operands are Var: tensors, xtensor expressions, plain numbers,
// parameters and recorded values convert by themselves.
#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops/activation.hpp>
#include <xtape/autodiff/ops/attention.hpp>
#include <xtape/autodiff/ops/convolution.hpp>
#include <xtape/autodiff/ops/decomposition.hpp>
#include <xtape/autodiff/ops/einsum.hpp>
#include <xtape/autodiff/ops/embedding.hpp>
#include <xtape/autodiff/ops/indexing.hpp>
#include <xtape/autodiff/ops/linalg.hpp>
#include <xtape/autodiff/ops/losses.hpp>
#include <xtape/autodiff/ops/normalization.hpp>
#include <xtape/autodiff/ops/pointwise.hpp>
#include <xtape/autodiff/ops/reduce.hpp>
#include <xtape/autodiff/ops/scan.hpp>
#include <xtape/autodiff/ops/shaping.hpp>
#include <xtape/autodiff/ops/sorting.hpp>
#include <xtape/autodiff/ops/special.hpp>
#include <xtape/autodiff/ops/statistics.hpp>
#include <xtape/autodiff/ops/trigonometric.hpp>
