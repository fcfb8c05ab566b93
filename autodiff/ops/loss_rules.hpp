#pragma once

#include <functional>
#include <vector>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// What losses share.
namespace xtape::losses {

/// The losses of the elements or samples, reduced.
Var reduced(const Var& each, Reduction r);
/// Targets of the shape and dtype of the prediction, made from labels where need be.
Var targets(const char* loss, const Var& y, const Var& target);
/// Labels as rows of 0 and 1 in the shape and dtype of y, whose last axis holds the classes.
/// @throws ShapeError or DTypeError, naming `loss`, when they are no labels for it.
Var label_rows(const char* loss, const Var& y, const Var& labels);
/// Σₖ rₖ yₖ over the last axis, which stays: for one-hot rows r the element of the label. An
/// infinite y where r is 0 does not matter.
Var at_label(const Var& rows, const Var& y);
/// Factors for the classes on the last axis of y. @throws ShapeError unless of shape [classes].
Var class_weights(const char* loss, const Var& y, const Var& weight);
/// max(0, x), with derivative 1 at 0.
Var hinge(const Var& x);

/// Where an operand of a sample is drawn.
struct Range {
  double low, high;
};
/// Samples of an elementwise loss: every rank, empty, each reduction.
std::vector<Sample> elementwise_samples(const Sampler& s, const std::vector<Range>& operands,
                                        Var (*call)(std::span<const Var>, Reduction));
/// Samples of a loss of `operands` tensors of a shape.
std::vector<Sample> samples_of_shapes(
    const Sampler& s, const std::vector<Range>& operands, const std::vector<Shape>& shapes,
    const std::function<Var(std::span<const Var>, Reduction)>& call);
/// Labels for tests: k = 0, 1, 2, … modulo `classes`.
Tensor sample_labels(const Shape& shape, std::int64_t classes);

}  // namespace xtape::losses
