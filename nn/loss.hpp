#pragma once

#include <functional>
#include <string>
#include <vector>

#include <xtape/autodiff/ops/losses.hpp>

// Losses by name, and what a network's answers are worth. The losses themselves are operations:
// autodiff/ops/losses.hpp.
namespace xtape::nn {

using xtape::binary_cross_entropy;
using xtape::binary_cross_entropy_with_logits;
using xtape::cosine_embedding_loss;
using xtape::cross_entropy;
using xtape::ctc_loss;
using xtape::gaussian_nll_loss;
using xtape::half_squared_error;
using xtape::hinge_embedding_loss;
using xtape::huber_loss;
using xtape::kl_div;
using xtape::l1_loss;
using xtape::margin_ranking_loss;
using xtape::mse_loss;
using xtape::multi_margin_loss;
using xtape::multilabel_margin_loss;
using xtape::multilabel_soft_margin_loss;
using xtape::nll_loss;
using xtape::poisson_nll_loss;
using xtape::Reduction;
using xtape::smooth_l1_loss;
using xtape::soft_margin_loss;
using xtape::triplet_margin_loss;

/// A loss known by name, as command lines and configuration files need it.
struct NamedLoss {
  /// As given to loss().
  std::string name;
  /// f(prediction, target), a scalar.
  std::function<Var(const Var&, const Var&)> f;
};
/// One of loss_names(), averaged. @throws ParseError listing them.
NamedLoss loss(const std::string& name);
/// "mse, half_squared, …"
std::string loss_names();

/// The share of rows of `y` (shape [n, classes], or [n, 1] and [n] for class 1 above `threshold`)
/// whose largest element is the label's. `labels` is i64 [n]. The threshold is for one column: ½
/// for a probability, 0 for a logit. @throws ShapeError, DTypeError; ValueError for a label out of
/// range, no rows, or NaN.
double accuracy(const Tensor& y, const Tensor& labels, double threshold = 0.5);
/// counts[t][p]: how many samples of class t were taken for class p. As accuracy(), but of no rows
/// all counts are 0. @throws ValueError for a class out of range, and unless classes ≥ 1.
std::vector<std::vector<std::int64_t>> confusion(const Tensor& y, const Tensor& labels,
                                                 std::int64_t classes, double threshold = 0.5);
/// The class each row of `y` is taken for, i64 [n]: the largest element, or 1 above `threshold` (½
/// for a probability, 0 for a logit) for one column. @throws ValueError when an element, or the
/// threshold, is NaN.
Tensor predicted_classes(const Tensor& y, double threshold = 0.5);

}  // namespace xtape::nn
