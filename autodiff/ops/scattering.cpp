#include <cstring>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/index_kernels.hpp>
#include <xtape/autodiff/ops/internal.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace indexed;

// --- scatter --------------------------------------------------------------------------------

Spec scatter_infer(const InferArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  check_same_dtype(a.op, *a.in[0], *a.in[2]);
  check_index_dtype(a.op.name, *a.in[1]);
  check_fits(a.op.name, a.in[1]->shape, at.shape, at.axis);
  if (a.in[2]->shape != a.in[1]->shape) {
    throw ShapeError(a.op.name, "values " + a.in[2]->shape.str() + " and indices " +
                                    a.in[1]->shape.str() + ": values must not be smaller");
  }
  return *a.in[0];
}

void scatter_kernel(const KernelArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  const Shape& indices = a.in[1].spec->shape;
  const auto* index = static_cast<const std::int64_t*>(a.in[1].data);
  check_range(a.op.name, index, indices.size(), at.shape[at.axis]);
  std::memcpy(a.out, a.in[0].data, a.spec.nbytes());
  dispatch_width(a.spec.dtype, [&](auto unit) {
    using U = decltype(unit);
    const auto* x = static_cast<const U*>(a.in[2].data);
    auto* y = static_cast<U*>(a.out);
    each_indexed(index, indices, at.shape, at.axis,
                 [&](std::int64_t i, std::int64_t to) { y[to] = x[i]; });
  });
}

Var scatter_vjp_x(const Vjp& v) { return scatter(v.ct, v.attrs<AxisOf>().axis, v.in(1), 0.0); }

// Of several that went to one element, the one that stands is found by scattering their numbers.
Var scatter_vjp_src(const Vjp& v) {
  const auto& at = v.attrs<AxisOf>();
  const Var indices = v.in(1);
  const Var number = Tensor::arange(indices.size()).reshape(indices.shape());
  const Var last = scatter(Tensor::zeros(at.shape, i64), at.axis, indices, number);
  return where(equal(gather(last, at.axis, indices), number), gather(v.ct, at.axis, indices), 0);
}

std::vector<Sample> scatter_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& whole, const Shape& indices, const Shape& src, int axis) {
    const Tensor i = sample_indices(indices, whole[axis]);
    out.push_back({indices.str() + " of " + whole.str(),
                   {s.draw(whole), s.draw(src)},
                   [=](std::span<const Var> in) { return scatter(in[0], axis, i, in[1]); }});
  };
  add({5}, {3}, {3}, 0);
  add({3, 4}, {3, 5}, {3, 5}, 1);
  add({3, 4}, {2, 3}, {4, 4}, 0);
  add({2, 3, 1, 2}, {2, 2, 1, 2}, {}, 1);
  add({3}, {0}, {0}, 0);
  return out;
}

constexpr Op kScatter{.name = "scatter",
                      .math = "y = x, y[…, indices[…, k, …], …] = src[…, k, …]",
                      .gradient = "x̄ = ȳ, 0 where src stands; s̄rc[…, k, …] = ȳ where it stands",
                      .arity = 3,
                      .infer = scatter_infer,
                      .kernel = scatter_kernel,
                      .vjp = {{scatter_vjp_x, reads_in(1)}, {}, {scatter_vjp_src, reads_in(1)}},
                      .throws = true,
                      .linear = Linear::joint,
                      .samples = scatter_samples};

}  // namespace

Var indexed::values_for(const char* op, const Var& x, const Var& indices, const Var& src) {
  const Shape& want = indices.shape();
  const Var values = beside(beside(src, x), indices);
  if (values.shape() == want) return values;
  if (values.rank() == 0) return broadcast_to(values, want);
  std::vector<Slice> part;
  for (int i = 0; i < want.rank(); ++i) part.push_back({0, want[i]});
  bool fits = values.rank() == want.rank();
  for (int i = 0; fits && i < want.rank(); ++i) fits = values.shape()[i] >= want[i];
  if (fits) return slice(values, part);
  throw ShapeError(op, "values " + values.shape().str() + " for indices " + want.str() +
                           ": ranks must agree, and values must not be smaller");
}

Var scatter(const Var& x, std::int64_t axis, const Var& indices, const Var& src) {
  const Var values = values_for("scatter", x, indices, src);
  return apply(kScatter, {&x, &indices, &values},
               make_attrs(AxisOf{normalize_axis("scatter", axis, x.shape()), x.shape()}));
}

Var scatter(const Var& x, std::int64_t axis, const Var& indices, double value) {
  return scatter(x, axis, indices, Var(Tensor::full(indices.shape(), value, x.dtype())));
}

