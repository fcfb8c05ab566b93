#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <xtape/autodiff/var.hpp>

// Convolutions and pooling over one to three spatial axes; resampling.
//
// Tensors are (samples, channels, spatial axes…); without the axis of samples they are one sample,
// and so is the result. Where an option has a number for each spatial axis, one number serves all.
namespace xtape {

/// A number for each spatial axis, or one for all of them.
class PerAxis : public Dims {
 public:
  using Dims::Dims;
  /// The same for all axes.
  template <std::integral T>
  requires(!std::same_as<T, bool>) PerAxis(T n) { push_back(static_cast<std::int64_t>(n)); }
};

// --- convolution ---------------------------------------------------------------------------------

/// How many zeros a convolution puts on both sides of each axis.
class ConvPadding : public PerAxis {
 public:
  using PerAxis::PerAxis;
  /// "valid" (none) or "same" (as many as keep the extents; an odd one goes to the end).
  /// @throws ValueError for another word.
  ConvPadding(std::string_view mode);
  /// The same.
  ConvPadding(const char* mode) : ConvPadding(std::string_view(mode)) {}
  /// Whether it was "same".
  bool same() const { return same_; }

 private:
  bool same_ = false;
};

/// How the windows of a convolution lie.
struct ConvOptions {
  PerAxis stride = 1;       ///< From one window to the next.
  ConvPadding padding = 0;  ///< Zeros around the input.
  PerAxis dilation = 1;     ///< From one tap of a window to the next.
  std::int64_t groups = 1;  ///< Parts of the channels that do not see each other.
};

/// y[n, o, i] = b[o] + Σ_{c, k} w[o, c, k] x[n, c, i·stride + k·dilation − padding] (a
/// cross-correlation), with zeros outside of x. x is (n, groups·c, in), w is (o, c, window), b is
/// (o,) or left out; the result is (n, o, out) with
/// out = ⌊(in + 2 padding − dilation (window − 1) − 1) / stride⌋ + 1. f32 or f64.
/// @throws ShapeError for other ranks or channels, or a window larger than the padded input;
/// ValueError for options out of range; DTypeError when dtypes differ or are not floating.
Var conv1d(const Var& x, const Var& w, const Var& b = {}, const ConvOptions& options = {});
/// The same over two axes: x is (n, groups·c, h, w), w is (o, c, kh, kw). @throws as conv1d.
Var conv2d(const Var& x, const Var& w, const Var& b = {}, const ConvOptions& options = {});
/// The same over three axes. @throws as conv1d.
Var conv3d(const Var& x, const Var& w, const Var& b = {}, const ConvOptions& options = {});

/// How a transposed convolution spreads its input.
struct ConvTransposeOptions {
  PerAxis stride = 1;          ///< From one window of the result to the next.
  PerAxis padding = 0;         ///< Cut off on both sides of the result.
  PerAxis output_padding = 0;  ///< Appended to the result; less than stride or dilation.
  PerAxis dilation = 1;        ///< From one tap of a window to the next.
  std::int64_t groups = 1;     ///< Parts of the channels that do not see each other.
};

/// The gradient of a convolution by its input, as a function of its own: y = b, and
/// y[n, o, i·stride + k·dilation − padding] += Σ_c w[c, o, k] x[n, c, i]. x is (n, c, in), w is
/// (c, o / groups, window), b is (o,) or left out; out = (in − 1) stride − 2 padding +
/// dilation (window − 1) + output_padding + 1. @throws as conv1d.
Var conv_transpose1d(const Var& x, const Var& w, const Var& b = {},
                     const ConvTransposeOptions& options = {});
/// The same over two axes. @throws as conv1d.
Var conv_transpose2d(const Var& x, const Var& w, const Var& b = {},
                     const ConvTransposeOptions& options = {});
/// The same over three axes. @throws as conv1d.
Var conv_transpose3d(const Var& x, const Var& w, const Var& b = {},
                     const ConvTransposeOptions& options = {});

/// How the windows of unfold and fold lie.
struct WindowOptions {
  PerAxis stride = 1;    ///< From one window to the next.
  PerAxis padding = 0;   ///< Zeros on both sides of each axis.
  PerAxis dilation = 1;  ///< From one tap of a window to the next.
};

/// The windows of images as columns (im2col): x is (n, c, h, w), the result (n, c·kh·kw, windows).
/// @throws ShapeError unless x has three or four axes and the window fits; ValueError; DTypeError.
Var unfold(const Var& x, const PerAxis& window, const WindowOptions& options = {});
/// The transpose of unfold (col2im): columns (n, c·kh·kw, windows) summed into images of extents
/// `size`. @throws ShapeError unless there are as many rows and columns as such images have.
Var fold(const Var& x, const PerAxis& size, const PerAxis& window,
         const WindowOptions& options = {});

// --- pooling -------------------------------------------------------------------------------------

/// How the windows of a maximum lie.
struct MaxPoolOptions {
  PerAxis stride = {};     ///< The window's extents where it is left out.
  PerAxis padding = 0;     ///< At most half a window of −∞ on both sides.
  PerAxis dilation = 1;    ///< From one tap of a window to the next.
  bool ceil_mode = false;  ///< Whether a window may reach beyond the end.
};

/// The largest element of each window; NaN where there is one. The gradient goes to the first of
/// equal ones. Floating dtypes. @throws ShapeError for another rank or a window larger than the
/// padded input; ValueError for options out of range; DTypeError.
Var max_pool1d(const Var& x, const PerAxis& window, const MaxPoolOptions& options = {});
/// The same over two axes. @throws as max_pool1d.
Var max_pool2d(const Var& x, const PerAxis& window, const MaxPoolOptions& options = {});
/// The same over three axes. @throws as max_pool1d.
Var max_pool3d(const Var& x, const PerAxis& window, const MaxPoolOptions& options = {});
/// max_pool1d, and where each element stands among those of its channel (i64, row-major over the
/// spatial axes). @throws as max_pool1d.
std::pair<Var, Var> max_pool1d_with_indices(const Var& x, const PerAxis& window,
                                            const MaxPoolOptions& options = {});
/// The same over two axes. @throws as max_pool1d.
std::pair<Var, Var> max_pool2d_with_indices(const Var& x, const PerAxis& window,
                                            const MaxPoolOptions& options = {});
/// The same over three axes. @throws as max_pool1d.
std::pair<Var, Var> max_pool3d_with_indices(const Var& x, const PerAxis& window,
                                            const MaxPoolOptions& options = {});

/// How the windows of a mean lie.
struct AvgPoolOptions {
  PerAxis stride = {};            ///< The window's extents where it is left out.
  PerAxis padding = 0;            ///< At most half a window of zeros on both sides.
  bool ceil_mode = false;         ///< Whether a window may reach beyond the end.
  bool count_include_pad = true;  ///< Whether the padding counts as elements.
  /// What sums are divided by, instead of the number of elements.
  std::optional<double> divisor_override = {};
};

/// The mean of each window. @throws as max_pool1d.
Var avg_pool1d(const Var& x, const PerAxis& window, const AvgPoolOptions& options = {});
/// The same over two axes. @throws as max_pool1d.
Var avg_pool2d(const Var& x, const PerAxis& window, const AvgPoolOptions& options = {});
/// The same over three axes. @throws as max_pool1d.
Var avg_pool3d(const Var& x, const PerAxis& window, const AvgPoolOptions& options = {});

/// How the windows of a norm lie.
struct LpPoolOptions {
  PerAxis stride = {};     ///< The window's extents where it is left out.
  bool ceil_mode = false;  ///< Whether a window may reach beyond the end.
};

/// (Σ xᵖ)^(1/p) over each window; the gradient is 0 where the sum is 0. @throws as max_pool1d.
Var lp_pool1d(const Var& x, double p, const PerAxis& window, const LpPoolOptions& options = {});
/// The same over two axes. @throws as max_pool1d.
Var lp_pool2d(const Var& x, double p, const PerAxis& window, const LpPoolOptions& options = {});

/// The mean of windows that share an axis out: window i of `size` is [⌊i in/size⌋, ⌈(i+1)
/// in/size⌉). −1 keeps an axis as it is. @throws ShapeError for another rank or an axis without
/// elements; ValueError for a size below 1; DTypeError.
Var adaptive_avg_pool1d(const Var& x, const PerAxis& size);
/// The same over two axes. @throws as adaptive_avg_pool1d.
Var adaptive_avg_pool2d(const Var& x, const PerAxis& size);
/// The same over three axes. @throws as adaptive_avg_pool1d.
Var adaptive_avg_pool3d(const Var& x, const PerAxis& size);
/// The largest element of such windows, as max_pool1d. @throws as adaptive_avg_pool1d.
Var adaptive_max_pool1d(const Var& x, const PerAxis& size);
/// The same over two axes. @throws as adaptive_avg_pool1d.
Var adaptive_max_pool2d(const Var& x, const PerAxis& size);
/// The same over three axes. @throws as adaptive_avg_pool1d.
Var adaptive_max_pool3d(const Var& x, const PerAxis& size);
/// With positions, as max_pool1d_with_indices. @throws as adaptive_avg_pool1d.
std::pair<Var, Var> adaptive_max_pool1d_with_indices(const Var& x, const PerAxis& size);
/// The same over two axes. @throws as adaptive_avg_pool1d.
std::pair<Var, Var> adaptive_max_pool2d_with_indices(const Var& x, const PerAxis& size);
/// The same over three axes. @throws as adaptive_avg_pool1d.
std::pair<Var, Var> adaptive_max_pool3d_with_indices(const Var& x, const PerAxis& size);

// --- resampling ----------------------------------------------------------------------------------

/// What lies between the elements of a tensor.
enum class Interpolation {
  nearest,        ///< The element at ⌊i in/out⌋.
  nearest_exact,  ///< The element whose middle is nearest.
  linear,         ///< Along each axis: linear, bilinear, trilinear.
  cubic,          ///< Along each axis Keys' cubic convolution with a = −3/4 (bicubic).
  area,           ///< Means, as adaptive_avg_pool.
};

/// How to resample: by `size` or by `scale_factor`.
struct InterpolateOptions {
  PerAxis size = {};                      ///< Extents of the result.
  std::vector<double> scale_factor = {};  ///< By axis, or one for all; extents are rounded down.
  Interpolation mode = Interpolation::nearest;  ///< How values between elements are found.
  bool align_corners = false;  ///< First and last elements keep their places (linear, cubic).
};

/// x (n, c, one to three spatial axes) with other extents. The source of i is at
/// (i + ½) in/out − ½ (with scale_factor s, (i + ½)/s − ½), aligned at i (in − 1)/(out − 1); beyond
/// the edges the last elements repeat. Keys: IEEE Trans. ASSP 29 (1981) 1153.
/// @throws ShapeError for other ranks or an axis without elements; ValueError unless exactly one of
/// size and scale_factor is given, or it is not positive; DTypeError.
Var interpolate(const Var& x, const InterpolateOptions& options);

/// What grid_sample finds outside of x.
enum class GridPadding {
  zeros,       ///< Zeros.
  border,      ///< The nearest element of the border.
  reflection,  ///< x, mirrored at its borders again and again.
};

/// How to sample at a grid.
struct GridSampleOptions {
  Interpolation mode = Interpolation::linear;  ///< nearest, linear, or cubic (images only).
  GridPadding padding = GridPadding::zeros;    ///< What lies outside.
  bool align_corners = false;  ///< ±1 are the middles of the corner elements, not their edges.
};

/// x (n, c, h, w) at points of a grid (n, h', w', 2) of (x, y) in [−1, 1]; or x (n, c, d, h, w) at
/// (n, d', h', w', 3). The result is (n, c, grid's spatial axes…). Differentiable by x and grid; a
/// coordinate that padding moves to the border has gradient 0.
/// @throws ShapeError; ValueError for another mode; DTypeError.
Var grid_sample(const Var& x, const Var& grid, const GridSampleOptions& options = {});

}  // namespace xtape
