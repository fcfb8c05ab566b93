#pragma once

#include <vector>

#include <xtape/autodiff/tape.hpp>

// Part of the engine.
namespace xtape::detail {

/// The tangent of every node up to y when x moves along v, by index; empty where y or x is not
/// concerned. Keeps the tape.
std::vector<Tensor> tangents(const Var& y, const Var& x, const Tensor& v);

}  // namespace xtape::detail
