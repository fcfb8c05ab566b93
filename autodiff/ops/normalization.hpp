#pragma once

#include <xtape/autodiff/var.hpp>

// Normalization. Means and variances are taken in two passes, in double. Channels lie on axis 1 of
// [batch, channels, …]. All are floating only (DTypeError) and throw ShapeError when shapes do not
// fit.
namespace xtape {

/// y = (x − mean)/√(variance + eps) over `axes` (all, when empty), the biased variance; what layer,
/// batch, group and instance normalization have in common.
Var standardize(const Var& x, const Axes& axes = {}, double eps = 1e-5);

/// A factor and a shift of what was normalized, and what is added to the variance.
struct NormOptions {
  Var weight = {};    ///< The factor; 1 without one.
  Var bias = {};      ///< The shift; 0 without one.
  double eps = 1e-5;  ///< Added to the variance.
};
/// standardize over the last axes, those of `normalized`, which is also the shape of weight and
/// bias. Ba, Kiros, Hinton, "Layer normalization", 2016.
Var layer_norm(const Var& x, const Shape& normalized, const NormOptions& options = {});
/// x/√(mean x² + eps) over the last axes, those of `normalized`, which is also the shape of weight
/// and bias. Zhang, Sennrich, "Root mean square layer normalization", 2019.
Var rms_norm(const Var& x, const Shape& normalized, const NormOptions& options = {});
/// standardize over `groups` groups of neighbouring channels with all that follows; weight and bias
/// are of shape [channels]. Wu, He, "Group normalization", 2018.
/// @throws ShapeError unless the channels divide into the groups.
Var group_norm(const Var& x, std::int64_t groups, const NormOptions& options = {});

/// Of batch_norm() and instance_norm(). Everything but eps is of shape [channels].
struct BatchNormOptions {
  Var weight = {};        ///< The factor; 1 without one.
  Var bias = {};          ///< The shift; 0 without one.
  Var running_mean = {};  ///< Statistics of batches before, optional when training.
  Var running_var = {};   ///< The same, of unbiased variances.
  bool training = true;   ///< Normalizes by the statistics of x, else by the running ones.
  double momentum = 0.1;  ///< The part that the statistics of x have in the new running ones.
  double eps = 1e-5;      ///< Added to the variance.
};
/// What batch_norm() and instance_norm() give.
struct BatchNorm {
  Var y;             ///< The normalized x.
  Var running_mean;  ///< (1 − momentum)·old + momentum·that of x, to be assigned to what held the
                     ///< old ones; a constant for gradients. Undefined where there was none; the
                     ///< old one when not training or when x is empty.
  Var running_var;  ///< The same.
};
/// standardize over all axes but that of the channels, or (x − running mean)/√(running variance +
/// eps). Ioffe, Szegedy, "Batch normalization", 2015.
/// @throws ShapeError when training on one value per channel; ValueError without running
/// statistics where they are needed.
BatchNorm batch_norm(const Var& x, const BatchNormOptions& options = {});
/// As batch_norm for each sample of its own: over all axes behind that of the channels. The running
/// statistics are averaged over the samples. Ulyanov et al., "Instance normalization", 2016.
BatchNorm instance_norm(const Var& x, const BatchNormOptions& options = {});

/// y = x/max(‖x‖ₚ, eps), norms along `axis`; p = ∞ is max |x|, p = 0 counts elements ≠ 0.
/// @throws ValueError for negative p.
Var normalize(const Var& x, double p = 2, std::int64_t axis = -1, double eps = 1e-12);
/// Each x[…, i, …], i on `axis`, whose norm ‖·‖ₚ is larger than `maxnorm` is scaled to
/// maxnorm·‖·‖/(‖·‖ + 10⁻⁷). @throws ValueError for negative p or maxnorm.
Var renorm(const Var& x, double p, std::int64_t axis, double maxnorm);

/// Of local_response_norm().
struct LocalResponseOptions {
  double alpha = 1e-4;  ///< The factor of the mean square.
  double beta = 0.75;   ///< The power.
  double k = 1;         ///< What is added.
};
/// y = x/(k + alpha·m)^beta, m the mean of x² over `size` channels around (those outside count as
/// 0). Krizhevsky, Sutskever, Hinton, "ImageNet classification …", 2012.
/// @throws ValueError unless size ≥ 1.
Var local_response_norm(const Var& x, std::int64_t size, const LocalResponseOptions& options = {});

}  // namespace xtape
