#include <algorithm>
#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// Products that are matmul, einsum or elementwise ones with operands of certain ranks.
namespace xtape {
namespace {

using namespace rules;

std::string met(const Var& a, const Var& b) {
  return "shapes " + a.shape().str() + " and " + b.shape().str();
}

void check_ranks(const char* op, const Var& a, int rank_a, const Var& b, int rank_b) {
  if (a.rank() == rank_a && b.rank() == rank_b) return;
  throw ShapeError(op, met(a, b) + ": takes ranks " + std::to_string(rank_a) + " and " +
                           std::to_string(rank_b) + ", write matmul(a, b)");
}

void check_pair(const char* op, const Var& a, int axis_a, const Var& b, int axis_b) {
  const std::int64_t n = a.shape()[axis_a], m = b.shape()[axis_b];
  if (n == m) return;
  throw ShapeError(op, met(a, b) + ": axis " + std::to_string(axis_a) + " of the first and axis " +
                           std::to_string(axis_b) + " of the second must agree, " +
                           std::to_string(n) + " ≠ " + std::to_string(m));
}

void check_floating(const char* op, const std::vector<Var>& xs) {
  for (const Var& x : xs) {
    if (is_floating(x.dtype()) && x.dtype() == xs[0].dtype()) continue;
    throw DTypeError(op, std::string("operands ") + name(xs[0].dtype()) + xs[0].shape().str() +
                             " and " + name(x.dtype()) + x.shape().str() +
                             ": takes all f32 or all f64, write cast(x, f32)");
  }
}

void check_batches(const char* op, const Var& a, const Var& b) {
  check_ranks(op, a, 3, b, 3);
  check_pair(op, a, 0, b, 0);
  check_pair(op, a, 2, b, 1);
}

// c as an addend of a product of that shape.
void check_addend(const char* op, const Var& c, const Shape& product) {
  if (broadcast(op, c.shape(), product) == product) return;
  throw ShapeError(op, "c of shape " + c.shape().str() + " does not broadcast to the product's " +
                           product.str());
}

struct Weights {
  double beta, alpha;
};
// Products by whatever first touches a and b, which may be parameters.
template <class F>
Var weighted(const Var& c, const Var& a, const Var& b, const Weights& w, F product) {
  const std::vector<Var> x = beside_each_other({c, a, b});
  Var y = product(x[1], x[2]);
  if (w.alpha != 1) y = y * w.alpha;
  if (w.beta == 0) return y;
  return (w.beta == 1 ? x[0] : x[0] * w.beta) + y;
}

}  // namespace

Var dot(const Var& a, const Var& b) {
  check_ranks("dot", a, 1, b, 1);
  check_pair("dot", a, 0, b, 0);
  return matmul(a, b);
}

Var vdot(const Var& a, const Var& b) {
  check_ranks("vdot", a, 1, b, 1);
  check_pair("vdot", a, 0, b, 0);
  return matmul(a, b);
}

Var vecdot(const Var& a, const Var& b, std::int64_t axis) {
  check_floating("vecdot", {a, b});
  const Shape whole = broadcast("vecdot", a.shape(), b.shape());
  return sum(a * b, normalize_axis("vecdot", axis, whole));
}

Var inner(const Var& a, const Var& b) {
  check_floating("inner", {a, b});
  if (a.rank() == 0 || b.rank() == 0) return a * b;
  check_pair("inner", a, a.rank() - 1, b, b.rank() - 1);
  return tensordot(a, b, {-1}, {-1});
}

Var outer(const Var& a, const Var& b) {
  check_ranks("outer", a, 1, b, 1);
  check_floating("outer", {a, b});
  const Var column = reshape(beside(a, b), {a.size(), 1});
  return column * b;
}

Var mv(const Var& a, const Var& x) {
  check_ranks("mv", a, 2, x, 1);
  check_pair("mv", a, 1, x, 0);
  return matmul(a, x);
}

Var mm(const Var& a, const Var& b) {
  check_ranks("mm", a, 2, b, 2);
  check_pair("mm", a, 1, b, 0);
  return matmul(a, b);
}

Var bmm(const Var& a, const Var& b) {
  check_batches("bmm", a, b);
  return matmul(a, b);
}

Var addmm(const Var& c, const Var& a, const Var& b, double beta, double alpha) {
  check_ranks("addmm", a, 2, b, 2);
  check_pair("addmm", a, 1, b, 0);
  check_floating("addmm", {a, b, c});
  check_addend("addmm", c, {a.shape()[0], b.shape()[1]});
  return weighted(c, a, b, {beta, alpha}, [](const Var& x, const Var& y) { return matmul(x, y); });
}

Var addmv(const Var& c, const Var& a, const Var& x, double beta, double alpha) {
  check_ranks("addmv", a, 2, x, 1);
  check_pair("addmv", a, 1, x, 0);
  check_floating("addmv", {a, x, c});
  check_addend("addmv", c, {a.shape()[0]});
  return weighted(c, a, x, {beta, alpha}, [](const Var& m, const Var& v) { return matmul(m, v); });
}

Var addr(const Var& c, const Var& x, const Var& y, double beta, double alpha) {
  check_ranks("addr", x, 1, y, 1);
  check_floating("addr", {x, y, c});
  check_addend("addr", c, {x.size(), y.size()});
  return weighted(c, x, y, {beta, alpha}, outer);
}

Var addbmm(const Var& c, const Var& a, const Var& b, double beta, double alpha) {
  check_batches("addbmm", a, b);
  check_floating("addbmm", {a, b, c});
  check_addend("addbmm", c, {a.shape()[1], b.shape()[2]});
  return weighted(c, a, b, {beta, alpha}, [](const Var& x, const Var& y) {
    return tensordot(x, y, {0, 2}, {0, 1});
  });
}

Var baddbmm(const Var& c, const Var& a, const Var& b, double beta, double alpha) {
  check_batches("baddbmm", a, b);
  check_floating("baddbmm", {a, b, c});
  check_addend("baddbmm", c, {a.shape()[0], a.shape()[1], b.shape()[2]});
  return weighted(c, a, b, {beta, alpha}, [](const Var& x, const Var& y) { return matmul(x, y); });
}

// Axis i of both becomes two, of which a spans the outer and b the inner one. Above rank 4 these
// would be too many: there the elements of a are repeated and b is laid out in tiles.
Var kron(const Var& a, const Var& b) {
  const int rank = std::max(a.rank(), b.rank());
  const auto filled = [rank](const Shape& s) {
    Shape out;
    for (int i = s.rank(); i < rank; ++i) out.push_back(1);
    for (const std::int64_t n : s) out.push_back(n);
    return out;
  };
  const Shape sa = filled(a.shape()), sb = filled(b.shape());
  Var x = reshape(beside(a, b), sa), y = reshape(beside(b, a), sb);
  if (rank > kMaxRank / 2) {
    for (int i = 0; i < rank; ++i) x = repeat_interleave(x, sb[i], i);
    return x * tile(y, sa);
  }
  Shape wide_a, wide_b, out;
  for (int i = 0; i < rank; ++i) {
    wide_a.push_back(sa[i]), wide_a.push_back(1);
    wide_b.push_back(1), wide_b.push_back(sb[i]);
    out.push_back(sa[i] * sb[i]);
  }
  return reshape(reshape(x, wide_a) * reshape(y, wide_b), out);
}

// a × b = (a₁b₂ − a₂b₁, …): both turned around the axis, by one and by two.
Var cross(const Var& a, const Var& b, std::int64_t axis) {
  const Shape whole = broadcast("cross", a.shape(), b.shape());
  const std::int64_t back = normalize_axis("cross", axis, whole) - whole.rank();
  for (const Var* x : {&a, &b}) {
    if (x->rank() + back >= 0 && x->shape()[static_cast<int>(x->rank() + back)] == 3) continue;
    throw ShapeError("cross",
                     met(a, b) + ": both must have extent 3 on axis " + std::to_string(axis));
  }
  const Var x = beside(a, b), y = beside(b, a);
  const auto turned = [back](const Var& v, std::int64_t n) { return roll(v, {n}, back); };
  return turned(x, -1) * turned(y, -2) - turned(x, -2) * turned(y, -1);
}

namespace {

// Where the products of operands first … last are split, by the least multiply-adds.
struct Chain {
  explicit Chain(const std::vector<std::int64_t>& extents) : n(extents.size() - 1) {
    cost.assign(n * n, 0);
    split.assign(n * n, 0);
    for (std::size_t length = 1; length < n; ++length) {
      for (std::size_t i = 0; i + length < n; ++i) {
        const std::size_t k = i + length;
        cost[i * n + k] = std::numeric_limits<double>::infinity();
        for (std::size_t m = i; m < k; ++m) {
          const double c = cost[i * n + m] + cost[(m + 1) * n + k] +
                           static_cast<double>(extents[i]) * static_cast<double>(extents[m + 1]) *
                               static_cast<double>(extents[k + 1]);
          if (c < cost[i * n + k]) cost[i * n + k] = c, split[i * n + k] = m;
        }
      }
    }
  }
  Var product(const std::vector<Var>& xs, std::size_t i, std::size_t k) const {
    if (i == k) return xs[i];
    const std::size_t m = split[i * n + k];
    return matmul(product(xs, i, m), product(xs, m + 1, k));
  }

