#pragma once

#include <string>

#include <xtape/autodiff/explain.hpp>

namespace xtape::plot {

/// How a drawing is made.
struct ExplanationOptions {
  /// At most so many arrows, the strongest: the rest is left out, and the drawing says how much.
  int arrows = 200;
};

/// The dependencies of an explanation as a complete SVG document: from the input at the left to the
/// result at the right, arrows as thick as what the paths through them carry, blue where it adds to
/// the result and orange where it takes away.
std::string explanation(const Explanation& e, const ExplanationOptions& options = {});

}  // namespace xtape::plot
