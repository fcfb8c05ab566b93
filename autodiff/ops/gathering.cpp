#include <cstring>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/index_kernels.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace indexed;

const std::int64_t* index_data(const KernelArgs& a) {
  return static_cast<const std::int64_t*>(a.in[1].data);
}

// --- gather and its transpose ---------------------------------------------------------------

Spec gather_infer(const InferArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  check_index_dtype(a.op.name, *a.in[1]);
  check_fits(a.op.name, a.in[1]->shape, a.in[0]->shape, at.axis);
  return {a.in[1]->shape, a.in[0]->dtype};
}

void gather_kernel(const KernelArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  check_range(a.op.name, index_data(a), a.spec.shape.size(), at.shape[at.axis]);
  dispatch_width(a.spec.dtype, [&](auto unit) {
    using U = decltype(unit);
    const auto* x = static_cast<const U*>(a.in[0].data);
    auto* y = static_cast<U*>(a.out);
    each_indexed(index_data(a), a.spec.shape, at.shape, at.axis,
                 [&](std::int64_t i, std::int64_t from) { y[i] = x[from]; });
  });
}

Spec scatter_sum_infer(const InferArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  numeric_unary(a);
  check_index_dtype(a.op.name, *a.in[1]);
  if (a.in[0]->shape != a.in[1]->shape) {
    throw ShapeError(a.op.name, "values " + a.in[0]->shape.str() + " and indices " +
                                    a.in[1]->shape.str() + ": shapes must be equal");
  }
  check_fits(a.op.name, a.in[1]->shape, at.shape, at.axis);
  return {at.shape, a.in[0]->dtype};
}

void scatter_sum_kernel(const KernelArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  const Shape& indices = a.in[1].spec->shape;
  check_range(a.op.name, index_data(a), indices.size(), at.shape[at.axis]);
  dispatch_numeric(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    const auto* x = static_cast<const T*>(a.in[0].data);
    Sums<T> sums(a.out, at.shape.size());
    auto* y = sums.data();
    each_indexed(index_data(a), indices, at.shape, at.axis,
                 [&](std::int64_t i, std::int64_t to) { kernels::Sum<T>::add(y[to], x[i]); });
  });
}

struct GatherCase {
  Shape whole, indices;
  int axis;
};
const GatherCase kGatherCases[] = {
    {{5}, {3}, 0}, {{3, 4}, {3, 2}, 1}, {{3, 4}, {5, 2}, 0}, {{2, 3, 2, 2}, {1, 4, 2, 2}, 1},
    {{3}, {0}, 0}, {{2, 3}, {2, 6}, 1}, {{1}, {4}, 0}};

template <class Call>
std::vector<Sample> gather_like_samples(const Sampler& s, bool forward, Call call) {
  std::vector<Sample> out;
  for (const GatherCase& c : kGatherCases) {
    const Tensor indices = sample_indices(c.indices, c.whole[c.axis]);
    out.push_back({c.indices.str() + " of " + c.whole.str(),
                   {s.draw(forward ? c.whole : c.indices)},
                   [=](std::span<const Var> in) { return call(in[0], indices, c); }});
  }
  return out;
}

std::vector<Sample> gather_samples(const Sampler& s) {
  return gather_like_samples(s, true, [](const Var& x, const Tensor& i, const GatherCase& c) {
    return gather(x, c.axis, i);
  });
}

std::vector<Sample> scatter_sum_samples(const Sampler& s) {
  return gather_like_samples(s, false, [](const Var& x, const Tensor& i, const GatherCase& c) {
    return scatter_add_along_axis(x, i, c.axis - c.whole.rank(), c.whole);
  });
}

constexpr Op kGather{.name = "gather",
                     .math = "y[…, k, …] = x[…, indices[…, k, …], …]",
                     .gradient = "x̄ = 0, x̄[…, indices[…, k, …], …] += ȳ[…, k, …]",
                     .arity = 2,
                     .infer = gather_infer,
                     .kernel = gather_kernel,
                     .vjp = {{[](const Vjp& v) {
                                const auto& at = v.attrs<AxisOf>();
                                return scatter_add_along_axis(v.ct, v.in(1), at.axis, at.shape);
                              },
                              reads_in(1)}},
                     .throws = true,
                     .linear = Linear::joint,
                     .samples = gather_samples};

constexpr Op kScatterSum{
    .name = "scatter_add_along_axis",
    .math = "y = 0, y[…, indices[…, k, …], …] += src[…, k, …]",
    .gradient = "s̄rc[…, k, …] = ȳ[…, indices[…, k, …], …]",
    .arity = 2,
    .infer = scatter_sum_infer,
    .kernel = scatter_sum_kernel,
    .vjp = {{[](const Vjp& v) { return gather(v.ct, v.attrs<AxisOf>().axis, v.in(1)); },
             reads_in(1)}},
    .throws = true,
    .linear = Linear::joint,
    .samples = scatter_sum_samples};

