#include <algorithm>

#include <xtape/nn/convolution.hpp>

namespace xtape::nn {
namespace {

std::string name_of(int axes, bool transposed) {
  return (transposed ? "ConvTranspose" : "Conv") + std::to_string(axes) + "d";
}

// One extent for each axis.
PerAxis spread(const std::string& layer, const PerAxis& window, int axes) {
  const bool fits = window.rank() == 1 || window.rank() == axes;
  PerAxis out;
  for (int i = 0; fits && i < axes; ++i) out.push_back(window[window.rank() == 1 ? 0 : i]);
  if (!fits || *std::min_element(out.begin(), out.end()) < 1) {
    throw ValueError(layer, "window " + window.str() + ": must be one extent of 1 or more, or " +
                                std::to_string(axes));
  }
  return out;
}

void check_channels(const std::string& layer, std::int64_t in, std::int64_t out,
                    std::int64_t groups) {
  const bool open = in == infer;
  if ((open || in >= 1) && out >= 1 && groups >= 1 && (open || in % groups == 0) &&
      out % groups == 0) {
    return;
  }
  throw ValueError(layer, std::to_string(in) + " → " + std::to_string(out) + " channels in " +
                              std::to_string(groups) +
                              " groups: must be 1 or more, and divide into the groups");
}

// The channels of an input with that many spatial axes.
std::int64_t channels(const std::string& layer, const Var& x, int axes) {
  if (x.rank() == axes + 1 || x.rank() == axes + 2) return x.shape()[x.rank() - axes - 1];
  throw ShapeError(layer, "input of shape " + x.shape().str() + ": must be (samples, channels, " +
                              std::to_string(axes) + " spatial axes) or without samples");
}

template <int N>
Var convolve(const Var& x, const Var& w, const Var& b, const ConvOptions& o) {
  if constexpr (N == 1) return conv1d(x, w, b, o);
  if constexpr (N == 2) return conv2d(x, w, b, o);
  if constexpr (N == 3) return conv3d(x, w, b, o);
}

template <int N>
Var convolve(const Var& x, const Var& w, const Var& b, const ConvTransposeOptions& o) {
  if constexpr (N == 1) return conv_transpose1d(x, w, b, o);
  if constexpr (N == 2) return conv_transpose2d(x, w, b, o);
  if constexpr (N == 3) return conv_transpose3d(x, w, b, o);
}

ConvOptions options_of(const ConvLayerOptions& o) {
  return {o.stride, o.padding, o.dilation, o.groups};
}
ConvTransposeOptions options_of(const ConvTransposeLayerOptions& o) {
  return {o.stride, o.padding, o.output_padding, o.dilation, o.groups};
}

bool same(const ConvOptions& o) { return o.padding.same(); }
bool same(const ConvTransposeOptions&) { return false; }

}  // namespace

template <int N, bool Transposed>
Convolution<N, Transposed>::Convolution(std::int64_t in, std::int64_t out, const PerAxis& window,
                                        const Options& o)
    : out_(out), window_(spread(name_of(N, Transposed), window, N)), options_(options_of(o)) {
  check_channels(name_of(N, Transposed), in, out, o.groups);
  if constexpr (!Transposed) mode_ = o.padding_mode;
  this->add_parameter("weight", weight_shape(in), o.weight_init, fans(in), o.dtype);
  if (o.bias) this->add_parameter("bias", {out}, o.bias_init, fans(in), o.dtype);
}

template <int N, bool Transposed>
Fans Convolution<N, Transposed>::fans(std::int64_t in) const {
  if (in == infer) return {infer, infer};
  const std::int64_t taps = Shape(window_.begin(), window_.end()).size();
  return {in / options_.groups * taps, out_ / options_.groups * taps};
}

template <int N, bool Transposed>
Shape Convolution<N, Transposed>::weight_shape(std::int64_t in) const {
  const std::int64_t groups = options_.groups;
  Shape s = Transposed ? Shape{in, out_ / groups} : Shape{out_, in == infer ? in : in / groups};
  for (const std::int64_t extent : window_) s.push_back(extent);
  return s;
}

// x with what the convolution does not pad with itself.
template <int N, bool Transposed>
Var Convolution<N, Transposed>::padded(const Var& x) const {
  if (Transposed || mode_ == Padding::constant) return x;
  std::vector<Pad> pads;
  Axes axes;
  const auto at = [](const PerAxis& p, int i) { return p[p.rank() == 1 ? 0 : i]; };
  for (int i = 0; i < N; ++i) {
    const std::int64_t reach = at(options_.dilation, i) * (window_[i] - 1);
    const std::int64_t p = same(options_) ? reach / 2 : at(options_.padding, i);
    pads.push_back({p, same(options_) ? reach - p : p});
    axes.push_back(i - N);
  }
  return pad(x, pads, axes, mode_);
}

template <int N, bool Transposed>
Var Convolution<N, Transposed>::forward(const Var& x) const {
  const Parameters& own = this->own_parameters();
  if (!own[0].has_value()) {
    const std::string layer = name_of(N, Transposed);
    const std::int64_t in = channels(layer, x, N);
    check_channels(layer, in, out_, options_.groups);
    for (std::size_t k = 0; k < own.size(); ++k) {
      this->materialize(k, k == 0 ? weight_shape(in) : Shape{out_}, fans(in));
    }
  }
  if (mode_ == Padding::constant) return convolve<N>(x, own[0], this->operand("bias"), options_);
  auto bare = options_;
  bare.padding = 0;
  return convolve<N>(padded(x), own[0], this->operand("bias"), bare);
}

template <int N, bool Transposed>
std::string Convolution<N, Transposed>::describe() const {
  const Parameters& own = this->own_parameters();
  std::string s = name_of(N, Transposed) + "(";
  if (own[0].has_value()) {
    const Shape& w = own[0].shape();
    s += std::to_string(Transposed ? w[0] : w[1] * options_.groups);
  } else {
    s += "?";
  }
  s += " → " + std::to_string(out_) + ", window " + window_.str();
  const auto add = [&](const char* name, const PerAxis& v, std::int64_t usual) {
    if (v.rank() != 1 || v[0] != usual) s += std::string(", ") + name + " " + v.str();
  };
  add("stride", options_.stride, 1);
  if (same(options_)) {
    s += ", padding same";
  } else {
    add("padding", options_.padding, 0);
  }
  const char* const modes[] = {"", ", reflect", ", replicate", ", circular"};
  s += modes[static_cast<int>(mode_)];
  add("dilation", options_.dilation, 1);
  if (options_.groups != 1) s += ", groups " + std::to_string(options_.groups);
  return s + (own.size() > 1 ? ")" : ", no bias)");
}

template class Convolution<1, false>;
template class Convolution<2, false>;
template class Convolution<3, false>;
template class Convolution<1, true>;
template class Convolution<2, true>;
template class Convolution<3, true>;

}  // namespace xtape::nn
