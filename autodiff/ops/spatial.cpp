#include <xtape/autodiff/ops/spatial.hpp>

namespace xtape::spatial {

using kernels::Extents, kernels::Windows;

Extents per_axis(std::string_view op, const char* what, const PerAxis& given, int axes,
                 std::int64_t least, std::int64_t otherwise) {
  if (given.rank() != 1 && given.rank() != axes) {
    throw ValueError(op, std::string(what) + " " + given.str() + ": must be one number or " +
                             std::to_string(axes) + ", one for each spatial axis");
  }
  Extents out{otherwise, otherwise, otherwise};
  for (int i = 0; i < axes; ++i) {
    const std::int64_t n = given[given.rank() == 1 ? 0 : i];
    if (n < least) {
      throw ValueError(op, std::string(what) + " " + given.str() + ": must be at least " +
                               std::to_string(least));
    }
    out[static_cast<std::size_t>(3 - axes + i)] = n;
  }
  return out;
}

Extents extents(const Shape& shape, int axes) {
  Extents out{1, 1, 1};
  for (int i = 0; i < axes; ++i) {
    out[static_cast<std::size_t>(3 - axes + i)] = shape[shape.rank() - axes + i];
  }
  return out;
}

Shape spatial_shape(std::int64_t a, std::int64_t b, const Extents& e, int axes) {
  Shape out{a, b};
  for (int i = 3 - axes; i < 3; ++i) out.push_back(e[static_cast<std::size_t>(i)]);
  return out;
}

std::string text(const Extents& e, int axes) { return Dims(e.end() - axes, e.end()).str(); }

Batch::Batch(std::string_view op, const Var& x, int axes)
    : shape(x.shape()), single(shape.rank() == axes + 1) {
  if (!single && shape.rank() != axes + 2) {
    throw ShapeError(op, "x " + shape.str() + ": must have " + std::to_string(axes + 2) +
                             " axes, samples, channels and " + std::to_string(axes) +
                             " spatial ones, or one less for a single sample");
  }
  if (!is_floating(x.dtype())) {
    throw DTypeError(op, std::string("x ") + name(x.dtype()) + shape.str() +
                             ": takes f32 or f64, write cast(x, f32)");
  }
  if (!single) return;
  Shape with{1};
  for (const std::int64_t n : shape) with.push_back(n);
  shape = with;
}

Var Batch::of(const Var& x) const { return single ? reshape(x, shape) : x; }

Var Batch::result(const Var& y) const {
  if (!single) return y;
  const Shape with = y.shape();
  return reshape(y, Shape(with.begin() + 1, with.end()));
}

Windows pool_windows(std::string_view op, const Shape& x, int axes, const PoolGeometry& g) {
  Windows w;
  w.in = extents(x, axes);
  w.window = per_axis(op, "window", g.window, axes, 1, 1);
  w.stride = g.stride.empty() ? w.window : per_axis(op, "stride", g.stride, axes, 1, 1);
  w.padding = per_axis(op, "padding", g.padding, axes, 0, 0);
  w.dilation = per_axis(op, "dilation", g.dilation, axes, 1, 1);
  for (std::size_t i = 0; i < 3; ++i) {
    if (2 * w.padding[i] > w.window[i]) {
      throw ValueError(op, "padding " + text(w.padding, axes) + " of windows " +
                               text(w.window, axes) + ": must be at most half a window");
    }
    const std::int64_t reach = w.dilation[i] * (w.window[i] - 1) + 1;
    const std::int64_t room = w.in[i] + 2 * w.padding[i] - reach;
    if (room < 0 || w.in[i] == 0) {
      throw ShapeError(op, "x " + x.str() + " and windows " + text(w.window, axes) +
                               ": the padded input must not be smaller than a window");
    }
    w.out[i] = (g.ceil_mode ? room + w.stride[i] - 1 : room) / w.stride[i] + 1;
    // A window begins on the input or its padding on the left.
    if (g.ceil_mode && (w.out[i] - 1) * w.stride[i] >= w.in[i] + w.padding[i]) --w.out[i];
  }
  return w;
}

}  // namespace xtape::spatial
