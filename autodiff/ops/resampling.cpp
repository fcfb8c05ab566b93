#include <algorithm>
#include <array>
#include <cmath>

#include <xtape/autodiff/ops/axis_map.hpp>
#include <xtape/autodiff/ops/spatial.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace spatial;

constexpr const char* kName = "interpolate";

// One axis: extents, and how far apart the places of neighbours are in the input.
struct AxisScale {
  std::int64_t in, out;
  bool align;
  double step;   // without align_corners
  bool by_size;  // the step is in / out
  double aligned_step() const {
    return out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  }
  // Where element i lies in the input.
  double place(std::int64_t i) const {
    if (align) return static_cast<double>(i) * aligned_step();
    return (static_cast<double>(i) + 0.5) * step - 0.5;
  }
};

AxisMap nearest_map(const AxisScale& a, double shift) {
  AxisMap m{.from = a.in};
  for (std::int64_t i = 0; i < a.out; ++i) {
    const double place = std::floor((static_cast<double>(i) + shift) * a.step);
    const std::int64_t exact = a.by_size ? (shift == 0 ? i * a.in : (2 * i + 1) * a.in / 2) / a.out
                                         : static_cast<std::int64_t>(place);
    m.term(std::min(exact, a.in - 1), 1);
    m.end();
  }
  return m;
}

AxisMap linear_map(const AxisScale& a) {
  AxisMap m{.from = a.in};
  for (std::int64_t i = 0; i < a.out; ++i) {
    const double place = std::max(a.place(i), 0.0);
    const std::int64_t left = std::min(static_cast<std::int64_t>(place), a.in - 1);
    const double t = std::min(place - static_cast<double>(left), 1.0);
    const bool edge = left == a.in - 1;
    m.term(left, edge ? 1 : 1 - t);
    if (!edge) m.term(left + 1, t);
    m.end();
  }
  return m;
}

AxisMap cubic_map(const AxisScale& a) {
  AxisMap m{.from = a.in};
  for (std::int64_t i = 0; i < a.out; ++i) {
    const double place = a.place(i), left = std::floor(place);
    const auto weights = cubic_weights(place - left);
    for (int k = 0; k < 4; ++k) {
      const std::int64_t at = static_cast<std::int64_t>(left) + k - 1;
      m.term(std::clamp<std::int64_t>(at, 0, a.in - 1), weights[static_cast<std::size_t>(k)]);
    }
    m.end();
  }
  return m;
}

AxisMap map_of(const AxisScale& a, Interpolation mode) {
  if (mode == Interpolation::nearest) return nearest_map(a, 0);
  if (mode == Interpolation::nearest_exact) return nearest_map(a, 0.5);
  return mode == Interpolation::linear ? linear_map(a) : cubic_map(a);
}

// Extents of the result and steps.
std::vector<AxisScale> scales(const Shape& x, int axes, const InterpolateOptions& o) {
  const bool by_size = !o.size.empty();
  if (by_size == !o.scale_factor.empty()) {
    throw ValueError(kName, "size " + o.size.str() + " and " +
                                std::to_string(o.scale_factor.size()) +
                                " scale factors: give one of both");
  }
  const std::size_t given = o.scale_factor.size();
  if (!by_size && given != 1 && given != static_cast<std::size_t>(axes)) {
    throw ValueError(kName, std::to_string(given) + " scale factors: must be one or " +
                                std::to_string(axes) + ", one for each spatial axis");
  }
  const auto size = by_size ? per_axis(kName, "size", o.size, axes, 1, 1) : kernels::Extents{};
  std::vector<AxisScale> out;
  for (int i = 0; i < axes; ++i) {
    const std::int64_t in = x[2 + i];
    if (in == 0) throw_nothing(kName, x);
    AxisScale a{in, size[static_cast<std::size_t>(3 - axes + i)], o.align_corners, 0, by_size};
    a.step = static_cast<double>(in) / static_cast<double>(a.out);
    if (!by_size) {
      const double factor = o.scale_factor[given == 1 ? 0 : static_cast<std::size_t>(i)];
      const double extent = std::floor(static_cast<double>(in) * factor);
      if (!(extent >= 1 && extent < 0x1p40)) {
        throw ValueError(kName, "scale factor " + detail::text(factor) + " of extent " +
                                    std::to_string(in) + ": the result would have no elements");
      }
      a.out = static_cast<std::int64_t>(extent);
      a.step = 1 / factor;
    }
    out.push_back(a);
  }
  return out;
}

Var mean_areas(const Var& x, int axes, const PerAxis& size) {
  if (axes == 1) return adaptive_avg_pool1d(x, size);
  return axes == 2 ? adaptive_avg_pool2d(x, size) : adaptive_avg_pool3d(x, size);
}

std::vector<Sample> interpolate_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const InterpolateOptions& o) {
    out.push_back({shape.str() + " mode " + std::to_string(static_cast<int>(o.mode)),
                   {s.draw(shape)},
                   [o](std::span<const Var> in) { return interpolate(in[0], o); }});
  };
  using enum Interpolation;
  add({2, 1, 4}, {.size = 7});
  add({1, 2, 3, 2}, {.scale_factor = {1.5, 2.0}});
  add({1, 1, 3, 2}, {.size = {2, 5}, .mode = nearest_exact});
  add({1, 2, 4}, {.scale_factor = {0.6}, .mode = linear});
  add({1, 1, 3, 4}, {.size = {5, 2}, .mode = linear, .align_corners = true});
  add({1, 1, 2, 3, 2}, {.size = {3, 2, 1}, .mode = linear});
  add({1, 1, 3, 4}, {.size = {5, 3}, .mode = cubic});
  add({1, 1, 3, 3}, {.scale_factor = {1.7}, .mode = cubic, .align_corners = true});
  add({2, 1, 5}, {.size = 2, .mode = area});
  add({0, 1, 5}, {.size = 2});
  return out;
}

constexpr Op kInterpolate =
    composed("interpolate",
             {"y[n, c, i] = Σ_k m[i, k] x[n, c, k], m interpolation weights",
              "x̄[n, c, k] = Σ_i m[i, k] ȳ[n, c, i]"},
             interpolate_samples);

}  // namespace

std::array<double, 4> spatial::cubic_weights(double t) {
  constexpr double a = -0.75;
  const auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(t + 1), near(t), near(1 - t), far(2 - t)};
}

Var interpolate(const Var& x, const InterpolateOptions& o) {
  const int axes = x.rank() - 2;
  if (axes < 1 || axes > 3) {
    throw ShapeError(kName, "x " + x.shape().str() +
                                ": must have samples, channels and one to three spatial axes");
  }
  if (!is_floating(x.dtype())) {
    throw DTypeError(
        kName, std::string("x ") + name(x.dtype()) + ": takes f32 or f64, write cast(x, f32)");
  }
  const std::vector<AxisScale> all = scales(x.shape(), axes, o);
  if (o.mode == Interpolation::area) {
    PerAxis size;
    for (const AxisScale& a : all) size.push_back(a.out);
    return mean_areas(x, axes, size);
  }
  Var y = x;
  for (int i = axes; i-- > 0;) {
    const AxisScale& a = all[static_cast<std::size_t>(i)];
    y = map_axis(y, i + 2, map_of(a, o.mode));
  }
  return y;
}

namespace families {
Family resampling() { return {&kInterpolate}; }
}  // namespace families

}  // namespace xtape
