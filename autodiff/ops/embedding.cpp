#include <algorithm>
#include <cstring>
#include <limits>

#include <xtape/autodiff/memory.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;

// A row and its gradient may differ by a factor: 0 for the padding, 1/uses by frequency.
struct RowAttrs {
  std::int64_t rows;          // of the table
  std::int64_t padding = -1;  // none
  bool by_frequency = false;
  bool scaled = false;  // the factor is in the values, too
  std::string str() const {
    return std::to_string(rows) + " rows" +
           (padding >= 0 ? ", padding " + std::to_string(padding) : "") +
           (by_frequency ? ", by frequency" : "") + (scaled ? ", scaled" : "");
  }
  bool operator==(const RowAttrs&) const = default;
};

// Positions of indices in the order of the rows that they name.
class ByRow {
 public:
  ByRow(std::string_view op, const std::int64_t* index, std::int64_t n, std::int64_t rows)
      : rows_(rows), n_(n) {
    for (std::int64_t i = 0; i < n; ++i) {
      if (index[i] >= 0 && index[i] < rows) continue;
      throw ValueError(op, "index " + std::to_string(index[i]) + " at position " +
                               std::to_string(i) + ": must be in [0, " + std::to_string(rows) +
                               ")");
    }
    begin_ = static_cast<std::int64_t*>(memory::allocate(bytes()));
    std::int64_t* const position = begin_ + rows + 1;
    std::fill_n(begin_, rows + 1, 0);
    for (std::int64_t i = 0; i < n; ++i) ++begin_[index[i] + 1];
    for (std::int64_t r = 0; r < rows; ++r) begin_[r + 1] += begin_[r];
    for (std::int64_t i = 0; i < n; ++i) position[begin_[index[i]]++] = i;
    for (std::int64_t r = rows; r > 0; --r) begin_[r] = begin_[r - 1];
    begin_[0] = 0;
  }
  ByRow(const ByRow&) = delete;
  ByRow& operator=(const ByRow&) = delete;
  ~ByRow() { memory::release(begin_, bytes()); }

  std::int64_t uses(std::int64_t row) const { return begin_[row + 1] - begin_[row]; }
  std::span<const std::int64_t> positions(std::int64_t row) const {
    return {begin_ + rows_ + 1 + begin_[row], static_cast<std::size_t>(uses(row))};
  }
  double factor(const RowAttrs& a, std::int64_t row) const {
    if (row == a.padding) return 0;
    return a.by_frequency ? 1 / static_cast<double>(uses(row)) : 1;
  }

 private:
  std::size_t bytes() const {
    return static_cast<std::size_t>(rows_ + 1 + n_) * sizeof(std::int64_t);
  }
  std::int64_t rows_, n_;
  std::int64_t* begin_;
};

void check_indices(const InferArgs& a) {
  if (a.in[1]->dtype == i64) return;
  throw DTypeError(a.op.name, std::string("indices are ") + name(a.in[1]->dtype) +
                                  ": they must be i64, write cast(indices, i64)");
}

Spec embedding_infer(const InferArgs& a) {
  const Spec& weight = *a.in[0];
  check_indices(a);
  if (weight.shape.rank() != 2) {
    throw ShapeError(a.op.name,
                     "weight of shape " + weight.shape.str() + ": must be [rows, features]");
  }
  Shape shape = a.in[1]->shape;
  shape.push_back(weight.shape[1]);
  return {shape, floating_unary(a).dtype};
}

Spec rows_infer(const InferArgs& a) {
  const Spec& x = *a.in[0];
  const Shape& index = a.in[1]->shape;
  check_indices(a);
  if (x.shape.rank() != index.rank() + 1 || Shape(x.shape.begin(), x.shape.end() - 1) != index) {
    throw ShapeError(a.op.name, "x " + x.shape.str() + " and indices " + index.str() +
                                    ": must be equal but for the last axis of x");
  }
  return {{get_attrs<RowAttrs>(a.attrs).rows, x.shape[index.rank()]}, floating_unary(a).dtype};
}

