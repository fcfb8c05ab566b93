#include <algorithm>
#include <cmath>
#include <limits>

#include <xtape/autodiff/kernels/max_pool.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/axis_map.hpp>
#include <xtape/autodiff/ops/spatial.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace spatial;
using kernels::Extents, kernels::Range, kernels::Windows, kernels::volume;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// --- where the largest element of a window is ----------------------------------------------------

struct PoolAttrs : kernels::Pool {
  int axes;
  std::string str() const {
    if (adaptive) return "size " + text(windows.out, axes);
    return "window " + text(windows.window, axes) + " stride " + text(windows.stride, axes) +
           " padding " + text(windows.padding, axes) + " dilation " + text(windows.dilation, axes);
  }
  bool operator==(const PoolAttrs&) const = default;
};

void indices_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<PoolAttrs>(a.attrs);
  const std::int64_t in = volume(attrs.windows.in), out = volume(attrs.windows.out);
  const std::int64_t planes = a.spec.shape[0] * a.spec.shape[1];
  constexpr std::int64_t kPortion = 1 << 14;
  const std::int64_t portion = std::max<std::int64_t>(kPortion / (in + 1), 1);
  dispatch_floating(a.in[0].spec->dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto* x = static_cast<const T*>(a.in[0].data);
    detail::parallel_for(ceil_div(planes, portion), [&](std::int64_t piece) {
      const std::int64_t end = std::min(planes, (piece + 1) * portion);
      for (std::int64_t i = piece * portion; i < end; ++i) {
        kernels::largest_of_plane(attrs, x + i * in, static_cast<std::int64_t*>(a.out) + i * out);
      }
    });
  });
}

Spec indices_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<PoolAttrs>(a.attrs);
  const Shape shape = floating_unary(a).shape;
  return {spatial_shape(shape[0], shape[1], attrs.windows.out, attrs.axes), i64};
}

std::vector<Sample> indices_samples(const Sampler& s);

constexpr Op kMaxPoolIndices{.name = "max_pool_indices",
                             .math = "y[n, c, i] = argmax of x[n, c] on window i",
                             .gradient = "none: the result is i64",
                             .infer = indices_infer,
                             .kernel = indices_kernel,
                             .samples = indices_samples};

std::pair<Var, Var> largest(const Batch& batch, const Var& given, const PoolAttrs& attrs) {
  const Var x = batch.of(given);
  const Var indices = apply(kMaxPoolIndices, {&x}, make_attrs(attrs));
  const Shape shape = indices.shape();
  const std::int64_t planes = shape[0] * shape[1];
  const Var flat = reshape(x, {planes, volume(attrs.windows.in)});
  const Var y = take_along_axis(flat, reshape(indices, {planes, volume(attrs.windows.out)}), 1);
  return {batch.result(reshape(y, shape)), batch.result(indices)};
}

template <int kAxes>
std::pair<Var, Var> max_pool(std::string_view op, const Var& x, const PerAxis& window,
                             const MaxPoolOptions& o) {
  const Batch batch(op, x, kAxes);
  const Windows w =
      pool_windows(op, batch.shape, kAxes, {window, o.stride, o.padding, o.dilation, o.ceil_mode});
  return largest(batch, x, {{w, false}, kAxes});
}

// --- sizes that share an axis out ----------------------------------------------------------------

Windows adaptive_windows(std::string_view op, const Shape& x, int axes, const PerAxis& size) {
  Windows w;
  w.in = extents(x, axes);
  w.out = per_axis(op, "size", size, axes, -1, 1);
  for (std::size_t i = 0; i < 3; ++i) {
    if (w.out[i] == -1) w.out[i] = w.in[i];
    if (w.out[i] == 0) {
      throw ValueError(op, "size " + size.str() + ": must be at least 1, or −1 for the input's");
    }
    if (w.in[i] == 0) throw_nothing(op, x);
  }
  return w;
}

template <int kAxes>
std::pair<Var, Var> adaptive_max(std::string_view op, const Var& x, const PerAxis& size) {
  const Batch batch(op, x, kAxes);
  return largest(batch, x, {{adaptive_windows(op, batch.shape, kAxes, size), true}, kAxes});
}

