#pragma once

#include <functional>
#include <string>
#include <vector>

#include <xtape/autodiff/var.hpp>

// Losses. `target` has the shape of the prediction, or holds class labels: i64, without the last
// axis, read as one-hot rows, or as 0 and 1 where there is a single output. All throw ShapeError
// and DTypeError when they do not fit.
namespace xtape::nn {

/// What becomes of the loss of the single elements (of the samples, for cross_entropy).
enum class Reduction : std::uint8_t { mean, sum, none };

/// (y − t)².
Var mse_loss(const Var& y, const Var& target, Reduction reduction = Reduction::mean);
/// ½ (y − t)², summed unless told otherwise: the textbook's error ½ Σ (t − o)².
Var half_squared_error(const Var& y, const Var& target, Reduction reduction = Reduction::sum);
/// −t ln p − (1 − t) ln(1 − p) of probabilities p in [0, 1]; logarithms are cut off at −100, so
/// that a wrong certainty costs 100 and not infinity.
Var binary_cross_entropy(const Var& p, const Var& target, Reduction reduction = Reduction::mean);
/// The same from logits z, p = sigmoid z: softplus(z) − t z, without overflow or cancellation.
Var binary_cross_entropy_with_logits(const Var& z, const Var& target,
                                     Reduction reduction = Reduction::mean);
/// −Σₖ tₖ ln softmax(z)ₖ over the last axis of the logits z, two classes or more, per sample.
Var cross_entropy(const Var& logits, const Var& target, Reduction reduction = Reduction::mean);

/// A loss known by name, as command lines and configuration files need it.
struct NamedLoss {
  /// As given to loss().
  std::string name;
  /// f(prediction, target), a scalar.
  std::function<Var(const Var&, const Var&)> f;
};
/// mse, half_squared, bce, bce_logits or cross_entropy, averaged. @throws ParseError listing them.
NamedLoss loss(const std::string& name);

/// The share of rows of `y` (shape [n, classes], or [n, 1] and [n] for a probability of class 1)
/// whose largest element is the label's. `labels` is i64 [n]. @throws ShapeError, DTypeError.
double accuracy(const Tensor& y, const Tensor& labels);
/// counts[t][p]: how many samples of class t were taken for class p. As accuracy().
std::vector<std::vector<std::int64_t>> confusion(const Tensor& y, const Tensor& labels,
                                                 std::int64_t classes);
/// The class each row of `y` is taken for, i64 [n]: the largest element, or p > ½ for one column.
/// @throws ValueError when an element is NaN.
Tensor predicted_classes(const Tensor& y);

}  // namespace xtape::nn
