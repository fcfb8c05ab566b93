#include <algorithm>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// Parts put together, parts taken, and parts repeated.
namespace xtape {
namespace {

using namespace rules;

std::vector<Var> each(const std::vector<Var>& xs, Var (*f)(const Var&)) {
  std::vector<Var> out;
  for (const Var& x : beside_each_other(xs)) out.push_back(f(x));
  return out;
}

void check_count(const char* op, std::int64_t n, const char* what, std::int64_t least) {
  if (n >= least) return;
  throw ValueError(op, std::string(what) + " " + std::to_string(n) + ": must be at least " +
                           std::to_string(least));
}

Var column(const Var& x) { return x.rank() < 2 ? reshape(x, {x.size(), 1}) : x; }

}  // namespace

Var hstack(const std::vector<Var>& xs) {
  const std::vector<Var> parts = each(xs, atleast_1d);
  return concat(parts, !parts.empty() && parts[0].rank() > 1 ? 1 : 0);
}
Var vstack(const std::vector<Var>& xs) { return concat(each(xs, atleast_2d), 0); }
Var dstack(const std::vector<Var>& xs) { return concat(each(xs, atleast_3d), 2); }
Var column_stack(const std::vector<Var>& xs) { return concat(each(xs, column), 1); }

Var block_diag(const std::vector<Var>& xs) {
  const std::vector<Var> parts = each(xs, atleast_2d);
  std::int64_t width = 0, left = 0;
  for (const Var& x : parts) {
    if (x.rank() > 2) {
      throw ShapeError("block_diag", "shape " + x.shape().str() + ": takes rank 2 or less");
    }
    width += x.shape()[1];
  }
  std::vector<Var> rows;
  for (const Var& x : parts) {
    const std::int64_t n = x.shape()[1];
    rows.push_back(unslice(x, {x.shape()[0], width}, {{}, {left, left + n}}));
    left += n;
  }
  return concat(rows, 0);
}

std::vector<Var> split(const Var& x, const std::vector<std::int64_t>& sizes, std::int64_t axis) {
  const int at = normalize_axis("split", axis, x.shape());
  std::int64_t total = 0;
  for (const std::int64_t n : sizes) {
    check_count("split", n, "part of size", 0);
    total += n;
  }
  if (total != x.shape()[at]) {
    throw ValueError("split", "parts of " + std::to_string(total) + " positions in all, of " +
                                  x.shape().str() + " along axis " + std::to_string(at) +
                                  ": sizes must add up to its extent");
  }
  std::vector<Var> out;
  std::int64_t begin = 0;
  for (const std::int64_t n : sizes) {
    out.push_back(slice(x, at, {begin, begin + n}));
    begin += n;
  }
  return out;
}

std::vector<Var> split(const Var& x, std::int64_t size, std::int64_t axis) {
  const std::int64_t n = x.shape()[normalize_axis("split", axis, x.shape())];
  check_count("split", size, "size", 1);
  std::vector<std::int64_t> sizes;
  for (std::int64_t at = 0; at < n; at += size) sizes.push_back(std::min(size, n - at));
  if (n == 0) sizes.push_back(0);
  return split(x, sizes, axis);
}

std::vector<Var> chunk(const Var& x, std::int64_t n, std::int64_t axis) {
  const std::int64_t extent = x.shape()[normalize_axis("chunk", axis, x.shape())];
  check_count("chunk", n, "parts", 1);
  if (extent == 0) return split(x, std::vector<std::int64_t>(static_cast<std::size_t>(n)), axis);
  return split(x, (extent + n - 1) / n, axis);
}

std::vector<Var> tensor_split(const Var& x, std::int64_t n, std::int64_t axis) {
  const std::int64_t extent = x.shape()[normalize_axis("tensor_split", axis, x.shape())];
  check_count("tensor_split", n, "parts", 1);
  std::vector<std::int64_t> sizes;
  for (std::int64_t i = 0; i < n; ++i) sizes.push_back(extent / n + (i < extent % n));
  return split(x, sizes, axis);
}

std::vector<Var> tensor_split(const Var& x, const std::vector<std::int64_t>& positions,
                              std::int64_t axis) {
  const int at = normalize_axis("tensor_split", axis, x.shape());
  std::vector<Var> out;
  std::int64_t begin = 0;
  for (const std::int64_t end : positions) {
    out.push_back(slice(x, at, {begin, end}));
    begin = end;
  }
  out.push_back(slice(x, at, {begin}));
  return out;
}

Var select(const Var& x, std::int64_t axis, std::int64_t position) {
  const int at = normalize_axis("select", axis, x.shape());
  const std::int64_t n = x.shape()[at];
  if (position < -n || position >= n) {
    throw ValueError("select", "position " + std::to_string(position) + " of axis " +
                                   std::to_string(at) + " of " + x.shape().str() +
                                   ": must be in [" + std::to_string(-n) + ", " +
                                   std::to_string(n) + ")");
  }
  const std::int64_t k = position < 0 ? position + n : position;
  return squeeze(slice(x, at, {k, k + 1}), at);
}

std::vector<Var> unbind(const Var& x, std::int64_t axis) {
  const std::int64_t n = x.shape()[normalize_axis("unbind", axis, x.shape())];
  std::vector<Var> out;
  for (std::int64_t k = 0; k < n; ++k) out.push_back(select(x, axis, k));
  return out;
}

Var narrow(const Var& x, std::int64_t axis, std::int64_t start, std::int64_t length) {
  const int at = normalize_axis("narrow", axis, x.shape());
  const std::int64_t n = x.shape()[at], begin = start < 0 ? start + n : start;
  if (begin < 0 || length < 0 || length > n || begin > n - length) {
    throw ValueError("narrow", std::to_string(length) + " positions from " + std::to_string(start) +
                                   " of axis " + std::to_string(at) + " of " + x.shape().str() +
                                   ": must lie inside");
  }
  return slice(x, at, {begin, begin + length});
}

std::vector<Var> meshgrid(const std::vector<Var>& xs, bool xy) {
  if (xs.empty()) throw ShapeError("meshgrid", "no operands: there is nothing to span");
  const int rank = static_cast<int>(xs.size());
  const auto axis_of = [&](int i) { return xy && rank > 1 && i < 2 ? 1 - i : i; };
  Shape grid;
  for (int i = 0; i < rank; ++i) grid.push_back(1);
  for (int i = 0; i < rank; ++i) {
    const Var& x = xs[static_cast<std::size_t>(i)];
    if (x.rank() > 1) {
      throw ShapeError("meshgrid", "shape " + x.shape().str() + ": takes vectors and numbers");
    }
    grid[axis_of(i)] = x.size();
  }
  std::vector<Var> out;
  const std::vector<Var> parts = beside_each_other(xs);
  for (int i = 0; i < rank; ++i) {
    Shape own = grid;
    for (int k = 0; k < rank; ++k) own[k] = k == axis_of(i) ? grid[k] : 1;
    out.push_back(broadcast_to(reshape(parts[static_cast<std::size_t>(i)], own), grid));
  }
  return out;
}

Var tile(const Var& x, const Shape& repeats) {
  const int rank = std::max(x.rank(), repeats.rank());
  Var y = x;
  for (int i = 0; i < rank; ++i) {
    const int r = i - (rank - repeats.rank());
    const std::int64_t n = r < 0 ? 1 : repeats[r];
    check_count("tile", n, "repeats", 0);
    if (y.rank() < rank)
      y = reshape(y, [&] {
        Shape whole;
        for (int k = 0; k < rank; ++k)
          whole.push_back(k < rank - x.rank() ? 1 : x.shape()[k - rank + x.rank()]);
        return whole;
      }());
    if (n == 1) continue;
    Shape wide, shape = y.shape();
    std::int64_t outer = 1, rest = 1;
    for (int k = 0; k < i; ++k) outer *= shape[k];
    for (int k = i; k < rank; ++k) rest *= shape[k];
    wide = {outer, n, rest};
    shape[i] *= n;
    y = reshape(broadcast_to(reshape(y, {outer, 1, rest}), wide), shape);
  }
  return rank == 0 || y.shape() == x.shape() ? clone(y) : y;
}

Var repeat_interleave(const Var& x, std::int64_t n, std::int64_t axis) {
  const int at = normalize_axis("repeat_interleave", axis, x.shape());
  check_count("repeat_interleave", n, "repeats", 0);
  Shape shape = x.shape();
  std::int64_t outer = 1, rest = 1;
  for (int k = 0; k <= at; ++k) outer *= shape[k];
  for (int k = at + 1; k < x.rank(); ++k) rest *= shape[k];
  shape[at] *= n;
  return reshape(broadcast_to(reshape(x, {outer, 1, rest}), {outer, n, rest}), shape);
}

Var repeat_interleave(const Var& x, const std::vector<std::int64_t>& repeats, std::int64_t axis) {
  const int at = normalize_axis("repeat_interleave", axis, x.shape());
  if (static_cast<std::int64_t>(repeats.size()) != x.shape()[at]) {
    throw ValueError("repeat_interleave", std::to_string(repeats.size()) + " repeats for axis " +
                                              std::to_string(at) + " of " + x.shape().str() +
                                              ": there must be one for each position");
  }
  std::vector<std::int64_t> table;
  for (std::size_t k = 0; k < repeats.size(); ++k) {
    check_count("repeat_interleave", repeats[k], "repeats", 0);
    table.insert(table.end(), static_cast<std::size_t>(repeats[k]), static_cast<std::int64_t>(k));
  }
  return index_select(x, at, Tensor::from(table));
}

namespace {

using List = std::vector<Var>;
List list(Operands x) { return {x.begin(), x.end()}; }

constexpr Text kJoined{"y = x₀, x₁, … joined", "x̄ᵢ = the part of ȳ that came from xᵢ"};
constexpr Op kStack = composed("stack", kJoined, [](const Sampler& s) {
  return cases(s, {{{{}, {}},
                    [](Operands x) {
                      return stack({x[0], x[1]});
                    }},
                   {{{2, 3}, {2, 3}},
                    [](Operands x) {
                      return stack({x[0], x[1]}, 1);
                    }},
                   {{{2}, {2}, {2}},
                    [](Operands x) {
                      return stack({x[0], x[1], x[2]}, -1);
                    }},
                   {{{0, 2}, {0, 2}}, [](Operands x) {
                      return stack({x[0], x[1]});
                    }}});
});
constexpr Op kHstack = composed("hstack", kJoined, [](const Sampler& s) {
  const auto f = [](Operands x) { return hstack(list(x)); };
  return cases(s, {{{{}, {}}, f}, {{{2}, {3}}, f}, {{{2, 1}, {2, 3}}, f}, {{{0, 3}, {0, 2}}, f}});
});
constexpr Op kVstack = composed("vstack", kJoined, [](const Sampler& s) {
  const auto f = [](Operands x) { return vstack(list(x)); };
  return cases(s, {{{{}, {}}, f}, {{{3}, {2, 3}}, f}, {{{2, 1, 2}, {1, 1, 2}}, f}, {{{0, 3}}, f}});
});
constexpr Op kDstack = composed("dstack", kJoined, [](const Sampler& s) {
  const auto f = [](Operands x) { return dstack(list(x)); };
  return cases(
      s, {{{{}, {}}, f}, {{{3}, {1, 3}}, f}, {{{2, 1, 2}, {2, 1}}, f}, {{{0, 3}, {0, 3}}, f}});
});
constexpr Op kColumnStack = composed("column_stack", kJoined, [](const Sampler& s) {
  const auto f = [](Operands x) { return column_stack(list(x)); };
  return cases(
      s, {{{{}, {}}, f}, {{{3}, {3, 2}}, f}, {{{2, 1, 2}, {2, 2, 2}}, f}, {{{0}, {0, 3}}, f}});
});
constexpr Op kBlockDiag = composed(
    "block_diag", {"y = x₀, x₁, … along the diagonal, 0 elsewhere", "x̄ᵢ = its block of ȳ"},
    [](const Sampler& s) {
      const auto f = [](Operands x) { return block_diag(list(x)); };
      return cases(
          s, {{{{}}, f}, {{{2, 3}, {1, 2}}, f}, {{{2}, {}, {3, 1}}, f}, {{{0, 2}, {2, 2}}, f}});
    });

constexpr Text kParted{"y₀, y₁, … = parts of x", "x̄ = ȳ₀, ȳ₁, … in their places"};
constexpr Op kSplit = composed("split", kParted, [](const Sampler& s) {
  return cases(s, {{{{5}}, [](Operands x) { return joined(split(x[0], 2)); }},
                   {{{2, 4}},
                    [](Operands x) {
                      return joined(split(x[0], {1, 0, 3}, -1));
                    }},
                   {{{2, 3, 1, 2}}, [](Operands x) { return split(x[0], 2, 1)[1]; }},
                   {{{0, 2}}, [](Operands x) { return joined(split(x[0], 3)); }}});
});
constexpr Op kChunk = composed("chunk", kParted, [](const Sampler& s) {
  return cases(s, {{{{5}}, [](Operands x) { return joined(chunk(x[0], 2)); }},
                   {{{2, 4}}, [](Operands x) { return chunk(x[0], 3, -1)[1]; }},
                   {{{2, 3, 1, 2}}, [](Operands x) { return chunk(x[0], 2, 1)[1]; }},
                   {{{0, 2}}, [](Operands x) { return joined(chunk(x[0], 3)); }}});
});
constexpr Op kTensorSplit = composed("tensor_split", kParted, [](const Sampler& s) {
  return cases(s, {{{{5}}, [](Operands x) { return joined(tensor_split(x[0], 3)); }},
                   {{{2, 4}},
                    [](Operands x) {
                      return joined(tensor_split(x[0], {1, 3}, -1));
                    }},
                   {{{2, 3, 1, 2}},
                    [](Operands x) {
                      return tensor_split(x[0], {2, -1}, 1)[0];
                    }},
                   {{{0, 2}}, [](Operands x) { return joined(tensor_split(x[0], 2)); }}});
});
constexpr Op kUnbind = composed("unbind", kParted, [](const Sampler& s) {
  return cases(s, {{{{3}}, [](Operands x) { return joined(unbind(x[0])); }},
                   {{{2, 3}}, [](Operands x) { return unbind(x[0], -1)[1]; }},
                   {{{2, 3, 1, 2}}, [](Operands x) { return joined(unbind(x[0], 1)); }},
                   {{{2, 0}}, [](Operands x) { return joined(unbind(x[0])); }}});
});

constexpr Text kPart{"y = part of x", "x̄ = ȳ in its place, 0 elsewhere"};
constexpr Op kNarrow = composed("narrow", kPart, [](const Sampler& s) {
  return cases(s, {{{{5}}, [](Operands x) { return narrow(x[0], 0, 1, 3); }},
                   {{{2, 4}}, [](Operands x) { return narrow(x[0], -1, -3, 2); }},
                   {{{2, 3, 1, 2}}, [](Operands x) { return narrow(x[0], 1, 0, 2); }},
                   {{{2, 3}}, [](Operands x) { return narrow(x[0], 1, 3, 0); }}});
});
constexpr Op kSelect = composed("select", kPart, [](const Sampler& s) {
  return cases(s, {{{{5}}, [](Operands x) { return select(x[0], 0, 1); }},
                   {{{2, 4}}, [](Operands x) { return select(x[0], -1, -3); }},
                   {{{2, 3, 1, 2}}, [](Operands x) { return select(x[0], 1, 2); }},
                   {{{2, 0}}, [](Operands x) { return select(x[0], 0, 1); }}});
});

constexpr Text kRepeats{"y = x, repeated", "x̄ = Σ ȳ over the repeats"};
constexpr Op kMeshgrid = composed("meshgrid", kRepeats, [](const Sampler& s) {
  return cases(s, {{{{3}}, [](Operands x) { return joined(meshgrid(list(x))); }},
                   {{{2}, {}, {3}}, [](Operands x) { return joined(meshgrid(list(x))); }},
                   {{{2}, {3}}, [](Operands x) { return meshgrid(list(x), true)[0]; }},
                   {{{2}, {0}}, [](Operands x) { return joined(meshgrid(list(x), true)); }}});
});
constexpr Op kTile = composed("tile", kRepeats, [](const Sampler& s) {
  return cases(s, {{{{}}, [](Operands x) { return tile(x[0], {}); }},
                   {{{3}},
                    [](Operands x) {
                      return tile(x[0], {2, 2});
                    }},
                   {{{2, 1, 2, 3}},
                    [](Operands x) {
                      return tile(x[0], {2, 1, 3});
                    }},
                   {{{2, 3}},
                    [](Operands x) {
                      return tile(x[0], {0, 2});
                    }},
                   {{{0, 3}}, [](Operands x) {
                      return tile(x[0], {2, 2});
                    }}});
});
constexpr Op kRepeatInterleave = composed("repeat_interleave", kRepeats, [](const Sampler& s) {
  return cases(s, {{{{3}}, [](Operands x) { return repeat_interleave(x[0], 2); }},
                   {{{2, 3}},
                    [](Operands x) {
                      return repeat_interleave(x[0], {2, 0, 1}, -1);
                    }},
                   {{{2, 2, 1, 2}}, [](Operands x) { return repeat_interleave(x[0], 3, 1); }},
                   {{{0, 3}}, [](Operands x) { return repeat_interleave(x[0], 2, 1); }}});
});

}  // namespace

namespace families {
Family joining() {
  return {&kStack,     &kHstack, &kVstack,   &kDstack,      &kColumnStack,
          &kBlockDiag, &kSplit,  &kChunk,    &kTensorSplit, &kUnbind,
          &kNarrow,    &kSelect, &kMeshgrid, &kTile,        &kRepeatInterleave};
}
}  // namespace families

}  // namespace xtape
