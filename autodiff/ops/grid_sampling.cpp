#include <array>
#include <cmath>

#include <xtape/autodiff/ops/spatial.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace spatial;

constexpr const char* kName = "grid_sample";

// ⌊x⌋ as i64. What is no number or far away is somewhere: it is outside of every tensor.
Var whole(const Var& x) {
  const Var near = clamp(where(equal(x, x), x, 0), -0x1p40, 0x1p40);
  const Var n = cast(near, i64);
  return where(cast(n, x.dtype()) > near, n - 1, n);
}

// The nearest whole number, the even one of two.
Var nearest(const Var& x) {
  const Var n = whole(x + 0.5);
  const Var tie = equal(cast(n, x.dtype()), x + 0.5);
  const Var half = whole(cast(n, x.dtype()) / 2);
  return where(tie, half + half, n);
}

// What is outside of (low, high) is moved to the border and has no gradient there.
Var moved_inside(const Var& x, double high) { return where(x > 0, where(x < high, x, high), 0); }

// One axis of x, of `size` elements, and the coordinate of each point on it, in elements.
struct Axis {
  std::int64_t size;
  const GridSampleOptions& o;

  Var place(const Var& coordinate) const {
    const auto n = static_cast<double>(size);
    if (o.align_corners) return (coordinate + 1) * ((n - 1) / 2);
    return ((coordinate + 1) * n - 1) / 2;
  }

  // Mirrored at the borders until it lies between them.
  Var reflected(const Var& x) const {
    const double low = o.align_corners ? 0 : -0.5;
    const double span = static_cast<double>(size) - (o.align_corners ? 1 : 0);
    if (span == 0) return x * 0;
    const Var from = abs(x - low), turns = whole(from / span), half = whole(from / (2 * span));
    const Var rest = from - cast(turns, x.dtype()) * span;
    return where(equal(turns, half + half), rest, span - rest) + low;
  }

  Var padded(const Var& x) const {
    if (o.padding == GridPadding::zeros) return x;
    const Var inside = o.padding == GridPadding::border ? x : reflected(x);
    return moved_inside(inside, static_cast<double>(size - 1));
  }
};

// An element that a point takes part of, on one axis.
struct Tap {
  Var at;      // i64, perhaps outside
  Var weight;  // undefined for 1
};

std::vector<Tap> linear_taps(const Axis& axis, const Var& coordinate) {
  const Var x = axis.padded(axis.place(coordinate)), left = whole(x);
  const Var t = x - cast(left, x.dtype());
  return {{left, 1 - t}, {left + 1, t}};
}

// The weights as functions of the place: spatial::cubic_weights on tensors.
std::array<Var, 4> cubic_weights_at(const Var& t) {
  constexpr double a = -0.75;
  const auto near = [](const Var& d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](const Var& d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(t + 1), near(t), near(1 - t), far(2 - t)};
}

std::vector<Tap> cubic_taps(const Axis& axis, const Var& coordinate) {
  const Var x = axis.place(coordinate), left = whole(x);
  const auto weights = cubic_weights_at(x - cast(left, x.dtype()));
  std::vector<Tap> out;
  for (int k = 0; k < 4; ++k) {
    const Var at = left + (k - 1);
    const Var moved =
        axis.o.padding == GridPadding::zeros ? at : whole(axis.padded(cast(at, x.dtype())) + 0.25);
    out.push_back({moved, weights[static_cast<std::size_t>(k)]});
  }
  return out;
}

std::vector<Tap> taps_of(const Axis& axis, const Var& coordinate) {
  if (axis.o.mode == Interpolation::linear) return linear_taps(axis, coordinate);
  if (axis.o.mode == Interpolation::cubic) return cubic_taps(axis, coordinate);
  return {{nearest(axis.padded(axis.place(coordinate))), Var()}};
}

// Sums over all combinations of taps. x is (n, c, elements and one 0): that is where points outside
// find what they weigh.
class Sum {
 public:
  Sum(const Var& x, const std::vector<Axis>& axes, std::vector<std::vector<Tap>> taps)
      : x_(x), axes_(axes), taps_(std::move(taps)), outside_(x.shape()[2] - 1) {
    combine(0, Var(), Var(), Var());
  }
  Var value() const { return sum_; }

 private:
  // `at`, `lost` (boolean) and `weight` join those of the axes before `axis`.
  void combine(std::size_t axis, const Var& at, const Var& lost, const Var& weight) {
    if (axis == axes_.size()) return add(at, lost, weight);
    const std::int64_t size = axes_[axis].size;
    for (const Tap& tap : taps_[axis]) {
      const Var out = not_equal(clamp(tap.at, 0, static_cast<double>(size - 1)), tap.at);
      combine(axis + 1, axis == 0 ? tap.at : at * size + tap.at,
              axis == 0 ? out : where(lost, lost, out),
              !weight.defined() ? tap.weight : weight * tap.weight);
    }
  }

