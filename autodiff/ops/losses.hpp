#pragma once

#include <optional>

#include <xtape/autodiff/var.hpp>

// Losses. `target` has the shape and dtype of the prediction y, or holds class labels: i64, without
// the axis of the classes (the last one unless told otherwise), read as one-hot rows, or as 0 and 1
// where there is a single output. All throw ShapeError and DTypeError when they do not fit, and
// ValueError for an option out of its range. Masked and ignored elements never leak a NaN.
namespace xtape {

/// What becomes of the loss of the single elements (of the samples, where the classes of a sample
/// make one loss): their mean, their sum, themselves, or their sum over the extent of axis 0.
enum class Reduction : std::uint8_t { mean, sum, none, batchmean };

// --- Numbers --------------------------------------------------------------------------------

/// (y − t)².
Var mse_loss(const Var& y, const Var& target, Reduction reduction = Reduction::mean);
/// ½ (y − t)², summed unless told otherwise: the textbook's error ½ Σ (t − o)².
Var half_squared_error(const Var& y, const Var& target, Reduction reduction = Reduction::sum);
/// |y − t|, with derivative 0 at 0.
Var l1_loss(const Var& y, const Var& target, Reduction reduction = Reduction::mean);

/// y = ½ x² where |x| ≤ delta, else delta (|x| − ½ delta). Huber, "Robust estimation of a location
/// parameter", 1964. @throws ValueError unless delta > 0.
Var huber(const Var& x, double delta = 1);
/// Of huber_loss().
struct HuberOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  double delta = 1;                       ///< Where it becomes linear; positive.
};
/// huber(y − t, delta).
Var huber_loss(const Var& y, const Var& target, const HuberOptions& options = {});
/// Of smooth_l1_loss().
struct SmoothL1Options {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  double beta = 1;                        ///< Where it becomes linear; with 0 it is l1_loss.
};
/// huber(y − t, beta)/beta: |y − t| but for a rounded tip.
Var smooth_l1_loss(const Var& y, const Var& target, const SmoothL1Options& options = {});

/// Of poisson_nll_loss().
struct PoissonNllOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  bool log_input = true;                  ///< y is the logarithm of the rate, else the rate.
  bool full = false;  ///< Adds Stirling's t ln t − t + ½ ln 2πt where t > 1.
  double eps = 1e-8;  ///< Added to a rate before its logarithm is taken.
};
/// eʸ − t y, or y − t ln(y + eps): the negative log-likelihood of counts t, less ln t!.
Var poisson_nll_loss(const Var& y, const Var& target, const PoissonNllOptions& options = {});
/// Of gaussian_nll_loss().
struct GaussianNllOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  bool full = false;                      ///< Adds the constant ½ ln 2π.
  double eps = 1e-6;                      ///< The smallest variance.
};
/// ½ (ln v + (y − t)²/v), v = max(variance, eps): the negative log-likelihood of t under a normal
/// distribution of mean y. `variance` broadcasts against y. @throws ValueError unless eps > 0.
Var gaussian_nll_loss(const Var& y, const Var& target, const Var& variance,
                      const GaussianNllOptions& options = {});

// --- Probabilities --------------------------------------------------------------------------

/// Of binary_cross_entropy().
struct BinaryCrossEntropyOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction; the mean counts elements.
  Var weight = {};                        ///< A factor for each element; broadcasts.
};
/// −t ln p − (1 − t) ln(1 − p) of probabilities p in [0, 1]; logarithms are cut off at −100, so
/// that a wrong certainty costs 100 and not infinity.
Var binary_cross_entropy(const Var& p, const Var& target, Reduction reduction = Reduction::mean);
/// The same with weights.
Var binary_cross_entropy(const Var& p, const Var& target, const BinaryCrossEntropyOptions& options);

/// Of binary_cross_entropy_with_logits().
struct LogitsOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction; the mean counts elements.
  Var weight = {};                        ///< A factor for each element; broadcasts.
  Var pos_weight = {};                    ///< A factor for t, not for 1 − t; broadcasts.
};
/// The same from logits z, p = sigmoid z: softplus(z) − t z, without overflow or cancellation.
Var binary_cross_entropy_with_logits(const Var& z, const Var& target,
                                     Reduction reduction = Reduction::mean);
/// The same with weights.
Var binary_cross_entropy_with_logits(const Var& z, const Var& target, const LogitsOptions& options);

/// Of kl_div().
struct KlDivOptions {
  Reduction reduction = Reduction::mean;  ///< batchmean is the divergence of a batch.
  bool log_target = false;                ///< The target holds logarithms, too.
};
/// t (ln t − y), 0 where t = 0: the divergence of t from a distribution whose logarithms y holds.
Var kl_div(const Var& y, const Var& target, const KlDivOptions& options = {});

/// Of nll_loss().
struct NllOptions {
  Reduction reduction = Reduction::mean;  ///< The mean is Σ loss/Σ weight over what counts.
  Var weight = {};                        ///< A factor for each class: [classes].
  std::optional<std::int64_t> ignore_index = {};  ///< Samples of this label cost nothing.
  std::int64_t axis = -1;                         ///< The axis of the classes.
};
/// −w y at the label of each sample, y logarithms of probabilities. A mean over nothing is NaN.
/// @throws ValueError naming a label out of range.
Var nll_loss(const Var& y, const Var& labels, const NllOptions& options = {});

