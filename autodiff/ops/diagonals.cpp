#include <algorithm>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// Triangles and diagonals. A diagonal of an (n, m) matrix is a slice of its n·m elements with step
// m + 1, so that its gradient is that of slice().
namespace xtape {
namespace {

using namespace rules;

// Where 1 stands in tril (or, with `upper`, triu) of ones; made once, when the function is called.
Tensor triangle(const char* op, const Shape& shape, std::int64_t k, bool upper) {
  const int rank = shape.rank();
  if (rank < 2) {
    throw ShapeError(op, "shape " + shape.str() + ": takes matrices, of rank 2 or more");
  }
  const std::int64_t n = shape[rank - 2], m = shape[rank - 1];
  Tensor mask = Tensor::empty({n, m}, boolean);
  auto* out = static_cast<bool*>(mask.raw());
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < m; ++j) *out++ = upper ? j - i >= k : j - i <= k;
  }
  return mask;
}

struct Diagonal {
  Axes pair;       // the row and the column axis
  Shape flat;      // of x with that pair as one axis, the last
  Slice elements;  // of that axis
  Diagonal(const char* op, const Shape& shape, std::int64_t k, std::int64_t row,
           std::int64_t column) {
    const int r = normalize_axis(op, row, shape), c = normalize_axis(op, column, shape);
    pair = {r, c};
    normalize_axes(op, pair, shape);
    for (int i = 0; i < shape.rank(); ++i) {
      if (i != r && i != c) flat.push_back(shape[i]);
    }
    const std::int64_t n = shape[r], m = shape[c];
    const std::int64_t length = k >= 0 ? std::min(n, m - k) : std::min(n + k, m);
    flat.push_back(n * m);
    if (length <= 0) {
      elements = {0, 0};
    } else {
      const std::int64_t first = k >= 0 ? k : -k * m;
      elements = {first, first + (length - 1) * (m + 1) + 1, m + 1};
    }
  }
  std::vector<Slice> slices() const {
    std::vector<Slice> all(static_cast<std::size_t>(flat.rank()));
    all.back() = elements;
    return all;
  }
};

}  // namespace

Var tril(const Var& x, std::int64_t k) {
  return where(triangle("tril", x.shape(), k, false), x, 0);
}
Var triu(const Var& x, std::int64_t k) { return where(triangle("triu", x.shape(), k, true), x, 0); }

Var diagonal(const Var& x, std::int64_t k, std::int64_t row, std::int64_t column) {
  const Diagonal d("diagonal", x.shape(), k, row, column);
  return slice(reshape(movedim(x, d.pair, {-2, -1}), d.flat), d.slices());
}

Var place_on_diagonal(const Var& x, const Shape& whole, std::int64_t k, std::int64_t row,
                      std::int64_t column) {
  const Diagonal d("diagonal", whole, k, row, column);
  Shape apart(d.flat.begin(), d.flat.end() - 1);
  for (const std::int64_t axis : d.pair) apart.push_back(whole[static_cast<int>(axis)]);
  return movedim(reshape(unslice(x, d.flat, d.slices()), apart), {-2, -1}, d.pair);
}

Var diag_embed(const Var& x, std::int64_t k, std::int64_t row, std::int64_t column) {
  if (x.rank() == 0) throw ShapeError("diag_embed", "shape (): takes vectors, of rank 1 or more");
  const std::int64_t n = x.shape()[x.rank() - 1] + std::abs(k);
  Shape whole;
  for (int i = 0; i <= x.rank(); ++i) whole.push_back(n);
  const int r = normalize_axis("diag_embed", row, whole);
  const int c = normalize_axis("diag_embed", column, whole);
  int next = 0;
  for (int i = 0; i <= x.rank(); ++i) {
    if (i != r && i != c && r != c) whole[i] = x.shape()[next++];
  }
  return place_on_diagonal(x, whole, k, r, c);
}

Var diag(const Var& x, std::int64_t k) {
  if (x.rank() == 1) return diag_embed(x, k);
  if (x.rank() == 2) return diagonal(x, k);
  throw ShapeError("diag", "shape " + x.shape().str() +
                               ": takes rank 1 or 2, write diag_embed(x) or diagonal(x)");
}

Var diagflat(const Var& x, std::int64_t k) { return diag_embed(ravel(x), k); }