  std::size_t n;
  std::vector<double> cost;
  std::vector<std::size_t> split;
};

}  // namespace

Var multi_dot(const std::vector<Var>& xs) {
  if (xs.size() < 2) {
    throw ValueError("multi_dot", std::to_string(xs.size()) + " operands: takes two or more");
  }
  check_floating("multi_dot", xs);
  std::vector<std::int64_t> extents;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const Shape s = xs[i].shape();
    const bool outermost = i == 0 || i + 1 == xs.size();
    if (s.rank() != 2 && !(s.rank() == 1 && outermost)) {
      throw ShapeError("multi_dot", "operand " + std::to_string(i) + " of shape " + s.str() +
                                        ": takes matrices, and vectors first and last");
    }
    const bool row = s.rank() == 1 && i == 0;
    if (i == 0) extents.push_back(row ? 1 : s[0]);
    if (i > 0 && s[0] != extents.back()) {
      throw ShapeError("multi_dot",
                       met(xs[i - 1], xs[i]) + " of operands " + std::to_string(i - 1) + " and " +
                           std::to_string(i) + ": inner extents must agree, " +
                           std::to_string(extents.back()) + " ≠ " + std::to_string(s[0]));
    }
    extents.push_back(row ? s[0] : s.rank() == 1 ? 1 : s[1]);
  }
  return Chain(extents).product(beside_each_other(xs), 0, xs.size() - 1);
}

