#pragma once

#include <functional>
#include <string>
#include <vector>

#include <xtape/autodiff/op.hpp>
#include <xtape/autodiff/rng.hpp>

// How ops are exercised by tests: each op draws its own inputs.
namespace xtape {

/// One call of an op for the tests: inputs and the public function that takes them.
struct Sample {
  std::string label;                              ///< What is special about it, for messages.
  std::vector<Tensor> inputs;                     ///< Differentiable where floating.
  std::function<Var(std::span<const Var>)> call;  ///< The public function on the inputs.
};

/// Draws inputs for the samples of an op.
struct Sampler {
  Rng& rng;      ///< Where numbers come from.
  DType dtype;   ///< Of what is drawn.
  const Op& op;  ///< Gives domain and kinks.
  /// Numbers in the op's domain (or [low, high)), at least 0.05 away from its kinks.
  Tensor draw(const Shape& shape) const;
  /// The same on [low, high).
  Tensor draw(const Shape& shape, double low, double high) const;
};

}  // namespace xtape
