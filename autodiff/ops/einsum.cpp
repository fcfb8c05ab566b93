#include <algorithm>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/contraction.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using contraction::Equation;
using contraction::Indices;
using contraction::Term;

void check_floating(const char* op, const std::vector<Var>& xs) {
  for (std::size_t k = 0; k < xs.size(); ++k) {
    if (is_floating(xs[k].dtype()) && xs[k].dtype() == xs[0].dtype()) continue;
    throw DTypeError(op, "operand " + std::to_string(k) + " is " + name(xs[k].dtype()) +
                             xs[k].shape().str() + ", operand 0 " + name(xs[0].dtype()) +
                             ": takes all f32 or all f64, write cast(x, f32)");
  }
}

// Without axes of extent 1, the diagonal of indices that stand twice, the sum over those that are
// not in `keep`.
Term prepared(const Var& x, const Indices& indices, const Indices& keep) {
  Term t;
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] == 1) continue;
    shape.push_back(x.shape()[i]);
    t.indices += indices[static_cast<std::size_t>(i)];
  }
  t.x = shape == x.shape() ? x : reshape(x, shape);
  for (std::size_t i = 0; i < t.indices.size();) {
    const char c = t.indices[i];
    const std::size_t twin = t.indices.find(c, i + 1);
    if (twin == Indices::npos) {
      ++i;
      continue;
    }
    t.x = diagonal(t.x, 0, static_cast<std::int64_t>(i), static_cast<std::int64_t>(twin));
    t.indices.erase(twin, 1);
    t.indices.erase(i, 1);
    t.indices += c;
  }
  Axes summed;
  Indices left;
  for (std::size_t i = 0; i < t.indices.size(); ++i) {
    if (contraction::has(keep, t.indices[i])) {
      left += t.indices[i];
    } else {
      summed.push_back(static_cast<std::int64_t>(i));
    }
  }
  if (!summed.empty()) t.x = sum(t.x, summed);
  t.indices = left;
  return t;
}

std::vector<Shape> shapes_of(const std::vector<Var>& xs) {
  std::vector<Shape> out;
  for (const Var& x : xs) out.push_back(x.shape());
  return out;
}

// The result without its axes of extent 1.
Indices without_ones(const Equation& e) {
  Indices out;
  for (const char c : e.out) {
    if (e.extent[static_cast<unsigned char>(c)] != 1) out += c;
  }
  return out;
}

Var finished(const Term& t, const Equation& e) {
  Axes perm;
  Shape shape;
  for (const char c : without_ones(e)) {
    perm.push_back(static_cast<std::int64_t>(t.indices.find(c)));
  }
  for (const char c : e.out) shape.push_back(e.extent[static_cast<unsigned char>(c)]);
  const Var y = t.indices == without_ones(e) ? t.x : transpose(t.x, perm);
  return y.shape() == shape ? y : reshape(y, shape);
}

}  // namespace

Var einsum(std::string_view equation, const std::vector<Var>& operands) {
  const std::vector<Shape> shapes = shapes_of(operands);
  const Equation e = contraction::parse(equation, shapes);
  check_floating("einsum", operands);
  const std::vector<Indices> in = contraction::multiplied(e, shapes);
  const Indices out = without_ones(e);
  const contraction::Plan plan = contraction::plan(e.text, in, out, e.extent);
  const std::vector<Var> xs = beside_each_other(operands);
  std::vector<Term> terms;
  for (std::size_t k = 0; k < xs.size(); ++k) terms.push_back(prepared(xs[k], e.in[k], in[k]));
  for (const contraction::Step& s : plan.steps) {
    const bool last = &s == &plan.steps.back();
    terms.push_back(
        contraction::contract(terms[s.a], terms[s.b], s.keep, last ? out : Indices(), e.extent));
  }
  return finished(terms.back(), e);
}