Var trace(const Var& x) {
  if (x.rank() != 2) {
    throw ShapeError("trace", "shape " + x.shape().str() + ": takes a matrix, of rank 2");
  }
  return sum(diagonal(x));
}

namespace {

constexpr Op kTril =
    composed("tril", {"y = x on and below the k-th diagonal, else 0", "x̄ = tril(ȳ, k)"},
             [](const Sampler& s) {
               return cases(s, {{{{3, 3}}, [](Operands x) { return tril(x[0]); }},
                                {{{2, 4}}, [](Operands x) { return tril(x[0], 1); }},
                                {{{2, 1, 3, 2}}, [](Operands x) { return tril(x[0], -1); }},
                                {{{0, 3}}, [](Operands x) { return tril(x[0]); }}});
             });
constexpr Op kTriu =
    composed("triu", {"y = x on and above the k-th diagonal, else 0", "x̄ = triu(ȳ, k)"},
             [](const Sampler& s) {
               return cases(s, {{{{3, 3}}, [](Operands x) { return triu(x[0]); }},
                                {{{2, 4}}, [](Operands x) { return triu(x[0], 2); }},
                                {{{2, 1, 3, 2}}, [](Operands x) { return triu(x[0], -1); }},
                                {{{0, 3}}, [](Operands x) { return triu(x[0]); }}});
             });
constexpr Op kDiagonal = composed(
    "diagonal", {"y[…, i] = x[…, i, i + k]", "x̄ = ȳ on the diagonal, else 0"},
    [](const Sampler& s) {
      return cases(s, {{{{3, 3}}, [](Operands x) { return diagonal(x[0]); }},
                       {{{2, 4}}, [](Operands x) { return diagonal(x[0], 1); }},
                       {{{4, 2}}, [](Operands x) { return diagonal(x[0], -2, 0, 1); }},
                       {{{2, 3, 2, 3}}, [](Operands x) { return diagonal(x[0], 1, -1, 1); }},
                       {{{2, 3}}, [](Operands x) { return diagonal(x[0], 5); }},
                       {{{0, 3}}, [](Operands x) { return diagonal(x[0]); }}});
    });
constexpr Text kEmbedded{"y = 0, y[…, i, i + k] = x[…, i]", "x̄ = the diagonal of ȳ"};
constexpr Op kDiagEmbed = composed("diag_embed", kEmbedded, [](const Sampler& s) {
  return cases(s, {{{{3}}, [](Operands x) { return diag_embed(x[0]); }},
                   {{{2, 3}}, [](Operands x) { return diag_embed(x[0], 1); }},
                   {{{2, 1, 3}}, [](Operands x) { return diag_embed(x[0], -1, 2, 0); }},
                   {{{0}}, [](Operands x) { return diag_embed(x[0], 2); }}});
});
constexpr Op kDiag = composed("diag", kEmbedded, [](const Sampler& s) {
  return cases(s, {{{{3}}, [](Operands x) { return diag(x[0], -1); }},
                   {{{3, 4}}, [](Operands x) { return diag(x[0], 1); }},
                   {{{0}}, [](Operands x) { return diag(x[0]); }},
                   {{{0, 3}}, [](Operands x) { return diag(x[0]); }}});
});
constexpr Op kDiagflat = composed("diagflat", kEmbedded, [](const Sampler& s) {
  return cases(s, {{{{}}, [](Operands x) { return diagflat(x[0]); }},
                   {{{3}}, [](Operands x) { return diagflat(x[0], 1); }},
                   {{{2, 1, 1, 2}}, [](Operands x) { return diagflat(x[0], -1); }},
                   {{{0, 2}}, [](Operands x) { return diagflat(x[0]); }}});
});
constexpr Op kTrace =
    composed("trace", {"y = Σ x[i, i]", "x̄ = ȳ on the diagonal, else 0"}, [](const Sampler& s) {
      const auto f = [](Operands x) { return trace(x[0]); };
      return cases(s, {{{{3, 3}}, f}, {{{4, 2}}, f}, {{{1, 3}}, f}, {{{0, 3}}, f}});
    });

}  // namespace

namespace families {
Family diagonals() {
  return {&kTril, &kTriu, &kDiagonal, &kDiagEmbed, &kDiag, &kDiagflat, &kTrace};
}
}  // namespace families

}  // namespace xtape
