#include <algorithm>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// Functions that name axes anew; all of them are a reshape, a transpose or a broadcast.
namespace xtape {

Var permute(const Var& x, const Axes& perm) {
  if (perm.rank() != x.rank()) {
    throw ShapeError("permute", "permutation " + perm.str() + " of shape " + x.shape().str() +
                                    ": every axis must stand once");
  }
  return transpose(x, perm);
}

Var swapaxes(const Var& x, std::int64_t a, std::int64_t b) {
  const int i = normalize_axis("swapaxes", a, x.shape());
  const int j = normalize_axis("swapaxes", b, x.shape());
  Axes perm;
  for (int k = 0; k < x.rank(); ++k) perm.push_back(k);
  std::swap(perm[i], perm[j]);
  return transpose(x, perm);
}

Var movedim(const Var& x, const Axes& source, const Axes& destination) {
  const Shape& shape = x.shape();
  if (source.rank() != destination.rank()) {
    throw ShapeError("movedim", "axes " + source.str() + " to " + destination.str() +
                                    ": there must be as many as before");
  }
  if (source.empty()) return transpose(x, Axes{});
  Axes perm, moved = normalize_axes("movedim", source, shape);
  normalize_axes("movedim", destination, shape);
  for (int i = 0; i < shape.rank(); ++i) perm.push_back(-1);
  for (int i = 0; i < source.rank(); ++i) {
    perm[normalize_axis("movedim", destination[i], shape)] =
        normalize_axis("movedim", source[i], shape);
  }
  int next = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (perm[i] >= 0) continue;
    while (std::find(moved.begin(), moved.end(), next) != moved.end()) ++next;
    perm[i] = next++;
  }
  return transpose(x, perm);
}

Var mT(const Var& x) {
  if (x.rank() < 2) {
    throw ShapeError("mT", "shape " + x.shape().str() + ": takes matrices, of rank 2 or more");
  }
  return swapaxes(x, -2, -1);
}

Var t(const Var& x) {
  if (x.rank() > 2) {
    throw ShapeError("t", "shape " + x.shape().str() + ": takes rank 2 or less, write mT(x)");
  }
  return transpose(x);
}

Var squeeze(const Var& x, const Axes& axes) {
  const Axes chosen = normalize_axes("squeeze", axes, x.shape());
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    const bool named = std::find(chosen.begin(), chosen.end(), i) != chosen.end();
    if (!named || x.shape()[i] != 1) shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

Var unsqueeze(const Var& x, std::int64_t axis) {
  Shape wider = x.shape();
  wider.push_back(1);
  const int at = normalize_axis("unsqueeze", axis, wider);
  for (int i = x.rank(); i > at; --i) wider[i] = wider[i - 1];
  wider[at] = 1;
  return reshape(x, wider);
}

Var flatten(const Var& x, std::int64_t first, std::int64_t last) {
  if (x.rank() == 0) return reshape(x, {1});
  const int from = normalize_axis("flatten", first, x.shape());
  const int to = normalize_axis("flatten", last, x.shape());
  if (from > to) {
    throw ShapeError("flatten", "axes " + std::to_string(first) + " to " + std::to_string(last) +
                                    " of shape " + x.shape().str() +
                                    ": the first must not stand behind the last");
  }
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i > from && i <= to) {
      shape[from] *= x.shape()[i];
    } else {
      shape.push_back(x.shape()[i]);
    }
  }
  return reshape(x, shape);
}

Var unflatten(const Var& x, std::int64_t axis, const Shape& extents) {
  const int at = normalize_axis("unflatten", axis, x.shape());
  const std::int64_t whole = x.shape()[at];
  Shape parts = extents;
  std::int64_t known = 1, open = -1;
  for (int i = 0; i < parts.rank(); ++i) {
    if (parts[i] == -1 && open < 0) {
      open = i;
    } else {
      known *= parts[i];
    }
  }
  if (open >= 0 && known > 0) parts[static_cast<int>(open)] = whole / known;
  if (parts.size() != whole ||
      std::any_of(parts.begin(), parts.end(), [](auto n) { return n < 0; })) {
    throw ShapeError("unflatten", "axis of extent " + std::to_string(whole) + " as " +
                                      extents.str() + ": the product of extents must agree");
  }
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != at) shape.push_back(x.shape()[i]);
    for (int k = 0; i == at && k < parts.rank(); ++k) shape.push_back(parts[k]);
  }
  return reshape(x, shape);
}

Var ravel(const Var& x) { return reshape(x, {x.size()}); }

Var expand(const Var& x, const Shape& shape) {
  Shape whole = shape;
  const int extra = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && i >= extra) whole[i] = x.shape()[i - extra];
  }
  for (const std::int64_t n : whole) {
    if (n < 0) {
      throw ShapeError("expand", "shape " + x.shape().str() + " to " + shape.str() +
                                     ": −1 stands for an extent of x, new axes have none");
    }
  }
  return broadcast_to(x, whole);
}