template <int kAxes>
Var adaptive_mean(std::string_view op, const Var& x, const PerAxis& size) {
  const Batch batch(op, x, kAxes);
  const PoolAttrs attrs{{adaptive_windows(op, batch.shape, kAxes, size), true}, kAxes};
  Var y = batch.of(x);
  for (int axis = kAxes; axis-- > 0;) {
    const auto k = static_cast<std::size_t>(3 - kAxes + axis);
    const Windows& w = attrs.windows;
    if (w.in[k] == w.out[k]) continue;
    AxisMap m{.from = w.in[k]};
    for (std::int64_t i = 0; i < w.out[k]; ++i) {
      const Range r = kernels::window_range(attrs, k, i);
      for (std::int64_t at = r.begin; at < r.end; ++at) {
        m.term(at, 1 / static_cast<double>(r.end - r.begin));
      }
      m.end();
    }
    y = map_axis(y, axis + 2, std::move(m));
  }
  return batch.result(y);
}

// --- means ---------------------------------------------------------------------------------------

// Means along one axis, or sums times `factor` where there is one.
AxisMap mean_map(const Windows& w, std::size_t axis, bool count_pad, const double* factor) {
  AxisMap m{.from = w.in[axis]};
  for (std::int64_t i = 0; i < w.out[axis]; ++i) {
    const std::int64_t start = i * w.stride[axis] - w.padding[axis];
    const std::int64_t stop = std::min(start + w.window[axis], w.in[axis] + w.padding[axis]);
    const std::int64_t begin = std::max<std::int64_t>(start, 0), end = std::min(stop, w.in[axis]);
    const std::int64_t count = count_pad ? stop - start : end - begin;
    for (std::int64_t at = begin; at < end; ++at) {
      m.term(at, factor ? *factor : 1 / static_cast<double>(count));
    }
    m.end();
  }
  return m;
}

template <int kAxes>
Var avg_pool(std::string_view op, const Var& x, const PerAxis& window, const AvgPoolOptions& o) {
  const Batch batch(op, x, kAxes);
  const PerAxis dilation = 1;
  const Windows w =
      pool_windows(op, batch.shape, kAxes, {window, o.stride, o.padding, dilation, o.ceil_mode});
  if (o.divisor_override && *o.divisor_override == 0) {
    throw ValueError(op, "divisor_override 0: nothing can be divided by it");
  }
  Var y = batch.of(x);
  for (int axis = kAxes; axis-- > 0;) {
    const double factor = o.divisor_override && axis == 0 ? 1 / *o.divisor_override : 1;
    y = map_axis(y, axis + 2,
                 mean_map(w, static_cast<std::size_t>(3 - kAxes + axis), o.count_include_pad,
                          o.divisor_override ? &factor : nullptr));
  }
  return batch.result(y);
}

template <int kAxes>
Var lp_pool(std::string_view op, const Var& x, double p, const PerAxis& window,
            const LpPoolOptions& o) {
  if (p == 0 || !std::isfinite(p)) {
    throw ValueError(op, "p = " + detail::text(p) + ": there is no such root" +
                             (p > 0 ? ", the limit is max_pool of |x|" : ""));
  }
  const Var s =
      avg_pool<kAxes>(op, pow(x, p), window,
                      {.stride = o.stride, .ceil_mode = o.ceil_mode, .divisor_override = 1.0});
  // The root has no slope at 0: there, 1 is taken instead, whose root does not count.
  const Var nothing = equal(s, 0);
  return where(nothing, 0, pow(where(nothing, 1, s), 1 / p));
}

// --- samples -------------------------------------------------------------------------------------

// Numbers far enough apart that differences do not change their order.
Tensor distinct(const Sampler& s, const Shape& shape) {
  std::vector<double> values(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 0.1 * static_cast<double>(i) - 1;
    const auto other = s.rng.integer(static_cast<std::int64_t>(i) + 1);
    std::swap(values[i], values[static_cast<std::size_t>(other)]);
  }
  return Tensor(reshape(Tensor::from(values), shape).value()).to(s.dtype);
}

using Call = std::function<Var(const Var&)>;

void add_sample(std::vector<Sample>& out, const Tensor& x, const Call& call) {
  out.push_back({x.shape().str(), {x}, [call](std::span<const Var> in) { return call(in[0]); }});
}

// A shape with the last `axes` of three spatial extents, with or without samples.
Shape shape_of(int axes, std::int64_t n, std::int64_t c, const Extents& e) {
  const Shape with = spatial_shape(n, c, e, axes);
  return n == 1 ? Shape(with.begin() + 1, with.end()) : with;
}

