#pragma once

#include <xtape/nn/module.hpp>

// Convolutions over one to three spatial axes, as layers: what they compute is said in
// autodiff/ops/convolution.hpp.
namespace xtape::nn {

/// What a convolution layer is made with.
struct ConvLayerOptions {
  PerAxis stride = 1;       ///< From one window to the next.
  ConvPadding padding = 0;  ///< Around the input on both sides, or "same".
  PerAxis dilation = 1;     ///< From one tap of a window to the next.
  std::int64_t groups = 1;  ///< Parts of the channels that do not see each other.
  bool bias = true;         ///< Whether there is a `bias`.
  Initializer weight_init = xavier_uniform();  ///< Of `weight`.
  Initializer bias_init = constant(0);         ///< Of `bias`.
  DType dtype = f32;                           ///< Of both.
  Padding padding_mode = Padding::constant;    ///< What stands there: zeros, or see pad().
};

/// What a transposed convolution layer is made with.
struct ConvTransposeLayerOptions {
  PerAxis stride = 1;          ///< From one window of the result to the next.
  PerAxis padding = 0;         ///< Cut off on both sides of the result.
  PerAxis output_padding = 0;  ///< Appended to the result.
  PerAxis dilation = 1;        ///< From one tap of a window to the next.
  std::int64_t groups = 1;     ///< Parts of the channels that do not see each other.
  bool bias = true;            ///< Whether there is a `bias`.
  Initializer weight_init = xavier_uniform();  ///< Of `weight`.
  Initializer bias_init = constant(0);         ///< Of `bias`.
  DType dtype = f32;                           ///< Of both.
};

/// A convolution over N axes, or a transposed one; x is (samples, in, …), or without the axis of
/// samples. `weight` is [out, in / groups, window…], of a transposed one [in, out / groups,
/// window…]; `bias` is [out]. `in` may be nn::infer.
template <int N, bool Transposed>
class Convolution : public Cloneable<Convolution<N, Transposed>> {
 public:
  /// Of this kind.
  using Options = std::conditional_t<Transposed, ConvTransposeLayerOptions, ConvLayerOptions>;
  /// `window` has one extent for each axis, or one for all. @throws ValueError for extents below 1,
  /// or channels that the groups do not divide.
  Convolution(std::int64_t in, std::int64_t out, const PerAxis& window,
              const Options& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;

 private:
  Fans fans(std::int64_t in) const;
  Var padded(const Var& x) const;
  Shape weight_shape(std::int64_t in) const;

  std::int64_t out_;
  PerAxis window_;
  std::conditional_t<Transposed, ConvTransposeOptions, ConvOptions> options_;
  Padding mode_ = Padding::constant;
};
using Conv1d = Convolution<1, false>;
using Conv2d = Convolution<2, false>;
using Conv3d = Convolution<3, false>;
using ConvTranspose1d = Convolution<1, true>;
using ConvTranspose2d = Convolution<2, true>;
using ConvTranspose3d = Convolution<3, true>;

extern template class Convolution<1, false>;
extern template class Convolution<2, false>;
extern template class Convolution<3, false>;
extern template class Convolution<1, true>;
extern template class Convolution<2, true>;
extern template class Convolution<3, true>;

}  // namespace xtape::nn