std::vector<Sample> take_along_axis_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const Shape& indices, std::int64_t axis) {
    const Tensor i = sample_indices(indices, shape[normalize_axis("", axis, shape)]);
    out.push_back({indices.str() + " of " + shape.str(),
                   {s.draw(shape)},
                   [=](std::span<const Var> in) { return take_along_axis(in[0], i, axis); }});
  };
  add({4}, {2}, 0);
  add({3, 4}, {1, 2}, -1);
  add({1, 4}, {3, 2}, 1);
  add({2, 3, 1, 2}, {2, 2, 2, 1}, 1);
  add({2, 0}, {0, 0}, 0);
  return out;
}

constexpr Op kTakeAlongAxis =
    composed("take_along_axis",
             {"y[…, k, …] = x[…, indices[…, k, …], …], broadcast on the other axes",
              "x̄ = 0, x̄[…, indices[…, k, …], …] += ȳ[…, k, …]"},
             take_along_axis_samples);

// --- index_select and its transpose ---------------------------------------------------------

// Both have values and a vector of indices; the shape in the attributes is that of the whole.
void check_vector(const InferArgs& a) {
  check_index_dtype(a.op.name, *a.in[1]);
  if (a.in[1]->shape.rank() == 1) return;
  throw ShapeError(a.op.name, "indices " + a.in[1]->shape.str() +
                                  ": must be a vector, write take(x, indices, axis) for others");
}

Spec index_select_infer(const InferArgs& a) {
  check_vector(a);
  Spec out = *a.in[0];
  out.shape[get_attrs<AxisOf>(a.attrs).axis] = a.in[1]->shape[0];
  return out;
}

void index_select_kernel(const KernelArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  const Blocks whole(at.shape, at.axis);
  const std::int64_t n = a.in[1].spec->shape[0];
  const std::int64_t* index = index_data(a);
  check_range(a.op.name, index, n, whole.extent);
  dispatch_width(a.spec.dtype, [&](auto unit) {
    using U = decltype(unit);
    const auto* x = static_cast<const U*>(a.in[0].data);
    auto* y = static_cast<U*>(a.out);
    for (std::int64_t o = 0; o < whole.outer; ++o, x += whole.extent * whole.inner) {
      for (std::int64_t k = 0; k < n; ++k, y += whole.inner) {
        const U* from = x + from_front(index[k], whole.extent) * whole.inner;
        if (whole.inner == 1) {
          *y = *from;
        } else {
          std::copy_n(from, whole.inner, y);
        }
      }
    }
  });
}

Spec index_sum_infer(const InferArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  numeric_unary(a);
  check_vector(a);
  if (a.in[0]->shape[at.axis] != a.in[1]->shape[0]) {
    throw ShapeError(a.op.name, "values " + a.in[0]->shape.str() + " and indices " +
                                    a.in[1]->shape.str() + ": there must be one index for each " +
                                    "position of axis " + std::to_string(at.axis));
  }
  return {at.shape, a.in[0]->dtype};
}

void index_sum_kernel(const KernelArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  const Blocks whole(at.shape, at.axis);
  const std::int64_t n = a.in[1].spec->shape[0];
  const std::int64_t* index = index_data(a);
  check_range(a.op.name, index, n, whole.extent);
  dispatch_numeric(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    const auto* x = static_cast<const T*>(a.in[0].data);
    Sums<T> sums(a.out, at.shape.size());
    auto* y = sums.data();
    for (std::int64_t o = 0; o < whole.outer; ++o, y += whole.extent * whole.inner) {
      for (std::int64_t k = 0; k < n; ++k, x += whole.inner) {
        auto* to = y + from_front(index[k], whole.extent) * whole.inner;
        kernels::add_row<kernels::Sum<T>>(to, x, whole.inner);
      }
    }
  });
}

struct SelectCase {
  Shape shape;
  int axis;
  std::vector<std::int64_t> indices;
};
std::vector<SelectCase> select_cases() {
  return {{{4}, 0, {1, 3, 1}}, {{3, 4}, 1, {0, -1, 2, 2, 0}},
          {{3, 4}, 0, {2, 0}}, {{2, 3, 2, 2}, 1, {2, -3}},
          {{3, 2}, 0, {}},     {{0, 2}, 1, {1, 1, 0}}};
}

std::vector<Sample> index_select_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const SelectCase& c : select_cases()) {
    const Tensor i = Tensor::from(c.indices);
    out.push_back({c.shape.str(), {s.draw(c.shape)}, [=](std::span<const Var> in) {
                     return index_select(in[0], c.axis, i);
                   }});
  }
  return out;
}