EinsumPath einsum_path(std::string_view equation, const std::vector<Shape>& shapes) {
  const Equation e = contraction::parse(equation, shapes);
  std::vector<Indices> parts = contraction::multiplied(e, shapes);
  const Indices out = without_ones(e);
  const contraction::Plan plan = contraction::plan(e.text, parts, out, e.extent);
  EinsumPath path;
  path.cost = plan.cost;
  const auto say = [&](const std::string& step) {
    path.text += (path.text.empty() ? "" : "; ") + step;
  };
  for (std::size_t k = 0; k < parts.size(); ++k) {
    Indices whole;
    for (std::size_t i = 0; i < e.in[k].size(); ++i) {
      if (shapes[k][static_cast<int>(i)] != 1) whole += e.in[k][i];
    }
    if (whole != parts[k]) say(whole + "->" + parts[k]);
  }
  for (const contraction::Step& s : plan.steps) {
    const bool last = &s == &plan.steps.back();
    parts.push_back(last ? out : s.keep);
    say(parts[s.a] + "," + parts[s.b] + "->" + parts.back());
  }
  return path;
}

Var tensordot(const Var& a, const Var& b, const std::vector<std::int64_t>& axes_a,
              const std::vector<std::int64_t>& axes_b) {
  const Shape sa = a.shape(), sb = b.shape();
  const std::string met = "shapes " + sa.str() + " and " + sb.str();
  if (axes_a.size() != axes_b.size()) {
    throw ShapeError("tensordot", met + ", " + std::to_string(axes_a.size()) + " and " +
                                      std::to_string(axes_b.size()) +
                                      " axes: give one of b for each of a");
  }
  check_floating("tensordot", {a, b});
  contraction::Extents extent{};
  Indices in_a, in_b, keep;
  for (int i = 0; i < sa.rank(); ++i) in_a += static_cast<char>('a' + i);
  for (int i = 0; i < sb.rank(); ++i) in_b += static_cast<char>('A' + i);
  for (std::size_t i = 0; i < axes_a.size(); ++i) {
    const int p = normalize_axis("tensordot", axes_a[i], sa);
    const int q = normalize_axis("tensordot", axes_b[i], sb);
    char& index = in_b[static_cast<std::size_t>(q)];
    const char partner = in_a[static_cast<std::size_t>(p)];
    if (index >= 'a' || contraction::has(in_b, partner)) {
      throw ShapeError("tensordot", met + ": an axis stands twice in its list");
    }
    if (sa[p] != sb[q]) {
      throw ShapeError("tensordot", met + ": axis " + std::to_string(p) + " of a and axis " +
                                        std::to_string(q) + " of b must have one extent, " +
                                        std::to_string(sa[p]) + " ≠ " + std::to_string(sb[q]));
    }
    index = partner;
  }
  for (const char c : in_a) {
    if (!contraction::has(in_b, c)) keep += c;
  }
  for (const char c : in_b) {
    if (c < 'a') keep += c;
  }
  if (keep.size() > static_cast<std::size_t>(kMaxRank)) {
    throw ShapeError("tensordot", met + ": a result of " + std::to_string(keep.size()) +
                                      " axes, there are at most " + std::to_string(kMaxRank));
  }
  for (int i = 0; i < sa.rank(); ++i) extent[static_cast<std::size_t>('a' + i)] = sa[i];
  for (int i = 0; i < sb.rank(); ++i) extent[static_cast<std::size_t>('A' + i)] = sb[i];
  const std::vector<Var> xs = beside_each_other({a, b});
  const Term y = contraction::contract({xs[0], in_a}, {xs[1], in_b}, keep, keep, extent);
  Axes perm;
  for (const char c : keep) perm.push_back(static_cast<std::int64_t>(y.indices.find(c)));
  return y.indices == keep ? y.x : transpose(y.x, perm);
}