std::vector<Var> broadcast_tensors(const std::vector<Var>& xs) {
  Shape shape;
  for (const Var& x : xs) shape = broadcast("broadcast_tensors", shape, x.shape());
  std::vector<Var> out;
  for (const Var& x : beside_each_other(xs)) out.push_back(broadcast_to(x, shape));
  return out;
}

Var sum_to_size(const Var& x, const Shape& shape) { return sum_to(x, shape); }
Var clone(const Var& x) { return reshape(x, x.shape()); }
Var atleast_1d(const Var& x) { return x.rank() == 0 ? reshape(x, {1}) : x; }
Var atleast_2d(const Var& x) { return x.rank() < 2 ? reshape(x, {1, x.size()}) : x; }
Var atleast_3d(const Var& x) {
  if (x.rank() == 2) return unsqueeze(x, 2);
  return x.rank() < 2 ? reshape(x, {1, x.size(), 1}) : x;
}

namespace {
using namespace rules;

constexpr Op kPermute =
    composed("permute", {"y = x with its axes permuted", "x̄ = ȳ with the inverse permutation"},
             [](const Sampler& s) {
               return cases(s, {{{{}}, [](Operands x) { return permute(x[0], {}); }},
                                {{{2, 3}},
                                 [](Operands x) {
                                   return permute(x[0], {-1, 0});
                                 }},
                                {{{2, 3, 2, 2}},
                                 [](Operands x) {
                                   return permute(x[0], {2, 0, 3, 1});
                                 }},
                                {{{0, 3}}, [](Operands x) {
                                   return permute(x[0], {1, 0});
                                 }}});
             });
constexpr Op kSwapaxes =
    composed("swapaxes", {"y = x with two axes exchanged", "x̄ = ȳ with them exchanged back"},
             [](const Sampler& s) {
               return cases(s, {{{{4}}, [](Operands x) { return swapaxes(x[0], 0, -1); }},
                                {{{2, 3}}, [](Operands x) { return swapaxes(x[0], 0, 1); }},
                                {{{2, 3, 2, 2}}, [](Operands x) { return swapaxes(x[0], -3, 0); }},
                                {{{2, 0, 3}}, [](Operands x) { return swapaxes(x[0], 2, 1); }}});
             });
constexpr Op kMovedim = composed(
    "movedim", {"y = x with axes moved", "x̄ = ȳ with them moved back"}, [](const Sampler& s) {
      return cases(s, {{{{}}, [](Operands x) { return movedim(x[0], {}, {}); }},
                       {{{2, 3, 2}}, [](Operands x) { return movedim(x[0], 0, -1); }},
                       {{{2, 3, 1, 2}},
                        [](Operands x) {
                          return movedim(x[0], {-1, 0}, {0, 2});
                        }},
                       {{{0, 3}}, [](Operands x) { return movedim(x[0], 1, 0); }}});
    });
constexpr Op kMT = composed("mT", {"y[…, j, i] = x[…, i, j]", "x̄ = mT(ȳ)"}, [](const Sampler& s) {
  const auto call = [](Operands x) { return mT(x[0]); };
  return cases(s, {{{{2, 3}}, call}, {{{1, 1}}, call}, {{{2, 2, 3, 1}}, call}, {{{0, 3}}, call}});
});
constexpr Op kT = composed("t", {"y[j, i] = x[i, j]", "x̄ = t(ȳ)"}, [](const Sampler& s) {
  const auto call = [](Operands x) { return t(x[0]); };
  return cases(s, {{{{}}, call}, {{{4}}, call}, {{{2, 3}}, call}, {{{3, 0}}, call}});
});

constexpr Text kReshaped{"y = x under another shape", "x̄ = ȳ under the shape of x"};
constexpr Op kSqueeze = composed("squeeze", kReshaped, [](const Sampler& s) {
  return cases(s, {{{{}}, [](Operands x) { return squeeze(x[0]); }},
                   {{{2, 1, 3, 1}}, [](Operands x) { return squeeze(x[0]); }},
                   {{{2, 1, 3, 1}},
                    [](Operands x) {
                      return squeeze(x[0], {0, -1});
                    }},
                   {{{1, 0}}, [](Operands x) { return squeeze(x[0], 0); }}});
});
constexpr Op kUnsqueeze = composed("unsqueeze", kReshaped, [](const Sampler& s) {
  return cases(s, {{{{}}, [](Operands x) { return unsqueeze(x[0], 0); }},
                   {{{3}}, [](Operands x) { return unsqueeze(x[0], -1); }},
                   {{{2, 3, 2}}, [](Operands x) { return unsqueeze(x[0], 1); }},
                   {{{0, 3}}, [](Operands x) { return unsqueeze(x[0], -3); }}});
});
constexpr Op kFlatten = composed("flatten", kReshaped, [](const Sampler& s) {
  return cases(s, {{{{}}, [](Operands x) { return flatten(x[0]); }},
                   {{{2, 3}}, [](Operands x) { return flatten(x[0]); }},
                   {{{2, 3, 2, 2}}, [](Operands x) { return flatten(x[0], 1, -2); }},
                   {{{2, 0, 3}}, [](Operands x) { return flatten(x[0], 1); }}});
});
constexpr Op kUnflatten = composed("unflatten", kReshaped, [](const Sampler& s) {
  return cases(s, {{{{6}},
                    [](Operands x) {
                      return unflatten(x[0], 0, {2, 3});
                    }},
                   {{{2, 6}},
                    [](Operands x) {
                      return unflatten(x[0], -1, {3, -1});
                    }},
                   {{{2, 4, 3}},
                    [](Operands x) {
                      return unflatten(x[0], 1, {2, 1, 2});
                    }},
                   {{{4, 0}}, [](Operands x) {
                      return unflatten(x[0], 1, {2, 0});
                    }}});
});
constexpr Op kRavel = composed("ravel", kReshaped, [](const Sampler& s) {
  const auto call = [](Operands x) { return ravel(x[0]); };
  return cases(s, {{{{}}, call}, {{{3}}, call}, {{{2, 3, 1, 2}}, call}, {{{0, 3}}, call}});
});
constexpr Op kClone = composed("clone", {"y = x", "x̄ = ȳ"}, [](const Sampler& s) {
  const auto call = [](Operands x) { return clone(x[0]); };
  return cases(s, {{{{}}, call}, {{{3}}, call}, {{{2, 3, 1, 2}}, call}, {{{0, 3}}, call}});
});
constexpr Op kAtleast1d = composed("atleast_1d", kReshaped, [](const Sampler& s) {
  const auto call = [](Operands x) { return atleast_1d(x[0]) * 2; };
  return cases(s, {{{{}}, call}, {{{3}}, call}, {{{2, 3}}, call}, {{{0}}, call}});
});
constexpr Op kAtleast2d = composed("atleast_2d", kReshaped, [](const Sampler& s) {
  const auto call = [](Operands x) { return atleast_2d(x[0]) * 2; };
  return cases(s, {{{{}}, call}, {{{3}}, call}, {{{2, 3}}, call}, {{{0}}, call}});
});
constexpr Op kAtleast3d = composed("atleast_3d", kReshaped, [](const Sampler& s) {
  const auto call = [](Operands x) { return atleast_3d(x[0]) * 2; };
  return cases(s, {{{{}}, call}, {{{3}}, call}, {{{2, 3}}, call}, {{{2, 1, 3, 2}}, call}});
});

constexpr Text kRepeated{"y = x, repeated", "x̄ = Σ ȳ over the repeats"};
constexpr Op kExpand = composed("expand", kRepeated, [](const Sampler& s) {
  return cases(s, {{{{}},
                    [](Operands x) {
                      return expand(x[0], {2, 2});
                    }},
                   {{{3}},
                    [](Operands x) {
                      return expand(x[0], {2, -1});
                    }},
                   {{{2, 1, 1, 2}},
                    [](Operands x) {
                      return expand(x[0], {-1, 3, 2, -1});
                    }},
                   {{{0, 1}}, [](Operands x) {
                      return expand(x[0], {-1, 3});
                    }}});
});
constexpr Op kBroadcastTensors = composed("broadcast_tensors", kRepeated, [](const Sampler& s) {
  const auto call = [](Operands x) { return joined(broadcast_tensors({x.begin(), x.end()})); };
  return cases(s, {{{{}}, call},
                   {{{3}, {2, 1}}, call},
                   {{{}, {2, 1, 1}, {3, 1}, {2}}, call},
                   {{{0}, {2, 1}}, call}});
});
constexpr Op kSumToSize =
    composed("sum_to_size", {"y = Σ x over what broadcasting repeats", "x̄ = ȳ, repeated"},
             [](const Sampler& s) {
               return cases(s, {{{{}}, [](Operands x) { return sum_to_size(x[0], {}) * 2; }},
                                {{{2, 3}}, [](Operands x) { return sum_to_size(x[0], {3}); }},
                                {{{2, 3, 2, 2}},
                                 [](Operands x) {
                                   return sum_to_size(x[0], {3, 1, 2});
                                 }},
                                {{{0, 3}}, [](Operands x) {
                                   return sum_to_size(x[0], {1, 1});
                                 }}});
             });
constexpr Op kSumTo = [] {
  Op op = kSumToSize;
  op.name = "sum_to";
  return op;
}();

}  // namespace

namespace families {
Family axes() {
  return {&kSumTo,     &kPermute, &kSwapaxes,         &kMovedim,  &kMT,    &kT,         &kSqueeze,
          &kUnsqueeze, &kFlatten, &kUnflatten,        &kRavel,    &kClone, &kAtleast1d, &kAtleast2d,
          &kAtleast3d, &kExpand,  &kBroadcastTensors, &kSumToSize};
}
}  // namespace families

}  // namespace xtape