void embedding_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<RowAttrs>(a.attrs);
  const auto* index = static_cast<const std::int64_t*>(a.in[1].data);
  const std::int64_t n = a.in[1].spec->shape.size();
  const std::int64_t features = a.in[0].spec->shape[1];
  const ByRow by_row(a.op.name, index, n, attrs.rows);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto* weight = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<T*>(a.out);
    for (std::int64_t i = 0; i < n; ++i, out += features) {
      const T* row = weight + index[i] * features;
      const T f = attrs.scaled ? static_cast<T>(by_row.factor(attrs, index[i])) : T{1};
      if (f == 0) {
        std::fill_n(out, features, T{0});
      } else {
        for (std::int64_t k = 0; k < features; ++k) out[k] = f * row[k];
      }
    }
  });
}

void rows_kernel(const KernelArgs& a) {
  constexpr std::int64_t kPart = 256;  // features that are added up at a time, in double
  const auto& attrs = get_attrs<RowAttrs>(a.attrs);
  const std::int64_t features = a.spec.shape[1];
  const ByRow by_row(a.op.name, static_cast<const std::int64_t*>(a.in[1].data),
                     a.in[1].spec->shape.size(), attrs.rows);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<T*>(a.out);
    for (std::int64_t row = 0; row < attrs.rows; ++row, out += features) {
      const double f = by_row.uses(row) > 0 ? by_row.factor(attrs, row) : 0;
      if (f == 0) {
        std::fill_n(out, features, T{0});
        continue;
      }
      for (std::int64_t k = 0; k < features; k += kPart) {
        double total[kPart] = {};
        const std::int64_t width = std::min(kPart, features - k);
        for (const std::int64_t p : by_row.positions(row)) {
          const T* from = x + p * features + k;
          for (std::int64_t j = 0; j < width; ++j) total[j] += static_cast<double>(from[j]);
        }
        for (std::int64_t j = 0; j < width; ++j) out[k + j] = static_cast<T>(total[j] * f);
      }
    }
  });
}

Var take_rows(const Var& weight, const Var& index, const RowAttrs& a);
Var add_rows(const Var& x, const Var& index, const RowAttrs& a);

Var take_vjp(const Vjp& v) {
  RowAttrs a = v.attrs<RowAttrs>();
  a.scaled = false;
  return add_rows(v.ct, v.in(1), a);
}
Var add_vjp(const Vjp& v) {
  RowAttrs a = v.attrs<RowAttrs>();
  a.scaled = a.padding >= 0 || a.by_frequency;
  return take_rows(v.ct, v.in(1), a);
}

const std::vector<Shape> kIndexShapes{{}, {4}, {2, 3}, {0}, {2, 1, 2}};

Tensor some_indices(const Shape& shape) {
  std::vector<std::int64_t> index;
  for (std::int64_t i = 0; i < shape.size(); ++i) index.push_back(i * i % 4);
  return Tensor::from(index, shape);
}

std::vector<Sample> take_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : kIndexShapes) {
    const Tensor index = some_indices(shape);
    out.push_back(
        {shape.str(), {s.draw({5, 2})}, [index](Values in) { return embedding(index, in[0]); }});
    out.push_back({shape.str() + " scaled", {s.draw({5, 2})}, [index](Values in) {
                     return take_rows(in[0], index, {5, 1, true, true});
                   }});
  }
  out.push_back({"no features", {s.draw({5, 0})}, [](Values in) {
                   return embedding(Tensor::from(std::vector<std::int64_t>{1, 4}), in[0]);
                 }});
  return out;
}
std::vector<Sample> add_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (Shape shape : kIndexShapes) {
    const Tensor index = some_indices(shape);
    shape.push_back(2);
    for (const bool by_frequency : {false, true}) {
      const RowAttrs a{5, by_frequency ? 1 : -1, by_frequency};
      out.push_back({shape.str() + ' ' + a.str(), {s.draw(shape)}, [index, a](Values in) {
                       return add_rows(in[0], index, a);
                     }});
    }
  }
  return out;
}

constexpr Op kEmbedding{.name = "embedding",
                        .math = "y[…, :] = w[i[…], :]",
                        .gradient = "w̄[i[…], :] += ȳ[…, :], scaled as the options say",
                        .arity = 2,
                        .infer = embedding_infer,
                        .kernel = embedding_kernel,
                        .vjp = {{take_vjp, reads_in(1)}},
                        .throws = true,
                        .samples = take_samples};

