#pragma once

#include <functional>
#include <vector>

#include <xtape/autodiff/random.hpp>

namespace xtape {

/// What checkpoint() calls.
using CheckpointFunction = std::function<Var(std::span<const Var>)>;

/// f(xs), keeping on the tape only xs and the result: what is in between is computed again when its
/// gradient is taken. Costs one more evaluation, saves its memory (Chen et al., "Training deep nets
/// with sublinear memory cost", 2016). Parameters that f uses get their gradients as usual.
///
/// f must compute the same again: random operations in it must draw from `generators`, whose
/// positions are set back for it. In a recording (compile) f is recorded as it is, because a
/// program plans its memory by itself.
/// @throws TapeError, by the gradient, when a parameter that f used was modified meanwhile.
Var checkpoint(CheckpointFunction f, std::vector<Var> xs, std::vector<Generator> generators = {});

}  // namespace xtape
