#include <algorithm>

#include <xtape/autodiff/ops/spatial.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace spatial;
using kernels::Windows, kernels::volume;

constexpr int kAxes = 2;

// Images of some channels, and their windows as columns.
struct UnfoldAttrs {
  Windows windows;
  Shape image, columns;
  std::string str() const {
    return "window " + text(windows.window, kAxes) + " stride " + text(windows.stride, kAxes) +
           " padding " + text(windows.padding, kAxes) + " dilation " +
           text(windows.dilation, kAxes);
  }
  bool operator==(const UnfoldAttrs&) const = default;
};

// Calls f(planes, x, columns), one plane at a time.
template <class In, class Out, class F>
void each_plane(const UnfoldAttrs& u, In* x, Out* columns, const F& f) {
  const std::int64_t in = volume(u.windows.in);
  const std::int64_t out = volume(u.windows.window) * volume(u.windows.out);
  constexpr std::int64_t kPortion = 1 << 16;
  const std::int64_t planes = u.image[0] * u.image[1];
  const std::int64_t portion = std::max<std::int64_t>(kPortion / (out + 1), 1);
  detail::parallel_for((planes + portion - 1) / portion, [&](std::int64_t piece) {
    const std::int64_t end = std::min(planes, (piece + 1) * portion);
    for (std::int64_t i = piece * portion; i < end; ++i) f(x + i * in, columns + i * out);
  });
}

void unfold_kernel(const KernelArgs& a) {
  const auto& u = get_attrs<UnfoldAttrs>(a.attrs);
  const std::int64_t windows = volume(u.windows.out);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    each_plane(
        u, static_cast<const T*>(a.in[0].data), static_cast<T*>(a.out),
        [&](const T* x, T* y) { kernels::to_columns(u.windows, x, 1, 0, windows, y, windows); });
  });
}

void fold_kernel(const KernelArgs& a) {
  const auto& u = get_attrs<UnfoldAttrs>(a.attrs);
  const std::int64_t windows = volume(u.windows.out);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    each_plane(u, static_cast<T*>(a.out), static_cast<const T*>(a.in[0].data),
               [&](T* x, const T* y) {
                 std::fill_n(x, volume(u.windows.in), T{0});
                 kernels::add_columns(u.windows, y, windows, 1, 0, windows, x);
               });
  });
}

Var to_columns(const Var& x, const UnfoldAttrs& u);
Var to_image(const Var& columns, const UnfoldAttrs& u);

template <bool kFold>
std::vector<Sample> unfold_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const PerAxis& window, const WindowOptions& o) {
    const Shape columns = unfold(Tensor::zeros(shape, f64), window, o).shape();
    const PerAxis size(shape.end() - 2, shape.end());
    out.push_back({shape.str() + " windows " + window.str(),
                   {s.draw(kFold ? columns : shape)},
                   [=](std::span<const Var> in) {
                     return kFold ? fold(in[0], size, window, o) : unfold(in[0], window, o);
                   }});
  };
  add({2, 2, 3, 3}, 2, {});
  add({1, 4, 5}, {2, 3}, {.stride = {1, 2}, .padding = 1});
  add({1, 1, 4, 5}, 2, {.padding = {1, 0}, .dilation = {1, 3}});
  add({2, 1, 3, 3}, 1, {.stride = 2});
  add({0, 1, 3, 3}, 2, {});
  return out;
}

constexpr Op kUnfold{.name = "unfold_windows",
                     .math = "y[n, (c, k), i] = x[n, c, i·stride + k·dilation − padding]",
                     .gradient = "x̄ = fold(ȳ)",
                     .infer = [](const InferArgs& a) -> Spec {
                       return {get_attrs<UnfoldAttrs>(a.attrs).columns, floating_unary(a).dtype};
                     },
                     .kernel = unfold_kernel,
                     .vjp = {{[](const Vjp& v) { return to_image(v.ct, v.attrs<UnfoldAttrs>()); }}},
                     .linear = Linear::joint,
                     .samples = unfold_samples<false>};

constexpr Op kFold{.name = "fold",
                   .math = "y = 0, y[n, c, i·stride + k·dilation − padding] += x[n, (c, k), i]",
                   .gradient = "x̄ = unfold(ȳ)",
                   .infer = [](const InferArgs& a) -> Spec {
                     return {get_attrs<UnfoldAttrs>(a.attrs).image, floating_unary(a).dtype};
                   },
                   .kernel = fold_kernel,
                   .vjp = {{[](const Vjp& v) { return to_columns(v.ct, v.attrs<UnfoldAttrs>()); }}},
                   .linear = Linear::joint,
                   .samples = unfold_samples<true>};

Var to_columns(const Var& x, const UnfoldAttrs& u) { return apply(kUnfold, {&x}, make_attrs(u)); }
Var to_image(const Var& columns, const UnfoldAttrs& u) {
  return apply(kFold, {&columns}, make_attrs(u));
}

// Of images (n, c, …) with the extents windows.in.
UnfoldAttrs attrs_of(std::string_view op, std::int64_t n, std::int64_t c, Windows w,
                     const PerAxis& window, const WindowOptions& o) {
  w.window = per_axis(op, "window", window, kAxes, 1, 1);
  w.stride = per_axis(op, "stride", o.stride, kAxes, 1, 1);
  w.padding = per_axis(op, "padding", o.padding, kAxes, 0, 0);
  w.dilation = per_axis(op, "dilation", o.dilation, kAxes, 1, 1);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t reach = w.dilation[i] * (w.window[i] - 1) + 1;
    const std::int64_t room = w.in[i] + 2 * w.padding[i] - reach;
    if (room < 0) {
      throw ShapeError(op, "images " + text(w.in, kAxes) + " and windows " + text(w.window, kAxes) +
                               ": the padded image must not be smaller than a window");
    }
    w.out[i] = room / w.stride[i] + 1;
  }
  return {w, spatial_shape(n, c, w.in, kAxes), {n, c * volume(w.window), volume(w.out)}};
}

}  // namespace

Var unfold(const Var& x, const PerAxis& window, const WindowOptions& options) {
  const Batch batch("unfold", x, kAxes);
  const Shape& shape = batch.shape;
  Windows w;
  w.in = extents(shape, kAxes);
  return batch.result(
      to_columns(batch.of(x), attrs_of("unfold", shape[0], shape[1], w, window, options)));
}

Var fold(const Var& x, const PerAxis& size, const PerAxis& window, const WindowOptions& options) {
  const Batch batch("fold", x, 1);
  const Shape& shape = batch.shape;
  Windows w;
  w.in = per_axis("fold", "size", size, kAxes, 0, 1);
  const std::int64_t taps = volume(per_axis("fold", "window", window, kAxes, 1, 1));
  const UnfoldAttrs u = attrs_of("fold", shape[0], shape[1] / taps, w, window, options);
  if (u.columns != shape) {
    throw ShapeError("fold", "columns " + x.shape().str() + ": images " + text(w.in, kAxes) +
                                 " have " + std::to_string(taps) + " rows for each channel and " +
                                 std::to_string(u.columns[2]) + " windows");
  }
  return batch.result(to_image(batch.of(x), u));
}

namespace families {
Family unfolding() { return {&kUnfold, &kFold}; }
}  // namespace families

}  // namespace xtape