Var tensordot(const Var& a, const Var& b, std::int64_t n) {
  if (n < 0) throw ValueError("tensordot", std::to_string(n) + " axes: give 0 or more");
  if (n > a.rank() || n > b.rank()) {
    throw ShapeError("tensordot", "shapes " + a.shape().str() + " and " + b.shape().str() +
                                      " have no " + std::to_string(n) + " axes to sum over");
  }
  std::vector<std::int64_t> last, first;
  for (std::int64_t i = 0; i < n; ++i) {
    last.push_back(i - n);
    first.push_back(i);
  }
  return tensordot(a, b, last, first);
}

namespace {

std::vector<Sample> einsum_samples(const Sampler& s) {
  const std::vector<std::pair<std::string, std::vector<Shape>>> list = {
      {"ij,jk->ik", {{2, 3}, {3, 2}}},
      {"ij,kj", {{2, 3}, {2, 3}}},
      {"ji,kj->ki", {{3, 2}, {2, 3}}},
      {"bij,bjk->bik", {{2, 2, 3}, {2, 3, 2}}},
      {"bij,jk->bik", {{2, 2, 3}, {3, 2}}},
      {"oc,bchw->bohw", {{2, 3}, {2, 3, 2, 1}}},
      {"...ij,...jk->...ik", {{2, 1, 2, 3}, {2, 3, 2}}},
      {"...i , i -> ...", {{2, 2, 3}, {3}}},
      {"i,i", {{3}, {3}}},
      {"bi,bi->b", {{2, 3}, {2, 3}}},
      {"i,j,k->kij", {{2}, {2}, {3}}},
      {"ii", {{3, 3}}},
      {"iji->j", {{2, 3, 2}}},
      {"ijk->kj", {{2, 3, 2}}},
      {"ij->ij", {{2, 2}}},
      {"iij,jk,l->ik", {{2, 2, 3}, {3, 2}, {2}}},
      {"ab,bc,cd->da", {{2, 3}, {3, 2}, {2, 2}}},
      {"ij,jk->ik", {{2, 1}, {3, 2}}},
      {",ij", {{}, {2, 2}}},
      {"ij,jk->ik", {{2, 0}, {0, 3}}},
      {"ij,jk->ik", {{0, 2}, {2, 3}}}};
  std::vector<Sample> out;
  for (const auto& entry : list) {
    Sample sample{entry.first, {}, [equation = entry.first](std::span<const Var> in) {
                    return einsum(equation, std::vector<Var>(in.begin(), in.end()));
                  }};
    for (const Shape& shape : entry.second) {
      sample.label += " " + shape.str();
      sample.inputs.push_back(s.draw(shape));
    }
    out.push_back(std::move(sample));
  }
  return out;
}

constexpr Op kEinsum = composed("einsum",
                                {"y = Σ a b ⋯ over the indices that are not in the result",
                                 "ā = Σ ȳ b ⋯ over those that are not in a"},
                                einsum_samples);
constexpr Op kTensordot = composed(
    "tensordot", {"y = Σ a b over pairs of axes", "ā = Σ ȳ b, b̄ = Σ a ȳ over the other axes"},
    [](const Sampler& s) {
      return cases(s, {{{{2, 3}, {3, 2}}, [](Operands x) { return tensordot(x[0], x[1], 1); }},
                       {{{2, 2, 3}, {2, 3, 2}}, [](Operands x) { return tensordot(x[0], x[1]); }},
                       {{{2, 3}, {2}}, [](Operands x) { return tensordot(x[0], x[1], 0); }},
                       {{{2, 2, 3}, {3, 1, 2}},
                        [](Operands x) {
                          return tensordot(x[0], x[1], {-1, 0}, {0, 2});
                        }},
                       {{{}, {2}}, [](Operands x) { return tensordot(x[0], x[1], 0); }},
                       {{{2, 0}, {0, 3}}, [](Operands x) { return tensordot(x[0], x[1], 1); }}});
    });

}  // namespace

namespace families {
Family einsum() { return {&kEinsum, &kTensordot}; }
}  // namespace families

}  // namespace xtape
