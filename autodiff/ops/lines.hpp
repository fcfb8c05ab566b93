#pragma once

#include <string>

#include <xtape/autodiff/kernels/scan.hpp>
#include <xtape/autodiff/var.hpp>

// What ops along one axis share.
namespace xtape {

/// The axis of an op, normalized.
struct AxisAttrs {
  int axis;
  bool keepdims = true;
  std::string str() const { return "axis " + std::to_string(axis); }
  bool operator==(const AxisAttrs&) const = default;
};

/// hₖ = cₖ hₖ₋₁ + xₖ in the order of the walk; cₖ = aₖ, or aₖ₋₁ when `shifted`.
struct RecurrenceAttrs {
  int axis;
  bool reverse = false;
  bool shifted = false;
  std::string str() const {
    return "axis " + std::to_string(axis) + (reverse ? ", reverse" : "") +
           (shifted ? ", shifted" : "");
  }
  bool operator==(const RecurrenceAttrs&) const = default;
};
/// linear_recurrence on operands of one shape.
/// @throws ShapeError or DTypeError when they differ.
Var recurrence(const Var& a, const Var& x, const RecurrenceAttrs& attrs);
/// Element k is element k − 1 of x in the order of a walk, the first is 0.
Var previous(const Var& x, int axis, bool reverse);

}  // namespace xtape
