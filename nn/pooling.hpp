#pragma once

#include <xtape/nn/combinators.hpp>

// Pooling over one to three spatial axes, as layers: what they compute is said in
// autodiff/ops/convolution.hpp. The window has one extent for each axis, or one for all.
namespace xtape::nn {

/// The largest element of each window of N axes.
template <int N>
struct MaxPool : Lambda {
  /// See MaxPoolOptions.
  explicit MaxPool(const PerAxis& window, const MaxPoolOptions& options = {});
};
using MaxPool1d = MaxPool<1>;
using MaxPool2d = MaxPool<2>;
using MaxPool3d = MaxPool<3>;

/// The mean of each window of N axes.
template <int N>
struct AvgPool : Lambda {
  /// See AvgPoolOptions.
  explicit AvgPool(const PerAxis& window, const AvgPoolOptions& options = {});
};
using AvgPool1d = AvgPool<1>;
using AvgPool2d = AvgPool<2>;
using AvgPool3d = AvgPool<3>;

/// The p-norm of each window of one or two axes.
template <int N>
struct LpPool : Lambda {
  /// See LpPoolOptions.
  LpPool(double p, const PerAxis& window, const LpPoolOptions& options = {});
};
using LpPool1d = LpPool<1>;
using LpPool2d = LpPool<2>;

/// The largest elements of windows that share N axes out into `size`; −1 keeps an axis.
template <int N>
struct AdaptiveMaxPool : Lambda {
  /// One extent for each axis, or one for all.
  explicit AdaptiveMaxPool(const PerAxis& size);
};
using AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
using AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
using AdaptiveMaxPool3d = AdaptiveMaxPool<3>;

/// The means of such windows; `AdaptiveAvgPool2d(1)` is the mean over images.
template <int N>
struct AdaptiveAvgPool : Lambda {
  /// One extent for each axis, or one for all.
  explicit AdaptiveAvgPool(const PerAxis& size);
};
using AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
using AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
using AdaptiveAvgPool3d = AdaptiveAvgPool<3>;

}  // namespace xtape::nn
