#pragma once

#include <string>

#include <xtape/autodiff/kernels/scan.hpp>

// What ops along one axis share.
namespace xtape {

/// The axis of an op, normalized.
struct AxisAttrs {
  int axis;
  bool keepdims = true;
  std::string str() const { return "axis " + std::to_string(axis); }
  bool operator==(const AxisAttrs&) const = default;
};

}  // namespace xtape
