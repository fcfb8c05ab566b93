#pragma once

#include <xtape/autodiff/program/graph.hpp>

// Each pass takes a graph and gives an equivalent one. They can be left out in any combination.
namespace xtape::passes {

using program::Graph;

/// Drops what no output and no store depends on.
Graph dead_code(const Graph& g);
/// Computes what depends on constants alone, once, unless the result is larger than what it is
/// made of.
Graph fold_constants(const Graph& g);
/// One node where several compute the same: same op, attributes and inputs; equal constants.
Graph common_subexpressions(const Graph& g);
/// Applies the ops' own `simplify` rules: x·1, x + 0, −(−x), a·b + c in one pass, broadcasts that
/// the reader does by itself, and so on. docs/programs.md lists them.
Graph simplify(const Graph& g);
/// Matrix products in the forms that one BLAS call computes: transposes as flags, updates
/// p + s·A·B accumulated by the product itself.
Graph gemm_forms(const Graph& g);
/// Replaces ops that have an `expand` rule by elementwise ops and reductions, which fusion joins.
Graph expand(const Graph& g);

}  // namespace xtape::passes