template <int kAxes, auto kCall>
std::vector<Sample> max_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](std::int64_t n, std::int64_t c, const Extents& e, const PerAxis& window,
                       const MaxPoolOptions& o) {
    add_sample(out, distinct(s, shape_of(kAxes, n, c, e)),
               [=](const Var& x) { return kCall(x, window, o); });
  };
  add(2, 1, {2, 3, 4}, 2, {});
  add(1, 2, {2, 3, 5}, 2, {.stride = 1, .padding = 1, .dilation = 2});
  add(2, 1, {2, 2, 5}, 2, {.padding = 1, .ceil_mode = true});
  add(0, 1, {2, 2, 2}, 2, {});
  return out;
}

std::vector<Sample> indices_samples(const Sampler& s) {
  return max_samples<2, [](const Var& x, const PerAxis& window, const MaxPoolOptions& o) {
    return max_pool2d_with_indices(x, window, o).second;
  }>(s);
}

template <int kAxes, auto kCall>
std::vector<Sample> avg_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](std::int64_t n, std::int64_t c, const Extents& e, const PerAxis& window,
                       const AvgPoolOptions& o) {
    add_sample(out, s.draw(shape_of(kAxes, n, c, e)),
               [=](const Var& x) { return kCall(x, window, o); });
  };
  add(2, 2, {2, 2, 4}, 2, {});
  add(1, 2, {2, 3, 5}, 2, {.stride = 1, .padding = 1, .count_include_pad = false});
  add(2, 1, {2, 3, 5}, 2, {.padding = 1, .ceil_mode = true});
  add(1, 1, {2, 3, 4}, 2, {.stride = 1, .divisor_override = 3.0});
  add(0, 1, {2, 2, 2}, 2, {});
  return out;
}

template <int kAxes, auto kCall, bool kDistinct>
std::vector<Sample> adaptive_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](std::int64_t n, std::int64_t c, const Extents& e, const PerAxis& size) {
    const Shape shape = shape_of(kAxes, n, c, e);
    add_sample(out, kDistinct ? distinct(s, shape) : s.draw(shape),
               [=](const Var& x) { return kCall(x, size); });
  };
  add(2, 2, {2, 2, 5}, 1);
  add(1, 2, {3, 2, 5}, 2);
  add(2, 1, {2, 2, 3}, 4);
  add(1, 1, {2, 3, 4}, -1);
  add(0, 1, {2, 2, 2}, 1);
  return out;
}

template <int kAxes, auto kCall>
std::vector<Sample> lp_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](std::int64_t n, const Extents& e, double p, const PerAxis& window,
                       const LpPoolOptions& o) {
    add_sample(out, s.draw(shape_of(kAxes, n, 2, e), 0.5, 2),
               [=](const Var& x) { return kCall(x, p, window, o); });
  };
  add(2, {1, 2, 4}, 2, 2, {});
  add(1, {1, 3, 5}, 3, 2, {.stride = 1});
  add(1, {1, 4, 5}, 1.5, 3, {.ceil_mode = true});
  add(0, {1, 2, 2}, 2, 2, {});
  return out;
}

constexpr Text kMaxText{"y[n, c, i] = max of x[n, c] on window i",
                        "x̄ = ȳ at the first of the largest elements, summed over windows"};
constexpr Text kAvgText{"y[n, c, i] = mean of x[n, c] on window i",
                        "x̄ = ȳ / (elements of the window), summed over windows"};
constexpr Text kLpText{"y[n, c, i] = (Σ xᵖ)^(1/p) of x[n, c] on window i",
                       "x̄ = ȳ (x / y)^(p−1), summed over windows; 0 where y = 0"};

constexpr double kInf = std::numeric_limits<double>::infinity();
Var pool_of(std::span<const Var> x) {
  return reshape(max_pool1d(reshape(stack({x.begin(), x.end()}), {1, 3}), 3), {});
}
constexpr Edge kMaxEdges[] = {{.where = "a tie: the first",
                               .call = pool_of,
                               .operands = 3,
                               .at = {1, 2, 2},
                               .y = 2,
                               .gradient = {0, 1, 0}},
                              {.where = "all −∞: the first",
                               .call = pool_of,
                               .operands = 3,
                               .at = {-kInf, -kInf, -kInf},
                               .y = -kInf,
                               .gradient = {1, 0, 0}}};
constexpr Op kMax1 =
    with_edges(composed("max_pool1d", kMaxText, max_samples<1, max_pool1d>), kMaxEdges);