Var scatter_add(const Var& x, std::int64_t axis, const Var& indices, const Var& src) {
  const Var values = values_for("scatter_add", x, indices, src);
  return x + scatter_add_along_axis(values, indices, axis, x.shape());
}

namespace {

// The values of index_add and others: one row for each index. A number is a vector of one.
struct Rows {
  Var x, indices, src;
  int axis;
};
Rows rows(const char* op, const Var& x, std::int64_t axis, const Var& indices, const Var& src) {
  const Var i = beside(indices, x);
  const int at = normalize_axis(op, axis, x.shape());
  Shape want = x.shape();
  want[at] = indices.size();
  if (indices.rank() > 1 || src.shape() != want) {
    throw ShapeError(op, "values " + src.shape().str() + " and indices " + indices.shape().str() +
                             " into axis " + std::to_string(at) + " of " + x.shape().str() +
                             ": takes a vector of indices, and values " + want.str());
  }
  return {beside(x, src), indices.rank() == 0 ? reshape(i, {1}) : i, beside(src, x), at};
}

// A vector of indices along `axis` as one for each element of `shape`.
Var for_each_element(const Var& indices, int axis, const Shape& shape) {
  Shape along;
  for (int i = 0; i < shape.rank(); ++i) along.push_back(i == axis ? indices.size() : 1);
  return broadcast_to(reshape(indices, along), shape);
}

// y where the mask (a constant) is true, else x.
Var replace(const Var& x, const Var& y, const Var& ones) { return where(not_equal(ones, 0), y, x); }

}  // namespace

Var index_add(const Var& x, std::int64_t axis, const Var& indices, const Var& src, double alpha) {
  const Rows r = rows("index_add", x, axis, indices, src);
  const Var sums = index_sum(r.src, r.axis, r.indices, x.shape()[r.axis]);
  return alpha == 1 ? r.x + sums : r.x + sums * alpha;
}

Var index_copy(const Var& x, std::int64_t axis, const Var& indices, const Var& src) {
  const Rows r = rows("index_copy", x, axis, indices, src);
  return scatter(r.x, r.axis, for_each_element(r.indices, r.axis, r.src.shape()), r.src);
}

Var index_fill(const Var& x, std::int64_t axis, const Var& indices, const Var& value) {
  Shape shape = x.shape();
  shape[normalize_axis("index_fill", axis, shape)] = indices.size();
  return index_copy(beside(x, value), axis, indices, broadcast_to(beside(value, x), shape));
}

Var index_fill(const Var& x, std::int64_t axis, const Var& indices, double value) {
  return index_fill(x, axis, indices, Var(Tensor::scalar(value, x.dtype())));
}

Var slice_scatter(const Var& x, const Var& src, const std::vector<Slice>& slices) {
  const Var ones = unslice(Tensor::ones(src.shape()), x.shape(), slices);
  return replace(x, unslice(beside(src, x), x.shape(), slices), ones);
}

Var select_scatter(const Var& x, const Var& src, std::int64_t axis, std::int64_t position) {
  const Shape part = select(Tensor::zeros(x.shape()), axis, position).shape();
  if (src.shape() != part) {
    throw ShapeError("select_scatter", "values " + src.shape().str() + " for one position of " +
                                           x.shape().str() + ": must have shape " + part.str());
  }
  const int at = normalize_axis("select_scatter", axis, x.shape());
  const std::int64_t k = position < 0 ? position + x.shape()[at] : position;
  std::vector<Slice> slices(static_cast<std::size_t>(at) + 1);
  slices.back() = {k, k + 1};
  return slice_scatter(beside(x, src), unsqueeze(beside(src, x), at), slices);
}

Var diagonal_scatter(const Var& x, const Var& src, std::int64_t k, std::int64_t row,
                     std::int64_t column) {
  const Var ones = place_on_diagonal(Tensor::ones(src.shape()), x.shape(), k, row, column);
  return replace(x, place_on_diagonal(beside(src, x), x.shape(), k, row, column), ones);
}

