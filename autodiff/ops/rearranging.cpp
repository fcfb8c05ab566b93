#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// Elements in another order along their axes, and windows of them.
namespace xtape {

Var flip(const Var& x, const Axes& axes) {
  std::vector<Slice> slices(static_cast<std::size_t>(x.rank()));
  for (const std::int64_t axis : normalize_axes("flip", axes, x.shape())) {
    slices[static_cast<std::size_t>(axis)].step = -1;
  }
  return slice(x, slices);
}

Var fliplr(const Var& x) {
  normalize_axis("fliplr", 1, x.shape());
  return flip(x, 1);
}

Var flipud(const Var& x) {
  normalize_axis("flipud", 0, x.shape());
  return flip(x, 0);
}

Var rot90(const Var& x, std::int64_t k, const Axes& axes) {
  if (axes.rank() != 2) {
    throw ShapeError("rot90", "axes " + axes.str() + ": a rotation has two");
  }
  normalize_axes("rot90", axes, x.shape());
  const std::int64_t a = axes[0], b = axes[1];
  switch ((k % 4 + 4) % 4) {
    case 1:
      return swapaxes(flip(x, b), a, b);
    case 2:
      return flip(x, axes);
    case 3:
      return flip(swapaxes(x, a, b), b);
    default:
      return clone(x);
  }
}

Var roll(const Var& x, const std::vector<std::int64_t>& shifts, const Axes& axes) {
  if (axes.empty() && shifts.size() == 1 && x.rank() != 1) {
    return reshape(roll(ravel(x), shifts, 0), x.shape());
  }
  const Axes around = axes.empty() && x.rank() == 1 ? Axes{0} : axes;
  if (shifts.size() != static_cast<std::size_t>(around.rank())) {
    throw ShapeError("roll", std::to_string(shifts.size()) + " shifts and " +
                                 std::to_string(around.rank()) + " axes: must be as many");
  }
  Var y = x;
  for (int i = 0; i < around.rank(); ++i) {
    const int at = normalize_axis("roll", around[i], x.shape());
    const std::int64_t n = x.shape()[at];
    if (n == 0) continue;
    const std::int64_t begin = ((-shifts[static_cast<std::size_t>(i)]) % n + n) % n;
    if (begin == 0) continue;
    y = concat({slice(y, at, {begin}), slice(y, at, {0, begin})}, at);
  }
  return clone(y);
}

Var unfold(const Var& x, std::int64_t axis, std::int64_t size, std::int64_t step) {
  if (x.rank() == 0) return unfold(reshape(x, {1}), axis, size, step);
  const int at = normalize_axis("unfold", axis, x.shape());
  const std::int64_t n = x.shape()[at];
  if (size < 0 || size > n || step <= 0) {
    throw ValueError("unfold",
                     "windows of " + std::to_string(size) + ", " + std::to_string(step) +
                         " apart, of " + std::to_string(n) +
                         " positions: the size must be in [0, extent], the step positive");
  }
  const std::int64_t windows = (n - size) / step + 1;
  Tensor table = Tensor::empty({windows * size}, i64);
  auto* from = static_cast<std::int64_t*>(table.raw());
  for (std::int64_t w = 0; w < windows; ++w) {
    for (std::int64_t k = 0; k < size; ++k) *from++ = w * step + k;
  }
  return movedim(unflatten(index_select(x, at, table), at, {windows, size}), at + 1, -1);
}

namespace {
void check_pixels(const char* op, const Shape& shape, std::int64_t r) {
  if (shape.rank() < 3) {
    throw ShapeError(op, "shape " + shape.str() + ": takes images (…, channels, height, width)");
  }
  if (r <= 0) throw ValueError(op, "factor " + std::to_string(r) + ": must be positive");
}
// One axis for all before the last three.
Shape images(const Shape& shape) {
  std::int64_t n = 1;
  const int rank = shape.rank();
  for (int i = 0; i < rank - 3; ++i) n *= shape[i];
  return {n, shape[rank - 3], shape[rank - 2], shape[rank - 1]};
}
Shape with_image(const Shape& shape, std::int64_t c, std::int64_t h, std::int64_t w) {
  Shape out(shape.begin(), shape.end() - 3);
  for (const std::int64_t n : {c, h, w}) out.push_back(n);
  return out;
}
}  // namespace

Var pixel_shuffle(const Var& x, std::int64_t r) {
  check_pixels("pixel_shuffle", x.shape(), r);
  const Shape s = images(x.shape());
  const std::int64_t c = s[1] / (r * r);
  if (s[1] != c * r * r) {
    throw ShapeError("pixel_shuffle", "shape " + x.shape().str() + " by " + std::to_string(r) +
                                          ": channels must be a multiple of its square");
  }
  const Var apart = reshape(x, {s[0], c, r, r, s[2], s[3]});
  return reshape(transpose(apart, {0, 1, 4, 2, 5, 3}),
                 with_image(x.shape(), c, s[2] * r, s[3] * r));
}

Var pixel_unshuffle(const Var& x, std::int64_t r) {
  check_pixels("pixel_unshuffle", x.shape(), r);
  const Shape s = images(x.shape());
  if (s[2] % r != 0 || s[3] % r != 0) {
    throw ShapeError("pixel_unshuffle", "shape " + x.shape().str() + " by " + std::to_string(r) +
                                            ": height and width must be multiples of it");
  }
  const Var apart = reshape(x, {s[0], s[1], s[2] / r, r, s[3] / r, r});
  return reshape(transpose(apart, {0, 1, 3, 5, 2, 4}),
                 with_image(x.shape(), s[1] * r * r, s[2] / r, s[3] / r));
}

Var diff(const Var& x, std::int64_t n, std::int64_t axis, const Var& prepend, const Var& append) {
  const int at = normalize_axis("diff", axis, x.shape());
  if (n < 0) throw ValueError("diff", "order " + std::to_string(n) + ": must not be negative");
  std::vector<Var> parts{x};
  if (prepend.defined()) parts.insert(parts.begin(), prepend);
  if (append.defined()) parts.push_back(append);
  Var y = n > 0 && parts.size() > 1 ? concat(parts, at) : clone(x);
  for (std::int64_t k = 0; k < n; ++k) {
    y = slice(y, at, {1}) - slice(y, at, {0, std::max<std::int64_t>(y.shape()[at] - 1, 0)});
  }
  return y;
}

namespace {
using namespace rules;

constexpr Text kMoved{"y = x in another order", "x̄ = ȳ in the order of x"};
constexpr Op kFlip = composed("flip", kMoved, [](const Sampler& s) {
  return cases(s, {{{{}}, [](Operands x) { return flip(x[0]); }},
                   {{{4}}, [](Operands x) { return flip(x[0], 0); }},
                   {{{2, 3, 1, 2}},
                    [](Operands x) {
                      return flip(x[0], {-1, 1});
                    }},
                   {{{0, 3}}, [](Operands x) { return flip(x[0]); }}});
});
constexpr Op kFliplr = composed("fliplr", kMoved, [](const Sampler& s) {
  const auto f = [](Operands x) { return fliplr(x[0]); };
  return cases(s, {{{{2, 3}}, f}, {{{1, 1}}, f}, {{{2, 3, 1, 2}}, f}, {{{0, 3}}, f}});
});
constexpr Op kFlipud = composed("flipud", kMoved, [](const Sampler& s) {
  const auto f = [](Operands x) { return flipud(x[0]); };
  return cases(s, {{{{3}}, f}, {{{2, 1}}, f}, {{{2, 3, 1, 2}}, f}, {{{0, 3}}, f}});
});
constexpr Op kRot90 = composed("rot90", kMoved, [](const Sampler& s) {
  return cases(s, {{{{2, 3}}, [](Operands x) { return rot90(x[0]); }},
                   {{{2, 3}}, [](Operands x) { return rot90(x[0], -1); }},
                   {{{2, 3, 1, 2}},
                    [](Operands x) {
                      return rot90(x[0], 2, {3, 1});
                    }},
                   {{{2, 3}}, [](Operands x) { return rot90(x[0], -4); }},
                   {{{0, 3}}, [](Operands x) {
                      return rot90(x[0], 3, {1, 0});
                    }}});
});
constexpr Op kRoll = composed("roll", kMoved, [](const Sampler& s) {
  return cases(s, {{{{4}}, [](Operands x) { return roll(x[0], {1}); }},
                   {{{2, 3}}, [](Operands x) { return roll(x[0], {-2}); }},
                   {{{2, 3, 1, 2}},
                    [](Operands x) {
                      return roll(x[0], {1, -5}, {0, 1});
                    }},
                   {{{}}, [](Operands x) { return roll(x[0], {3}); }},
                   {{{0, 3}}, [](Operands x) {
                      return roll(x[0], {1, 1}, {0, -1});
                    }}});
});
constexpr Op kUnfold = composed(
    "unfold", {"y[…, w, …, k] = x[…, w·step + k, …]", "x̄[…, i, …] = Σ ȳ over the windows with i"},
    [](const Sampler& s) {
      return cases(s, {{{{}}, [](Operands x) { return unfold(x[0], 0, 1, 1); }},
                       {{{5}}, [](Operands x) { return unfold(x[0], 0, 3, 1); }},
                       {{{2, 5, 1, 2}}, [](Operands x) { return unfold(x[0], 1, 2, 2); }},
                       {{{2, 4}}, [](Operands x) { return unfold(x[0], -1, 0, 3); }},
                       {{{0, 3}}, [](Operands x) { return unfold(x[0], 1, 2, 1); }}});
    });
constexpr Op kPixelShuffle = composed("pixel_shuffle", kMoved, [](const Sampler& s) {
  const auto f = [](Operands x) { return pixel_shuffle(x[0], 2); };
  return cases(s, {{{{4, 2, 3}}, f},
                   {{{2, 4, 1, 2}}, f},
                   {{{1, 2, 4, 2, 1}}, f},
                   {{{1, 4, 0, 2}}, f},
                   {{{2, 1, 3}}, [](Operands x) { return pixel_shuffle(x[0], 1); }}});
});
constexpr Op kPixelUnshuffle = composed("pixel_unshuffle", kMoved, [](const Sampler& s) {
  const auto f = [](Operands x) { return pixel_unshuffle(x[0], 2); };
  return cases(s,
               {{{{1, 4, 2}}, f}, {{{2, 3, 2, 2}}, f}, {{{1, 2, 1, 2, 4}}, f}, {{{1, 0, 2}}, f}});
});
constexpr Op kDiff = composed(
    "diff", {"y[k] = x[k + 1] − x[k], n times", "x̄[k] = ȳ[k − 1] − ȳ[k], n times"},
    [](const Sampler& s) {
      return cases(
          s, {{{{4}}, [](Operands x) { return diff(x[0]); }},
              {{{2, 3}}, [](Operands x) { return diff(x[0], 2, 1); }},
              {{{2, 3}}, [](Operands x) { return diff(x[0], 0); }},
              {{{2, 3, 1, 2}, {2, 1, 1, 2}}, [](Operands x) { return diff(x[0], 1, 1, x[1]); }},
              {{{3}, {1}, {2}}, [](Operands x) { return diff(x[0], 3, 0, x[1], x[2]); }},
              {{{1, 2}}, [](Operands x) { return diff(x[0], 3, 0); }},
              {{{0, 2}}, [](Operands x) { return diff(x[0], 1, 0); }}});
    });
}  // namespace

namespace families {
Family rearranging() {
  return {&kFlip,   &kFliplr,       &kFlipud,         &kRot90, &kRoll,
          &kUnfold, &kPixelShuffle, &kPixelUnshuffle, &kDiff};
}
}  // namespace families

}  // namespace xtape