constexpr Op kMax2 = composed("max_pool2d", kMaxText, max_samples<2, max_pool2d>);
constexpr Op kMax3 = composed("max_pool3d", kMaxText, max_samples<3, max_pool3d>);
constexpr Op kAvg1 = composed("avg_pool1d", kAvgText, avg_samples<1, avg_pool1d>);
constexpr Op kAvg2 = composed("avg_pool2d", kAvgText, avg_samples<2, avg_pool2d>);
constexpr Op kAvg3 = composed("avg_pool3d", kAvgText, avg_samples<3, avg_pool3d>);
constexpr Edge kLpEdges[] = {
    {.where = "Σ xᵖ = 0",
     .call =
         [](std::span<const Var> x) {
           return reshape(lp_pool1d(reshape(stack({x.begin(), x.end()}), {1, 2}), 2, 2), {});
         },
     .operands = 2}};
constexpr Op kLp1 = with_edges(composed("lp_pool1d", kLpText, lp_samples<1, lp_pool1d>), kLpEdges);
constexpr Op kLp2 = composed("lp_pool2d", kLpText, lp_samples<2, lp_pool2d>);
constexpr Op kAdaptiveAvg1 =
    composed("adaptive_avg_pool1d", kAvgText, adaptive_samples<1, adaptive_avg_pool1d, false>);
constexpr Op kAdaptiveAvg2 =
    composed("adaptive_avg_pool2d", kAvgText, adaptive_samples<2, adaptive_avg_pool2d, false>);
constexpr Op kAdaptiveAvg3 =
    composed("adaptive_avg_pool3d", kAvgText, adaptive_samples<3, adaptive_avg_pool3d, false>);
constexpr Op kAdaptiveMax1 =
    composed("adaptive_max_pool1d", kMaxText, adaptive_samples<1, adaptive_max_pool1d, true>);
constexpr Op kAdaptiveMax2 =
    composed("adaptive_max_pool2d", kMaxText, adaptive_samples<2, adaptive_max_pool2d, true>);
constexpr Op kAdaptiveMax3 =
    composed("adaptive_max_pool3d", kMaxText, adaptive_samples<3, adaptive_max_pool3d, true>);

}  // namespace

#define XTAPE_POOLING(axes, name)                                                                 \
  std::pair<Var, Var> max_pool##name##_with_indices(const Var& x, const PerAxis& window,          \
                                                    const MaxPoolOptions& options) {              \
    return max_pool<axes>("max_pool" #name, x, window, options);                                  \
  }                                                                                               \
  Var max_pool##name(const Var& x, const PerAxis& window, const MaxPoolOptions& options) {        \
    return max_pool##name##_with_indices(x, window, options).first;                               \
  }                                                                                               \
  Var avg_pool##name(const Var& x, const PerAxis& window, const AvgPoolOptions& options) {        \
    return avg_pool<axes>("avg_pool" #name, x, window, options);                                  \
  }                                                                                               \
  Var adaptive_avg_pool##name(const Var& x, const PerAxis& size) {                                \
    return adaptive_mean<axes>("adaptive_avg_pool" #name, x, size);                               \
  }                                                                                               \
  std::pair<Var, Var> adaptive_max_pool##name##_with_indices(const Var& x, const PerAxis& size) { \
    return adaptive_max<axes>("adaptive_max_pool" #name, x, size);                                \
  }                                                                                               \
  Var adaptive_max_pool##name(const Var& x, const PerAxis& size) {                                \
    return adaptive_max_pool##name##_with_indices(x, size).first;                                 \
  }
XTAPE_POOLING(1, 1d)
XTAPE_POOLING(2, 2d)
XTAPE_POOLING(3, 3d)
#undef XTAPE_POOLING

Var lp_pool1d(const Var& x, double p, const PerAxis& window, const LpPoolOptions& options) {
  return lp_pool<1>("lp_pool1d", x, p, window, options);
}
Var lp_pool2d(const Var& x, double p, const PerAxis& window, const LpPoolOptions& options) {
  return lp_pool<2>("lp_pool2d", x, p, window, options);
}

const kernels::Pool& pool_of(const Attrs* max_pool_indices) {
  return get_attrs<PoolAttrs>(max_pool_indices);
}

namespace families {
Family pooling() {
  return {&kMaxPoolIndices, &kMax1,         &kMax2,         &kMax3,         &kAvg1,
          &kAvg2,           &kAvg3,         &kLp1,          &kLp2,          &kAdaptiveAvg1,
          &kAdaptiveAvg2,   &kAdaptiveAvg3, &kAdaptiveMax1, &kAdaptiveMax2, &kAdaptiveMax3};
}
}  // namespace families

}  // namespace xtape