Var linear(const Var& x, const Var& weight, const Var& bias) {
  const int rank = weight.rank();
  if (x.rank() == 0 || (rank != 1 && rank != 2)) {
    throw ShapeError("linear", "x of shape " + x.shape().str() + ", weight of shape " +
                                   weight.shape().str() + ": takes (…, in) and (out, in) or (in,)");
  }
  check_pair("linear", x, x.rank() - 1, weight, rank - 1);
  const Var y = matmul(x, weight, {false, rank == 2});
  return bias.defined() ? y + bias : y;
}

Var bilinear(const Var& x, const Var& z, const Var& weight, const Var& bias) {
  const Shape sx = x.shape(), sz = z.shape();
  if (weight.rank() != 3 || sx.rank() == 0 || sx.rank() != sz.rank() ||
      !std::equal(sx.begin(), sx.end() - 1, sz.begin())) {
    throw ShapeError("bilinear", met(x, z) + ", weight of shape " + weight.shape().str() +
                                     ": takes (…, n), (…, m) and (out, n, m)");
  }
  check_pair("bilinear", x, sx.rank() - 1, weight, 1);
  check_pair("bilinear", z, sz.rank() - 1, weight, 2);
  const Var y = einsum("...i,oij,...j->...o", {x, weight, z});
  return bias.defined() ? y + bias : y;
}

