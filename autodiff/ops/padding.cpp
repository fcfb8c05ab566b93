#include <algorithm>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

[[noreturn]] void refuse(const Shape& shape, int axis, const Pad& p, const char* rule) {
  throw ValueError("pad", "pads (" + std::to_string(p.before) + ", " + std::to_string(p.after) +
                              ") of axis " + std::to_string(axis) + " of " + shape.str() + ": " +
                              rule);
}

// x without what negative pads take away.
Var crop(const Var& x, int axis, const Pad& p) {
  const std::int64_t n = x.shape()[axis];
  const std::int64_t begin = std::max<std::int64_t>(-p.before, 0);
  const std::int64_t end = n - std::max<std::int64_t>(-p.after, 0);
  if (begin > end) refuse(x.shape(), axis, p, "no more can be taken away than there is");
  return begin == 0 && end == n ? x : slice(x, axis, {begin, end});
}

// A constant of the shape of x, but n positions on the axis.
Tensor border(const Var& x, int axis, std::int64_t n, double value) {
  Shape shape = x.shape();
  shape[axis] = n;
  return Tensor::full(shape, value, x.dtype());
}

Var pad_constant(const Var& x, int axis, const Pad& p, double value) {
  const Var inner = crop(x, axis, p);
  std::vector<Var> parts;
  if (p.before > 0) parts.push_back(border(inner, axis, p.before, value));
  parts.push_back(inner);
  if (p.after > 0) parts.push_back(border(inner, axis, p.after, value));
  return parts.size() == 1 ? inner : concat(parts, axis);
}

// The position of x that stands at position i, which may lie beyond [0, n).
std::int64_t source(Padding kind, std::int64_t i, std::int64_t n) {
  if (kind == Padding::replicate) return std::clamp<std::int64_t>(i, 0, n - 1);
  if (kind == Padding::circular) return (i % n + n) % n;
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

Var pad_from_itself(const Var& x, int axis, const Pad& p, Padding kind) {
  if (kind == Padding::circular && std::min(p.before, p.after) < 0) {  // goes round what remains
    const Pad added{std::max<std::int64_t>(p.before, 0), std::max<std::int64_t>(p.after, 0)};
    return pad_from_itself(crop(x, axis, p), axis, added, kind);
  }
  const std::int64_t n = x.shape()[axis], most = std::max(p.before, p.after);
  if (kind == Padding::reflect && most >= std::max<std::int64_t>(n, 1)) {
    refuse(x.shape(), axis, p, "to reflect, both must be less than the extent");
  }
  if (kind == Padding::circular && most > n) {
    refuse(x.shape(), axis, p, "to go round, both must be at most the extent");
  }
  if (n == 0 && most > 0) refuse(x.shape(), axis, p, "there is nothing to replicate");
  if (n + p.before + p.after < 0) {
    refuse(x.shape(), axis, p, "no more can be taken away than there is");
  }
  std::vector<std::int64_t> table;
  for (std::int64_t i = -p.before; i < n + p.after; ++i) table.push_back(source(kind, i, n));
  return index_select(x, axis, Tensor::from(table));
}

}  // namespace

Var pad(const Var& x, const std::vector<Pad>& pads, const Axes& axes, Padding kind, double value) {
  if (pads.size() != static_cast<std::size_t>(axes.rank())) {
    throw ShapeError("pad", std::to_string(pads.size()) + " pads and " +
                                std::to_string(axes.rank()) + " axes: must be as many");
  }
  if (!axes.empty()) normalize_axes("pad", axes, x.shape());
  Var y = clone(x);
  for (std::size_t i = 0; i < pads.size(); ++i) {
    const int at = normalize_axis("pad", axes[static_cast<int>(i)], x.shape());
    if (pads[i].before == 0 && pads[i].after == 0) continue;
    y = kind == Padding::constant ? pad_constant(y, at, pads[i], value)
                                  : pad_from_itself(y, at, pads[i], kind);
  }
  return y;
}

namespace {

std::vector<Sample> pad_samples(const Sampler& s) {
  const auto with = [](std::vector<Pad> pads, Axes axes, Padding kind, double value = 0) {
    return [=](Operands x) { return pad(x[0], pads, axes, kind, value); };
  };
  return cases(s, {{{{}}, with({}, {}, Padding::constant)},
                   {{{3}}, with({{1, 2}}, 0, Padding::constant, 1.5)},
                   {{{2, 3}}, with({{-1, 1}, {2, -2}}, {0, 1}, Padding::constant)},
                   {{{0, 2}}, with({{1, 1}}, 0, Padding::constant, 2)},
                   {{{4}}, with({{3, 2}}, 0, Padding::reflect)},
                   {{{1, 2, 3, 3}}, with({{1, 0}, {2, -1}}, {1, -1}, Padding::reflect)},
                   {{{2, 3}}, with({{2, 0}, {1, 4}}, {0, 1}, Padding::replicate)},
                   {{{0, 2}}, with({{1, 1}}, 1, Padding::replicate)},
                   {{{2, 3}}, with({{1, 2}, {2, -1}}, {0, 1}, Padding::circular)},
                   {{{1, 2, 2, 2}}, with({{0, 2}}, -2, Padding::circular)}});
}

constexpr Op kPad = composed(
    "pad", {"y = x between borders, constant or made of x", "x̄ = Σ ȳ over where an element stands"},
    pad_samples);

}  // namespace

namespace families {
Family padding() { return {&kPad}; }
}  // namespace families

}  // namespace xtape