std::vector<Sample> index_sum_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const SelectCase& c : select_cases()) {
    const Tensor i = Tensor::from(c.indices);
    Shape part = c.shape;
    part[c.axis] = i.size();
    out.push_back({c.shape.str(), {s.draw(part)}, [=](std::span<const Var> in) {
                     return index_sum(in[0], c.axis - c.shape.rank(), i, c.shape[c.axis]);
                   }});
  }
  return out;
}

constexpr Op kIndexSelect{.name = "index_select",
                          .math = "y[…, k, …] = x[…, indices[k], …]",
                          .gradient = "x̄ = 0, x̄[…, indices[k], …] += ȳ[…, k, …]",
                          .arity = 2,
                          .infer = index_select_infer,
                          .kernel = index_select_kernel,
                          .vjp = {{[](const Vjp& v) {
                                     const auto& at = v.attrs<AxisOf>();
                                     return index_sum(v.ct, at.axis, v.in(1), at.shape[at.axis]);
                                   },
                                   reads_in(1)}},
                          .throws = true,
                          .linear = Linear::joint,
                          .samples = index_select_samples};

constexpr Op kIndexSum{
    .name = "index_sum",
    .math = "y = 0, y[…, indices[k], …] += src[…, k, …]",
    .gradient = "s̄rc[…, k, …] = ȳ[…, indices[k], …]",
    .arity = 2,
    .infer = index_sum_infer,
    .kernel = index_sum_kernel,
    .vjp = {{[](const Vjp& v) { return index_select(v.ct, v.attrs<AxisOf>().axis, v.in(1)); },
             reads_in(1)}},
    .throws = true,
    .linear = Linear::joint,
    .samples = index_sum_samples};

}  // namespace

Tensor indexed::sample_indices(const Shape& shape, std::int64_t extent, bool repeats, int axis) {
  Tensor out = Tensor::empty(shape, i64);
  auto* index = static_cast<std::int64_t*>(out.raw());
  const Blocks b(shape, axis);
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const auto once = [&] {
      return i / b.inner % b.extent + i / (b.inner * b.extent) + i % b.inner;
    };
    const std::int64_t k = repeats ? i * i + i / 2 : once();
    index[i] = k % extent - (i % 3 == 0 ? extent : 0);  // some count from the end
  }
  return out;
}

Var gather(const Var& x, std::int64_t axis, const Var& indices) {
  const Shape& shape = x.shape();
  return apply(kGather, {&x, &indices},
               make_attrs(AxisOf{normalize_axis("gather", axis, shape), shape}));
}

Var scatter_add_along_axis(const Var& src, const Var& indices, std::int64_t axis,
                           const Shape& shape) {
  const int at = normalize_axis("scatter_add_along_axis", axis, shape);
  return apply(kScatterSum, {&src, &indices}, make_attrs(AxisOf{at, shape}));
}

Var take_along_axis(const Var& x, const Var& indices, std::int64_t axis) {
  const Shape& shape = x.shape();
  const int at = normalize_axis("take_along_axis", axis, shape);
  if (indices.rank() != shape.rank()) {
    throw ShapeError("take_along_axis", "indices " + indices.shape().str() + " into " +
                                            shape.str() + ": ranks must agree");
  }
  Shape a = shape, b = indices.shape();
  a[at] = b[at] = 1;
  Shape from = broadcast("take_along_axis", a, b), to = from;
  from[at] = shape[at];
  to[at] = indices.shape()[at];
  const Var whole = beside(x, indices), places = beside(indices, x);
  return gather(from == shape ? whole : broadcast_to(whole, from), at,
                to == indices.shape() ? places : broadcast_to(places, to));
}

Var index_select(const Var& x, std::int64_t axis, const Var& indices) {
  const Shape& shape = x.shape();
  const int at = normalize_axis("index_select", axis, shape);
  const Var vector = indices.rank() == 0 ? reshape(beside(indices, x), {1}) : indices;
  return apply(kIndexSelect, {&x, &vector}, make_attrs(AxisOf{at, shape}));
}

Var index_sum(const Var& src, std::int64_t axis, const Var& indices, std::int64_t extent) {
  Shape shape = src.shape();
  const int at = normalize_axis("index_sum", axis, shape);
  if (extent < 0) throw ValueError("index_sum", "extent " + std::to_string(extent));
  shape[at] = extent;
  return apply(kIndexSum, {&src, &indices}, make_attrs(AxisOf{at, shape}));
}

namespace families {
Family gathering() { return {&kGather, &kScatterSum, &kTakeAlongAxis, &kIndexSelect, &kIndexSum}; }
}  // namespace families

}  // namespace xtape
