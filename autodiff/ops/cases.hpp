#pragma once

#include <functional>
#include <vector>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/sample.hpp>

// Samples of functions that are told by shapes and a call each.
namespace xtape::rules {

using Operands = std::span<const Var>;

/// Shapes of the inputs, and the function on them.
struct Case {
  std::vector<Shape> shapes;
  std::function<Var(Operands)> call;
};

inline std::vector<Sample> cases(const Sampler& s, const std::vector<Case>& list) {
  std::vector<Sample> out;
  for (const Case& c : list) {
    Sample sample{"case " + std::to_string(out.size()), {}, c.call};
    for (const Shape& shape : c.shapes) {
      sample.label += " " + shape.str();
      sample.inputs.push_back(s.draw(shape));
    }
    out.push_back(std::move(sample));
  }
  return out;
}

/// Several results as one vector, so that a sample covers them all.
inline Var joined(const std::vector<Var>& parts) {
  std::vector<Var> flat;
  for (const Var& p : parts) flat.push_back(reshape(p, {p.size()}));
  return concat(flat);
}

}  // namespace xtape::rules
