#pragma once

#include <array>
#include <string>

#include <xtape/autodiff/kernels/windows.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// What convolutions, pooling and resampling have in common: options by axis, and samples.
namespace xtape::spatial {

/// Numbers by axis, for `axes` of them; those in front get `otherwise`.
/// @throws ValueError naming `op` and `what` for another count, or a number below `least`.
kernels::Extents per_axis(std::string_view op, const char* what, const PerAxis& given, int axes,
                          std::int64_t least, std::int64_t otherwise);
/// The last `axes` extents of a shape; those in front are 1.
kernels::Extents extents(const Shape& shape, int axes);
/// The shape (a, b, the last `axes` of e…).
Shape spatial_shape(std::int64_t a, std::int64_t b, const kernels::Extents& e, int axes);

/// A tensor with an axis of samples, whether it has one or not. Records nothing until it is asked.
struct Batch {
  Shape shape;  ///< With the axis of samples.
  bool single;  ///< Whether there was none.
  /// @throws ShapeError naming `op` unless x has axes + 2 axes, or one less; DTypeError unless it
  /// is floating.
  Batch(std::string_view op, const Var& x, int axes);
  /// x with the axis.
  Var of(const Var& x) const;
  /// The result, as the input was given.
  Var result(const Var& y) const;
};

/// Windows of a pooling op over x, all extents but `out` checked and settled.
struct PoolGeometry {
  const PerAxis &window, &stride, &padding, &dilation;
  bool ceil_mode;
};
/// @throws ValueError, ShapeError naming `op`.
kernels::Windows pool_windows(std::string_view op, const Shape& x, int axes, const PoolGeometry& g);

/// Keys' cubic convolution with a = −3/4: the weights of the elements at −1, 0, 1 and 2 for a place
/// t in [0, 1).
std::array<double, 4> cubic_weights(double t);

/// "(1, 3)" of the last `axes`.
std::string text(const kernels::Extents& e, int axes);

}  // namespace xtape::spatial
