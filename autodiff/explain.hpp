#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/tape.hpp>

// Why a gradient is what it is: the sum, over all paths from a result to an input through the tape,
// of the product of the local derivatives along the path (the chain rule, written out). By element:
// in a network, by neuron.
namespace xtape {

/// A factor ∂of/∂by of a path. Names are labels (Tape::label, tape.variable(x, "x"), a parameter's
/// name) or the op and its place, then the element: "Z3:0", "0.weight:1,2".
struct PathFactor {
  std::string of;  ///< What is differentiated.
  std::string by;  ///< With respect to what.
  double slope;    ///< ∂of/∂by, all else constant.
};

/// One path, from the result to the input.
struct GradientPath {
  std::vector<PathFactor> factors;  ///< From the result on.
  double value;                     ///< Their product.
  /// "(dC/dZ3:0)(dZ3:0/dH2:1)".
  std::string str() const;
};

/// A dependency between two elements that some path uses, for drawings.
struct Dependency {
  std::string of;       ///< The element that depends.
  std::string by;       ///< On this one.
  double slope;         ///< ∂of/∂by.
  double contribution;  ///< The sum of all paths that use it.
  double strength;      ///< The sum of their magnitudes.
};

/// The derivative of one number by another as a sum over paths.
struct Explanation {
  std::string of;                        ///< What is differentiated: "C".
  std::string by;                        ///< By what: "W1:0,1".
  double gradient = 0;                   ///< By the tape's reverse sweep.
  double sum = 0;                        ///< Of all paths: equal to it, but for rounding.
  double magnitude = 0;                  ///< Σ |path|: more than |sum| where paths cancel.
  double count = 0;                      ///< Number of paths (whose product is not 0).
  std::vector<GradientPath> paths;       ///< The strongest, by |value|.
  std::vector<Dependency> dependencies;  ///< Every one that a path uses, from the result on.
  /// The share of `magnitude` that `paths` carry, in [0, 1].
  double share() const;
  /// For people: the gradient, each path in symbols and numbers, the sum.
  std::string str() const;
  /// The same as JSON.
  std::string json() const;
};

/// What explain() lists.
struct ExplainOptions {
  /// How many paths, strongest first. They are found without listing the others.
  std::int64_t paths = 20;
  /// Also what has no label. Otherwise, where anything between has one, the steps go from label to
  /// label.
  bool every_step = false;
  /// More dependencies than this between elements are refused.
  std::int64_t max_dependencies = 5'000'000;
};

/// ∂y/∂x[element] of a recorded scalar y by an element of a value, input or parameter of its tape,
/// as the sum over paths. Keeps the tape.
/// @throws GradientError when y is not a scalar, when this part of the tape was consumed, or when
/// there are too many dependencies; ValueError for an element out of range; as Tape::gradient.
Explanation explain(const Var& y, const Var& x, const Shape& element,
                    const ExplainOptions& options = {});
/// The same for every element of x, in row-major order.
std::vector<Explanation> explain_all(const Var& y, const Var& x,
                                     const ExplainOptions& options = {});

}  // namespace xtape
