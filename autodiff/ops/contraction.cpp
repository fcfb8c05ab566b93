#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/contraction.hpp>

// Two operands of an einsum as one matrix product.
namespace xtape::contraction {
namespace {

// The indices of `all` that are in (or, negated, not in) `other`.
Indices among(const Indices& all, const Indices& other, bool in = true) {
  Indices out;
  for (const char c : all) {
    if (has(other, c) == in) out += c;
  }
  return out;
}

Shape shape_of(const Indices& indices, const Extents& extent) {
  Shape out;
  for (const char c : indices) out.push_back(extent[static_cast<unsigned char>(c)]);
  return out;
}

Var reshaped(const Var& x, const Shape& shape) {
  return x.shape() == shape ? x : reshape(x, shape);
}

Var ordered(const Term& t, const Indices& order) {
  if (t.indices == order) return t.x;
  Axes perm;
  for (const char c : order) perm.push_back(static_cast<std::int64_t>(t.indices.find(c)));
  return transpose(t.x, perm);
}

// a is [batch, rows, inner] or [batch, inner, rows], b with columns for rows; one group for each
// axis of the (batched) matrices.
struct Arrangement {
  Indices batch, rows, columns, inner;
  bool swapped = false;  // b is on the left
  std::int64_t copied = -1;
};

bool as_matrix(const Indices& order, const Indices& batch, const Indices& x, const Indices& y) {
  return order == batch + x + y || order == batch + y + x;
}

// Of all orders within the groups, the one that copies least.
class Arranger {
 public:
  Arranger(const Indices& a, const Indices& b, const Indices& keep, const Indices& wanted,
           const Extents& extent)
      : wanted_(wanted), size_a_(size(a, extent)), size_b_(size(b, extent)) {
    size_out_ = size(keep, extent);
    arrange(a, b, keep, false);
    if (!wanted.empty()) arrange(b, a, keep, true);
  }
  const Arrangement& best() const { return best_; }

 private:
  void arrange(const Indices& a, const Indices& b, const Indices& keep, bool swapped) {
    const Indices shared = among(a, b), batch = among(shared, keep), inner = among(a, keep, false);
    const Indices rows = among(a, b, false), columns = among(b, a, false);
    for (const Indices& batches : {batch, among(b, batch), among(wanted_, batch)}) {
      for (const Indices& inners : {inner, among(b, inner)}) {
        for (const Indices& r : {rows, among(wanted_, rows)}) {
          for (const Indices& c : {columns, among(wanted_, columns)}) {
            const bool all = batches.size() == batch.size() && r.size() == rows.size() &&
                             c.size() == columns.size();
            if (all) consider(a, b, {batches, r, c, inners, swapped});
          }
        }
      }
    }
  }
  void consider(const Indices& a, const Indices& b, Arrangement x) {
    x.copied = 0;
    if (!as_matrix(a, x.batch, x.rows, x.inner)) x.copied += x.swapped ? size_b_ : size_a_;
    if (!as_matrix(b, x.batch, x.columns, x.inner)) x.copied += x.swapped ? size_a_ : size_b_;
    if (!wanted_.empty() && x.batch + x.rows + x.columns != wanted_) x.copied += size_out_;
    if (best_.copied < 0 || x.copied < best_.copied) best_ = x;
  }

  const Indices& wanted_;
  std::int64_t size_a_, size_b_, size_out_ = 0;
  Arrangement best_;
};

// Nothing is summed: a product of elements, in any order of axes.
Term elementwise(const Term& a, const Term& b, const Indices& wanted, const Extents& extent) {
  Indices order = wanted;
  if (order.empty()) {
    order = among(a.indices, b.indices) + among(a.indices, b.indices, false) +
            among(b.indices, a.indices, false);
  }
  const auto spread = [&](const Term& t) {
    Shape shape;
    bool begun = false;
    for (const char c : order) {
      const bool own = has(t.indices, c);
      begun |= own;
      if (begun) shape.push_back(own ? extent[static_cast<unsigned char>(c)] : 1);
    }
    return reshaped(ordered(t, among(order, t.indices)), shape);
  };
  return {spread(a) * spread(b), order};
}

// All that is summed, and nothing else but a batch: rows of elements.
Term rows_of_products(const Term& a, const Term& b, const Arrangement& g) {
  const Indices order = g.batch + g.inner;
  Axes summed;
  for (std::size_t i = g.batch.size(); i < order.size(); ++i) {
    summed.push_back(static_cast<std::int64_t>(i));
  }
  return {sum(ordered(a, order) * ordered(b, order), summed), g.batch};
}

struct Matrix {
  Var x;
  bool transposed;
};
Matrix matrix(const Term& t, const Indices& batch, const Indices& first, const Indices& second,
              const Extents& extent) {
  const bool transposed =
      t.indices != batch + first + second && t.indices == batch + second + first;
  const Indices &rows = transposed ? second : first, &columns = transposed ? first : second;
  Shape shape;
  if (!batch.empty()) shape.push_back(size(batch, extent));
  shape.push_back(size(rows, extent));
  shape.push_back(size(columns, extent));
  return {reshaped(ordered(t, batch + rows + columns), shape), transposed};
}

}  // namespace

Term contract(const Term& left, const Term& right, const Indices& keep, const Indices& wanted,
              const Extents& extent) {
  const Arrangement g = Arranger(left.indices, right.indices, keep, wanted, extent).best();
  if (g.inner.empty()) return elementwise(left, right, wanted, extent);
  const Term &a = g.swapped ? right : left, &b = g.swapped ? left : right;
  if (g.rows.empty() && g.columns.empty() && !g.batch.empty()) return rows_of_products(a, b, g);
  const Matrix x = matrix(a, g.batch, g.rows, g.inner, extent);
  const Matrix y = matrix(b, g.batch, g.inner, g.columns, extent);
  const Var product = matmul(x.x, y.x, {x.transposed, y.transposed});
  const Indices order = g.batch + g.rows + g.columns;
  return {reshaped(product, shape_of(order, extent)), order};
}

}  // namespace xtape::contraction