  void add(const Var& at, const Var& lost, const Var& weight) {
    const Var index = where(lost, outside_, at);
    const Var found = take_along_axis(x_, by_channel(index), 2);
    const Var term = weight.defined() ? found * by_channel(weight) : found;
    sum_ = sum_.defined() ? sum_ + term : term;
  }

  // (n, grid axes…) as (n, 1, points).
  static Var by_channel(const Var& v) {
    const std::int64_t n = v.shape()[0];
    return reshape(v, {n, 1, n == 0 ? 0 : v.size() / n});
  }

  const Var& x_;
  const std::vector<Axis>& axes_;
  std::vector<std::vector<Tap>> taps_;
  std::int64_t outside_;
  Var sum_;
};

void check(const Var& x, const Var& grid, const GridSampleOptions& o) {
  const Shape &s = x.shape(), &g = grid.shape();
  const int axes = s.rank() - 2;
  const std::string both = "x " + s.str() + " and grid " + g.str() + ": ";
  if (axes < 2 || axes > 3) throw ShapeError(kName, both + "x must have four or five axes");
  if (g.rank() != s.rank() || g[g.rank() - 1] != axes || g[0] != s[0]) {
    throw ShapeError(kName, both + "the grid must have as many samples and axes as x, and " +
                                std::to_string(axes) + " coordinates");
  }
  for (int i = 2; i < s.rank(); ++i) {
    if (s[i] == 0) throw_nothing(kName, s);
  }
  if (!is_floating(x.dtype()) || x.dtype() != grid.dtype()) {
    throw DTypeError(kName, std::string("x is ") + name(x.dtype()) + ", grid " +
                                name(grid.dtype()) + ": both must be f32 or both f64");
  }
  const bool cubic = o.mode == Interpolation::cubic;
  if (o.mode != Interpolation::linear && o.mode != Interpolation::nearest && !cubic) {
    throw ValueError(kName, "the mode must be nearest, linear or cubic");
  }
  if (cubic && axes == 3) throw ValueError(kName, "mode cubic is for images, x has three axes");
}

std::vector<Sample> grid_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& x, const Shape& grid, const GridSampleOptions& o) {
    out.push_back({x.str() + " mode " + std::to_string(static_cast<int>(o.mode)),
                   {s.draw(x), s.draw(grid, -1.3, 1.3)},
                   [o](std::span<const Var> in) { return grid_sample(in[0], in[1], o); }});
  };
  using enum Interpolation;
  using enum GridPadding;
  add({2, 2, 3, 2}, {2, 1, 3, 2}, {});
  add({1, 1, 3, 4}, {1, 2, 2, 2}, {.padding = border, .align_corners = true});
  add({1, 1, 3, 4}, {1, 2, 2, 2}, {.padding = reflection});
  add({1, 1, 3, 1}, {1, 2, 2, 2}, {.padding = reflection, .align_corners = true});
  add({1, 1, 4, 3}, {1, 2, 2, 2}, {.mode = cubic});
  add({1, 1, 4, 3}, {1, 1, 2, 2}, {.mode = cubic, .padding = reflection});
  add({1, 1, 2, 3, 2}, {1, 1, 2, 1, 3}, {});
  add({1, 1, 2, 2, 2}, {1, 1, 2, 1, 3}, {.mode = nearest, .padding = border});
  add({0, 1, 2, 2}, {0, 1, 2, 2}, {});
  return out;
}

constexpr Op kGridSample =
    composed("grid_sample",
             {"y[n, c, i] = Σ_k w(place(grid[n, i]) − k) x[n, c, k]",
              "x̄[n, c, k] = Σ_i w(…) ȳ[n, c, i], grid's by the slopes of w and place"},
             grid_samples);

}  // namespace

Var grid_sample(const Var& image, const Var& places, const GridSampleOptions& o) {
  check(image, places, o);
  const Var x = beside(image, places), grid = beside(places, x);
  const Shape shape = x.shape(), g = grid.shape();
  const int count = shape.rank() - 2;
  std::vector<Axis> axes;
  std::vector<std::vector<Tap>> taps;
  for (int i = 0; i < count; ++i) {  // the last axis of x has the first coordinate
    const Var coordinate =
        reshape(slice(grid, -1, {count - 1 - i, count - i}), Shape(g.begin(), g.end() - 1));
    axes.push_back({shape[2 + i], o});
    taps.push_back(taps_of(axes.back(), coordinate));
  }
  const std::int64_t elements = Shape(shape.begin() + 2, shape.end()).size();
  const Var flat = concat({reshape(x, {shape[0], shape[1], elements}),
                           Tensor::zeros({shape[0], shape[1], 1}, x.dtype())},
                          2);
  Shape out{shape[0], shape[1]};
  for (int i = 1; i <= count; ++i) out.push_back(g[i]);
  return reshape(Sum(flat, axes, std::move(taps)).value(), out);
}

namespace families {
Family grid_sampling() { return {&kGridSample}; }
}  // namespace families

}  // namespace xtape
