#pragma once

#include <string>
#include <vector>

// The health of a network as a picture, from plain numbers: what nn::Diagnosis found, or others.
namespace xtape::plot {

/// What a layer is drawn with. Numbers that are not finite are left out.
struct LayerNumbers {
  std::string path;       ///< Its name.
  double output;          ///< Root mean square of its outputs.
  double gradient;        ///< Of the gradient by them.
  double dead = -1;       ///< Share of dead units; below 0: none that could be.
  double saturated = -1;  ///< Share of saturated outputs, likewise.
};

/// Size of outputs and gradients over the layers, on logarithmic axes, and shares of dead and of
/// saturated units where layers have some: a complete SVG document.
std::string diagnosis(const std::vector<LayerNumbers>& layers);

}  // namespace xtape::plot