namespace {

constexpr Op kScatterAdd =
    composed("scatter_add",
             {"y = x, y[…, indices[…, k, …], …] += src[…, k, …]",
              "x̄ = ȳ, s̄rc[…, k, …] = ȳ[…, indices[…, k, …], …]"},
             [](const Sampler& s) {
               const auto f = [](const Shape& indices, std::int64_t extent, std::int64_t axis) {
                 const Tensor i = sample_indices(indices, extent);
                 return [=](Operands x) { return scatter_add(x[0], axis, i, x[1]); };
               };
               return cases(s, {{{{4}, {6}}, f({6}, 4, 0)},
                                {{{3, 4}, {3, 4}}, f({2, 3}, 4, -1)},
                                {{{2, 2, 1, 2}, {}}, f({2, 3, 1, 2}, 2, 1)},
                                {{{0, 3}, {0, 2}}, f({0, 2}, 3, 1)}});
             });

Tensor vector(const std::vector<std::int64_t>& v) { return Tensor::from(v); }

constexpr Op kIndexAdd = composed(
    "index_add",
    {"y = x, y[…, indices[k], …] += α src[…, k, …]", "x̄ = ȳ, s̄rc[…, k, …] = α ȳ[…, indices[k], …]"},
    [](const Sampler& s) {
      const auto f = [](const std::vector<std::int64_t>& i, std::int64_t axis, double alpha) {
        return [=](Operands x) { return index_add(x[0], axis, vector(i), x[1], alpha); };
      };
      return cases(s, {{{{4}, {3}}, f({1, -1, 1}, 0, 1)},
                       {{{2, 3}, {2, 2}}, f({2, 0}, 1, -1.5)},
                       {{{2, 3, 1, 2}, {2, 4, 1, 2}}, f({0, 1, 1, 0}, 1, 2)},
                       {{{2, 3}, {0, 3}}, f({}, 0, 1)}});
    });
constexpr Text kReplaced{"y = x, but src at places", "x̄ = ȳ, 0 at the places; s̄rc = ȳ there"};
constexpr Op kIndexCopy = composed("index_copy", kReplaced, [](const Sampler& s) {
  const auto f = [](const std::vector<std::int64_t>& i, std::int64_t axis) {
    return [=](Operands x) { return index_copy(x[0], axis, vector(i), x[1]); };
  };
  return cases(s, {{{{4}, {3}}, f({1, -1, 1}, 0)},
                   {{{2, 3}, {2, 2}}, f({2, 0}, 1)},
                   {{{2, 3, 1, 2}, {2, 2, 1, 2}}, f({0, 1}, -3)},
                   {{{2, 3}, {0, 3}}, f({}, 0)}});
});
constexpr Op kIndexFill = composed("index_fill", kReplaced, [](const Sampler& s) {
  const auto f = [](const std::vector<std::int64_t>& i, std::int64_t axis) {
    return [=](Operands x) { return index_fill(x[0], axis, vector(i), x[1]); };
  };
  return cases(s,
               {{{{4}, {}}, f({1, -1, 2}, 0)},
                {{{2, 3}, {}}, f({2, 0}, 1)},
                {{{2, 3, 1, 2}}, [](Operands x) { return index_fill(x[0], 1, vector({2}), 3.0); }},
                {{{2, 3}, {}}, f({}, 0)}});
});
constexpr Op kSliceScatter = composed("slice_scatter", kReplaced, [](const Sampler& s) {
  const auto f = [](const std::vector<Slice>& at) {
    return [=](Operands x) { return slice_scatter(x[0], x[1], at); };
  };
  return cases(s, {{{{}, {}}, f({})},
                   {{{5}, {2}}, f({{1, {}, 2}})},
                   {{{2, 3, 1, 2}, {2, 2, 1, 2}}, f({{}, {{}, 0, -1}})},
                   {{{3, 2}, {0, 2}}, f({{2, 2}})}});
});
constexpr Op kSelectScatter = composed("select_scatter", kReplaced, [](const Sampler& s) {
  const auto f = [](std::int64_t axis, std::int64_t at) {
    return [=](Operands x) { return select_scatter(x[0], x[1], axis, at); };
  };
  return cases(s, {{{{4}, {}}, f(0, 2)},
                   {{{2, 3}, {2}}, f(-1, -1)},
                   {{{2, 3, 1, 2}, {2, 1, 2}}, f(1, 0)},
                   {{{2, 0}, {0}}, f(0, 1)}});
});
constexpr Op kDiagonalScatter = composed("diagonal_scatter", kReplaced, [](const Sampler& s) {
  return cases(s, {{{{3, 3}, {3}}, [](Operands x) { return diagonal_scatter(x[0], x[1]); }},
                   {{{2, 4}, {2}}, [](Operands x) { return diagonal_scatter(x[0], x[1], 1); }},
                   {{{2, 3, 1, 2}, {2, 1, 2}},
                    [](Operands x) { return diagonal_scatter(x[0], x[1], -1, 1, 3); }},
                   {{{2, 2}, {0}}, [](Operands x) { return diagonal_scatter(x[0], x[1], 5); }}});
});

}  // namespace

namespace families {
Family scattering() {
  return {&kScatter,   &kScatterAdd,   &kIndexAdd,      &kIndexCopy,
          &kIndexFill, &kSliceScatter, &kSelectScatter, &kDiagonalScatter};
}
}  // namespace families

}  // namespace xtape