constexpr Op kAddRows{.name = "add_rows",
                      .math = "y[i[…], :] += x[…, :], scaled as the options say",
                      .gradient = "x̄[…, :] = ȳ[i[…], :], scaled as the options say",
                      .arity = 2,
                      .infer = rows_infer,
                      .kernel = rows_kernel,
                      .vjp = {{add_vjp, reads_in(1)}},
                      .throws = true,
                      .linear = Linear::joint,
                      .samples = add_samples};

Var take_rows(const Var& weight, const Var& index, const RowAttrs& a) {
  return apply(kEmbedding, {&weight, &index}, make_attrs(a));
}
Var add_rows(const Var& x, const Var& index, const RowAttrs& a) {
  return apply(kAddRows, {&x, &index}, make_attrs(a));
}

std::int64_t padding_row(const char* op, const std::optional<std::int64_t>& padding,
                         std::int64_t rows) {
  if (!padding) return -1;
  const std::int64_t row = *padding < 0 ? *padding + rows : *padding;
  if (row >= 0 && row < rows) return row;
  throw ValueError(op, "padding_idx " + std::to_string(*padding) + " of " + std::to_string(rows) +
                           " rows: must be one of them");
}

std::int64_t rows_of(const char* op, const Var& weight) {
  if (weight.rank() == 2) return weight.shape()[0];
  throw ShapeError(op, "weight of shape " + weight.shape().str() + ": must be [rows, features]");
}

Var number(std::int64_t x) { return Tensor::full({}, static_cast<double>(x), i64); }

// The rows of bags, what each counts (undefined: 1), and which bag it is in (undefined: [b, l, :]
// is in bag b).
struct Bags {
  Var rows, counts, bag;
  std::int64_t n;
};

// Joins the rows of bags: Σ.
Var joined(const Bags& b, const Var& rows) {
  if (!b.bag.defined()) return sum(rows, 1);
  // One more, for what is behind the last offset.
  return slice(add_rows(rows, b.bag, {b.n + 1}), 0, {0, b.n});
}

Var largest(const Bags& b) {
  const double nothing = -std::numeric_limits<double>::infinity();
  Shape mask = b.rows.shape();
  mask[b.rows.rank() - 1] = 1;
  Var rows = b.rows;
  if (b.counts.defined()) rows = where(reshape(b.counts, mask) > 0, rows, nothing);
  if (b.bag.defined()) {
    const Var own = equal(reshape(b.bag, {1, -1, 1}), Tensor::arange(b.n).reshape({b.n, 1, 1}));
    rows = where(own, rows, nothing);
  }
  if (rows.shape()[1] == 0) return Tensor::zeros({b.n, rows.shape()[2]}, rows.dtype());
  const Var y = max(rows, 1);
  return where(equal(y, nothing), 0, y);
}

}  // namespace

Var embedding(const Var& indices, const Var& weight, const EmbeddingOptions& o) {
  const std::int64_t rows = rows_of("embedding", weight);
  return take_rows(weight, indices,
                   {rows, padding_row("embedding", o.padding_idx, rows), o.scale_grad_by_freq});
}

namespace {

// Refused unless they are ascending places in the list.
Var checked_offsets(const char* op, const Var& offsets, std::int64_t length) {
  return looked_at(offsets, [op, length](std::span<const std::int64_t> all) {
    std::int64_t before = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] < before || all[i] > length) {
        throw ValueError(op, "offset " + std::to_string(all[i]) + " at position " +
                                 std::to_string(i) + ": must ascend in [0, " +
                                 std::to_string(length) + "]");
      }
      before = all[i];
    }
  });
}