namespace {

template <Var (*kF)(const Var&, const Var&)>
std::vector<Sample> pairs(const Sampler& s, const std::vector<std::pair<Shape, Shape>>& list) {
  std::vector<Case> out;
  for (const auto& [a, b] : list) {
    out.push_back({{a, b}, [](Operands x) { return kF(x[0], x[1]); }});
  }
  return cases(s, out);
}

constexpr Text kDotText{"y = Σ a[i] b[i]", "ā = ȳ b, b̄ = ȳ a"};
std::vector<std::pair<Shape, Shape>> vectors() {
  return {{{3}, {3}}, {{1}, {1}}, {{0}, {0}}, {{7}, {7}}};
}
constexpr Op kDot =
    composed("dot", kDotText, [](const Sampler& s) { return pairs<dot>(s, vectors()); });
constexpr Op kVdot =
    composed("vdot", kDotText, [](const Sampler& s) { return pairs<vdot>(s, vectors()); });
constexpr Op kVecdot = composed("vecdot", kDotText, [](const Sampler& s) {
  const auto last = [](Operands x) { return vecdot(x[0], x[1]); };
  return cases(s, {{{{3}, {3}}, last},
                   {{{2, 1, 3}, {2, 3}}, last},
                   {{{2, 3}, {2, 3}}, [](Operands x) { return vecdot(x[0], x[1], 0); }},
                   {{{2, 3}, {2, 1}}, [](Operands x) { return vecdot(x[0], x[1], -2); }},
                   {{{2, 0}, {2, 0}}, last}});
});
constexpr Op kInner =
    composed("inner", {"y = Σ a[…, k] b[…, k]", "ā = Σ ȳ b, b̄ = Σ ȳ a"}, [](const Sampler& s) {
      return pairs<inner>(
          s, {{{3}, {3}}, {{2, 3}, {3}}, {{2, 3}, {2, 2, 3}}, {{}, {2, 2}}, {{2, 0}, {0}}});
    });
constexpr Op kOuter =
    composed("outer", {"y[i, j] = a[i] b[j]", "ā = ȳ b, b̄ = ȳᵀ a"}, [](const Sampler& s) {
      return pairs<outer>(s, {{{2}, {3}}, {{1}, {1}}, {{0}, {3}}, {{4}, {2}}});
    });
constexpr Text kProduct{"y = a b", "ā = ȳ bᵀ, b̄ = aᵀ ȳ"};
constexpr Op kMv = composed("mv", kProduct, [](const Sampler& s) {
  return pairs<mv>(s, {{{2, 3}, {3}}, {{1, 1}, {1}}, {{0, 3}, {3}}, {{2, 0}, {0}}});
});
constexpr Op kMm = composed("mm", kProduct, [](const Sampler& s) {
  return pairs<mm>(s, {{{2, 3}, {3, 4}}, {{1, 1}, {1, 1}}, {{0, 3}, {3, 2}}, {{2, 0}, {0, 2}}});
});
constexpr Op kBmm = composed("bmm", kProduct, [](const Sampler& s) {
  return pairs<bmm>(s, {{{2, 2, 3}, {2, 3, 1}},
                        {{1, 1, 1}, {1, 1, 1}},
                        {{0, 2, 3}, {0, 3, 2}},
                        {{2, 2, 0}, {2, 0, 2}}});
});

using Weighted = Var (*)(const Var&, const Var&, const Var&, double, double);
template <Weighted kF>
std::vector<Sample> weighted_samples(const Sampler& s, const Shape& a, const Shape& b,
                                     const Shape& y, const Shape& empty_a, const Shape& empty_b) {
  const auto with = [](double beta, double alpha) {
    return [=](Operands x) { return kF(x[0], x[1], x[2], beta, alpha); };
  };
  Shape row(y.end() - 1, y.end());
  return cases(s, {{{y, a, b}, with(1, 1)},
                   {{row, a, b}, with(0.5, -2)},
                   {{{}, a, b}, with(-1, 1)},
                   {{y, a, b}, with(0, 0.5)},
                   {{{}, empty_a, empty_b}, with(1, 2)}});
}
constexpr Text kAddedProduct{"y = β c + α a b", "c̄ = β ȳ, ā = α ȳ bᵀ, b̄ = α aᵀ ȳ"};
constexpr Op kAddmm = composed("addmm", kAddedProduct, [](const Sampler& s) {
  return weighted_samples<addmm>(s, {2, 3}, {3, 2}, {2, 2}, {2, 0}, {0, 2});
});
constexpr Op kAddmv = composed("addmv", kAddedProduct, [](const Sampler& s) {
  return weighted_samples<addmv>(s, {2, 3}, {3}, {2}, {2, 0}, {0});
});
constexpr Op kAddr =
    composed("addr", {"y = β c + α a bᵀ", "c̄ = β ȳ, ā = α ȳ b, b̄ = α ȳᵀ a"}, [](const Sampler& s) {
      return weighted_samples<addr>(s, {2}, {3}, {2, 3}, {0}, {2});
    });
constexpr Op kAddbmm = composed(
    "addbmm", {"y = β c + α Σₙ a[n] b[n]", "c̄ = β ȳ, ā[n] = α ȳ b[n]ᵀ, b̄[n] = α a[n]ᵀ ȳ"},
    [](const Sampler& s) {
      return weighted_samples<addbmm>(s, {2, 2, 3}, {2, 3, 2}, {2, 2}, {0, 2, 3}, {0, 3, 2});
    });
constexpr Op kBaddbmm = composed("baddbmm", kAddedProduct, [](const Sampler& s) {
  return weighted_samples<baddbmm>(s, {2, 2, 3}, {2, 3, 2}, {2, 2, 2}, {2, 2, 0}, {2, 0, 2});
});

constexpr Op kKron = composed(
    "kron",
    {"y[i p + k, …] = a[i, …] b[k, …]", "ā[i] = Σ ȳ[i p + k] b[k], b̄[k] = Σ ȳ[i p + k] a[i]"},
    [](const Sampler& s) {
      return pairs<kron>(s, {{{2, 2}, {2, 3}},
                             {{}, {3}},
                             {{2}, {2, 1, 2}},
                             {{2, 1, 1, 2, 1}, {1, 2, 1, 2, 1}},
                             {{2, 0}, {1, 2}}});
    });
constexpr Op kCross =
    composed("cross", {"y = a × b", "ā = b × ȳ, b̄ = ȳ × a"}, [](const Sampler& s) {
      const auto last = [](Operands x) { return cross(x[0], x[1]); };
      return cases(s, {{{{3}, {3}}, last},
                       {{{2, 3}, {3}}, last},
                       {{{3, 2}, {3, 1}}, [](Operands x) { return cross(x[0], x[1], 0); }},
                       {{{0, 3}, {3}}, last}});
    });
constexpr Op kMultiDot =
    composed("multi_dot", {"y = x₀ x₁ ⋯", "x̄ᵢ = (x₀ ⋯ xᵢ₋₁)ᵀ ȳ (xᵢ₊₁ ⋯)ᵀ"}, [](const Sampler& s) {
      const auto f = [](Operands x) { return multi_dot(std::vector<Var>(x.begin(), x.end())); };
      return cases(s, {{{{2, 3}, {3, 2}}, f},
                       {{{2}, {2, 3}, {3}}, f},
                       {{{3}, {3, 2}, {2, 2}, {2, 3}}, f},
                       {{{3, 1}, {1, 3}, {3, 2}, {2}}, f},
                       {{{2, 0}, {0, 3}, {3, 2}}, f}});
    });

constexpr Op kLinear =
    composed("linear", {"y = x Wᵀ + b", "x̄ = ȳ W, W̄ = ȳᵀ x, b̄ = Σ ȳ"}, [](const Sampler& s) {
      const auto with = [](Operands x) { return linear(x[0], x[1], x[2]); };
      const auto without = [](Operands x) { return linear(x[0], x[1]); };
      return cases(s, {{{{2, 3}, {4, 3}, {4}}, with},
                       {{{2, 2, 3}, {2, 3}}, without},
                       {{{3}, {2, 3}, {2}}, with},
                       {{{2, 3}, {3}, {}}, with},
                       {{{0, 3}, {2, 3}, {2}}, with}});
    });
constexpr Op kBilinear = composed(
    "bilinear", {"y[o] = Σ x[i] W[o, i, j] z[j] + b[o]", "x̄ = Σ ȳ W z, z̄ = Σ ȳ W x, W̄ = ȳ x z"},
    [](const Sampler& s) {
      const auto with = [](Operands x) { return bilinear(x[0], x[1], x[2], x[3]); };
      const auto without = [](Operands x) { return bilinear(x[0], x[1], x[2]); };
      return cases(s, {{{{2, 3}, {2, 2}, {2, 3, 2}, {2}}, with},
                       {{{3}, {2}, {2, 3, 2}}, without},
                       {{{2, 1, 2}, {2, 1, 2}, {1, 2, 2}, {1}}, with},
                       {{{0, 3}, {0, 2}, {2, 3, 2}, {2}}, with}});
    });

}  // namespace

namespace families {
Family products() {
  return {&kDot,   &kVdot, &kVecdot, &kInner,   &kOuter, &kMv,    &kMm,       &kBmm,    &kAddmm,
          &kAddmv, &kAddr, &kAddbmm, &kBaddbmm, &kKron,  &kCross, &kMultiDot, &kLinear, &kBilinear};
}
}  // namespace families

}  // namespace xtape