/// Of cross_entropy().
struct CrossEntropyOptions {
  Reduction reduction = Reduction::mean;  ///< With labels the mean is Σ loss/Σ weight; with
                                          ///< probabilities it is that of the samples.
  Var weight = {};                        ///< A factor for each class: [classes].
  std::optional<std::int64_t> ignore_index = {};  ///< Samples of this label cost nothing.
  double label_smoothing = 0;  ///< The part of a target that is spread over all classes, in [0, 1].
  std::int64_t axis = -1;      ///< The axis of the classes.
};
/// −Σₖ tₖ ln softmax(z)ₖ over the classes of the logits z, two or more, per sample. Where t is 0 a
/// logit of −∞ costs nothing.
Var cross_entropy(const Var& logits, const Var& target, Reduction reduction = Reduction::mean);
/// The same with weights, ignored labels, smoothing, or classes on another axis.
Var cross_entropy(const Var& logits, const Var& target, const CrossEntropyOptions& options);

/// Of ctc_loss().
struct CtcOptions {
  Reduction reduction = Reduction::mean;  ///< The mean is that of loss/max(length of target, 1).
  std::int64_t blank = 0;                 ///< The class that stands for no label.
  bool zero_infinity = false;             ///< An impossible target costs 0, not infinity.
};
/// −ln of the probability that a path through `log_probs` [time, batch, classes] reads as `targets`
/// [batch, length] when repeated labels are merged and blanks left out; `input_lengths` and
/// `target_lengths` (i64 [batch]) say how much of both counts. Graves et al., "Connectionist
/// temporal classification", 2006: the forward recursion in logarithms. An impossible target costs
/// infinity, and its gradient is 0. Entries of `targets` beyond their length must be classes, too.
/// @throws ValueError naming a label out of range.
Var ctc_loss(const Var& log_probs, const Var& targets, const Var& input_lengths,
             const Var& target_lengths, const CtcOptions& options = {});

// --- Margins --------------------------------------------------------------------------------
// max(0, ·) has derivative 1 at 0 in hinge_embedding_loss, margin_ranking_loss,
// cosine_embedding_loss and triplet_margin_loss, and 0 in the other two.

/// Of losses with a margin and nothing else.
struct MarginOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  double margin = 0;                      ///< As the formula says.
};
/// y where t = 1, max(0, margin − y) where t = −1 (the sum of both elsewhere). Margin 1 is usual.
Var hinge_embedding_loss(const Var& y, const Var& target,
                         const MarginOptions& options = {.margin = 1});
/// max(0, margin − t (a − b)): with t = 1 a should be the larger one, with −1 b. They broadcast.
Var margin_ranking_loss(const Var& a, const Var& b, const Var& target,
                        const MarginOptions& options = {});
/// ln(1 + e^(−t y)), without overflow.
Var soft_margin_loss(const Var& y, const Var& target, Reduction reduction = Reduction::mean);
/// 1 − cos(a, b) where t = 1, max(0, cos(a, b) − margin) where t = −1, else 0. The cosine is that
/// of the vectors along the last axis, a·b/√((a² + ε)(b² + ε)) with ε = 10⁻¹².
Var cosine_embedding_loss(const Var& a, const Var& b, const Var& target,
                          const MarginOptions& options = {});

/// Of triplet_margin_loss().
struct TripletOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  double margin = 1;                      ///< By how much nearer the positive one should be.
  double p = 2;                           ///< The norm of the distances; not negative.
  double eps = 1e-6;                      ///< Added to differences.
  bool swap = false;  ///< Takes the distance of positive and negative when it is the smaller one.
};
/// max(0, margin + d(anchor, positive) − d(anchor, negative)), d(a, b) = ‖a − b + eps‖ₚ along the
/// last axis.
Var triplet_margin_loss(const Var& anchor, const Var& positive, const Var& negative,
                        const TripletOptions& options = {});

/// Of multi_margin_loss().
struct MultiMarginOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  int p = 1;                              ///< The power, 1 or 2.
  double margin = 1;                      ///< As the formula says.
  Var weight = {};                        ///< A factor for each class: [classes].
};
/// w_t Σₖ max(0, margin − y_t + yₖ)ᵖ/classes over the classes k ≠ t of the last axis.
Var multi_margin_loss(const Var& y, const Var& labels, const MultiMarginOptions& options = {});
/// Σⱼ Σₖ max(0, 1 − yⱼ + yₖ)/classes over the last axis, j among the labels, k not among them. The
/// labels of a sample (i64, of the shape of y) end at the first −1.
Var multilabel_margin_loss(const Var& y, const Var& labels, Reduction reduction = Reduction::mean);
/// Of multilabel_soft_margin_loss().
struct MultilabelSoftMarginOptions {
  Reduction reduction = Reduction::mean;  ///< See Reduction.
  Var weight = {};                        ///< A factor for each class; broadcasts.
};
/// The mean over the last axis of binary_cross_entropy_with_logits(y, t).
Var multilabel_soft_margin_loss(const Var& y, const Var& target,
                                const MultilabelSoftMarginOptions& options = {});

}  // namespace xtape