Bags bags_of(const Var& indices, const Var& weight, const EmbeddingBagOptions& o) {
  constexpr const char* kName = "embedding_bag";
  const bool list = indices.rank() == 1;
  if (list != o.offsets.defined() || indices.rank() < 1 || indices.rank() > 2) {
    throw ShapeError(kName, "indices of shape " + indices.shape().str() +
                                (list ? " without" : " with") +
                                " offsets: must be [bags, length], or a list with offsets");
  }
  const std::int64_t rows = rows_of(kName, weight);
  Bags b{embedding(indices, weight), {}, {}, indices.shape()[0]};
  if (const std::int64_t padding = padding_row(kName, o.padding_idx, rows); padding >= 0) {
    b.counts = cast(not_equal(indices, number(padding)), weight.dtype());
  }
  if (!list) return b;
  if (o.offsets.dtype() != i64 || o.offsets.rank() != 1) {
    throw DTypeError(kName, std::string("offsets are ") + name(o.offsets.dtype()) +
                                o.offsets.shape().str() + ": they must be a list of i64");
  }
  const std::int64_t n = o.offsets.shape()[0], length = indices.shape()[0];
  const Var offsets = checked_offsets(kName, o.offsets, length);
  if (o.include_last_offset && n == 0) throw ShapeError(kName, "no offsets, not even the last");
  b.n = o.include_last_offset ? n - 1 : n;
  const Var begun = less_equal(reshape(offsets, {n, 1}), Tensor::arange(length));
  b.bag = sum(cast(begun, i64), 0) - number(1);
  return b;
}

std::vector<Sample> bag_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const std::string& label, const Shape& shape, EmbeddingBagOptions o) {
    const Tensor index = some_indices(shape);
    out.push_back(
        {label, {s.draw({5, 2})}, [=](Values in) { return embedding_bag(index, in[0], o); }});
  };
  const Tensor offsets = Tensor::from(std::vector<std::int64_t>{0, 2, 2});
  for (const Bag mode : {Bag::mean, Bag::sum, Bag::max}) {
    const std::string m = mode == Bag::mean ? "mean" : mode == Bag::sum ? "sum" : "max";
    add(m, {2, 3}, {.mode = mode, .padding_idx = 4});
    add(m + ", offsets", {4}, {.mode = mode, .offsets = offsets, .padding_idx = -4});
    add(m + ", last offset", {4}, {.mode = mode, .offsets = offsets, .include_last_offset = true});
    add(m + ", empty", {2, 0}, {.mode = mode});
  }
  for (const Shape& shape : {Shape{4}, Shape{2, 2}}) {
    const Tensor index = some_indices(shape);
    const Var begin = shape.rank() == 1 ? Var(offsets) : Var();
    out.push_back({"weights", {s.draw({5, 2}), s.draw(shape)}, [=](Values in) {
                     return embedding_bag(
                         index, in[0],
                         {.mode = Bag::sum, .offsets = begin, .per_sample_weights = in[1]});
                   }});
  }
  return out;
}
constexpr Op kEmbeddingBag =
    composed("embedding_bag",
             {"y[b, :] = Σ w[i, :] over the indices i of bag b; or their mean or maximum",
              "w̄[i, :] += ȳ[b, :], divided as y was"},
             bag_samples);

}  // namespace

Var embedding_bag(const Var& indices, const Var& table, const EmbeddingBagOptions& o) {
  const Var& factors = o.per_sample_weights;
  if (factors.defined() && o.mode != Bag::sum) {
    throw ValueError("embedding_bag", "per_sample_weights are for Bag::sum");
  }
  if (factors.defined() && factors.shape() != indices.shape()) {
    throw ShapeError("embedding_bag", "per_sample_weights " + factors.shape().str() +
                                          " and indices " + indices.shape().str() +
                                          ": must be equal");
  }
  const Bags b = bags_of(indices, beside(table, factors), o);
  if (o.mode == Bag::max) return largest(b);
  Shape column = indices.shape();
  column.push_back(1);
  Var rows = b.rows;
  if (b.counts.defined()) rows = where(reshape(b.counts, column) > 0, rows, 0);
  if (factors.defined()) rows = rows * reshape(beside(factors, rows), column);
  const Var total = joined(b, rows);
  if (o.mode == Bag::sum) return total;
  const Var ones = b.counts.defined() ? b.counts : Tensor::ones(indices.shape(), table.dtype());
  return total / maximum(joined(b, reshape(ones, column)), 1);
}

namespace families {
Family embedding() { return {&kEmbedding, &kAddRows, &kEmbeddingBag}; }
}  // namespace families

}  // namespace xtape
