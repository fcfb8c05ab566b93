#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/index_kernels.hpp>
#include <xtape/autodiff/ops/internal.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace indexed;

// --- the largest (smallest) of x and what indices bring ---------------------------------------

Spec extremum_infer(const InferArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  floating_unary(a);
  check_same_dtype(a.op, *a.in[0], *a.in[2]);
  check_index_dtype(a.op.name, *a.in[1]);
  check_fits(a.op.name, a.in[1]->shape, at.shape, at.axis);
  return *a.in[0];
}

template <bool kLargest>
void extremum_kernel(const KernelArgs& a) {
  const auto& at = get_attrs<AxisOf>(a.attrs);
  const Shape& indices = a.in[1].spec->shape;
  const auto* index = static_cast<const std::int64_t*>(a.in[1].data);
  check_range(a.op.name, index, indices.size(), at.shape[at.axis]);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    const auto* src = static_cast<const T*>(a.in[2].data);
    auto* y = static_cast<T*>(a.out);
    std::copy_n(static_cast<const T*>(a.in[0].data), at.shape.size(), y);
    each_indexed(index, indices, at.shape, at.axis, [&](std::int64_t i, std::int64_t to) {
      kernels::Extremum<T, kLargest>::add(y[to], src[i]);
    });
  });
}

// Those that equal the result share its gradient.
Var extremum_vjp(const Vjp& v) {
  const auto& at = v.attrs<AxisOf>();
  const Var x = v.in(0), indices = v.in(1), src = v.in(2), y = v.out();
  const Var self = equal(x, y), brought = equal(src, gather(y, at.axis, indices));
  const Var ties =
      cast(self, i64) + scatter_add_along_axis(cast(brought, i64), indices, at.axis, at.shape);
  const Var share = v.ct / maximum(cast(ties, v.ct.dtype()), 1);
  return v.arg == 0 ? where(self, share, 0) : where(brought, gather(share, at.axis, indices), 0);
}

template <bool kLargest>
std::vector<Sample> extremum_samples(const Sampler& s);

constexpr std::uint32_t kReadsAll = reads_in(0) | reads_in(1) | reads_in(2) | kReadsOut;

template <bool kLargest>
constexpr Op extremum(std::string_view name, std::string_view math) {
  Op op;
  op.name = name;
  op.math = math;
  op.gradient = "ȳ, shared equally by those that equal y";
  op.arity = 3;
  op.infer = extremum_infer;
  op.kernel = extremum_kernel<kLargest>;
  op.vjp[0] = op.vjp[2] = {extremum_vjp, kReadsAll};
  op.throws = true;
  op.samples = extremum_samples<kLargest>;
  return op;
}

// The extremum of x and what is brought to it, a and b, as a sum over one element.
template <Join kJoin>
Var extremum_of_three(std::span<const Var> in) {
  return sum(scatter_reduce(stack({in[0]}), 0, Tensor({0, 0}, i64), stack({in[1], in[2]}), kJoin));
}
constexpr Edge kMaxEdges[] = {
    {"x = a > b", extremum_of_three<Join::amax>, 3, {2, 2, 1}, 2, {0.5, 0.5, 0}},
    {"a = b > x", extremum_of_three<Join::amax>, 3, {1, 2, 2}, 2, {0, 0.5, 0.5}}};
constexpr Edge kMinEdges[] = {
    {"x = a < b", extremum_of_three<Join::amin>, 3, {1, 1, 2}, 1, {0.5, 0.5, 0}},
    {"a = b < x", extremum_of_three<Join::amin>, 3, {2, 1, 1}, 1, {0, 0.5, 0.5}}};
constexpr Op kScatterMax =
    with_edges(extremum<true>("scatter_max", "y = max of x and what indices bring"), kMaxEdges);
constexpr Op kScatterMin =
    with_edges(extremum<false>("scatter_min", "y = min of x and what indices bring"), kMinEdges);

// --- the others, by sums and products ---------------------------------------------------------

// The product over an axis, by halves: it has every derivative, also where factors are 0.
Var product(Var x, int axis) {
  while (x.shape()[axis] > 1) {
    const std::int64_t n = x.shape()[axis], half = n / 2;
    const Var pairs = slice(x, axis, {0, half}) * slice(x, axis, {half, 2 * half});
    x = n % 2 ? concat({pairs, slice(x, axis, {2 * half, n})}, axis) : pairs;
  }
  return squeeze(x, axis);
}

// ∏ of x and what indices bring: for each element along the axis, the factors that go there, and 1
// for those that do not.
Var product_of(const Var& x, int axis, const Var& indices, const Var& src) {
  const std::int64_t n = x.shape()[axis];
  Shape part = indices.shape(), extents;
  for (int i = 0; i < x.rank(); ++i) extents.push_back(i == axis ? n : 1);
  const Var targets = unsqueeze(reshape(Tensor::arange(n), extents), axis + 1);
  // Checked, and counted from the front, before they are compared.
  const Var places = gather(reshape(Tensor::arange(n), {n}), 0, reshape(indices, {indices.size()}));
  const Var hit = equal(unsqueeze(reshape(places, part), axis), targets);
  const Var factors = product(where(hit, unsqueeze(src, axis), 1), axis + 1);
  std::vector<Slice> covered;
  for (int i = 0; i < x.rank(); ++i) covered.push_back({0, i == axis ? n : part[i]});
  part[axis] = n;
  if (part == x.shape()) return x * factors;
  return slice_scatter(x, slice(x, covered) * factors, covered);
}

}  // namespace

Var scatter_reduce(const Var& x, std::int64_t axis, const Var& indices, const Var& src, Join join,
                   bool with_self) {
  const int at = normalize_axis("scatter_reduce", axis, x.shape());
  const Var values = values_for("scatter_reduce", x, indices, src);
  if (indices.size() == 0) return clone(beside(x, values));
  const double inf = std::numeric_limits<double>::infinity();
  const double neutral = join == Join::prod   ? 1
                         : join == Join::amax ? -inf
                         : join == Join::amin ? inf
                                              : 0;
  const Var base = with_self ? beside(x, values) : scatter(x, at, indices, neutral);
  const auto extreme = [&](const Op& op) {
    return apply(op, {&base, &indices, &values}, make_attrs(AxisOf{at, x.shape()}));
  };
  if (join == Join::amax) return extreme(kScatterMax);
  if (join == Join::amin) return extreme(kScatterMin);
  if (join == Join::prod) return product_of(base, at, indices, values);
  const Var total = scatter_add(base, at, indices, values);
  if (join == Join::sum) return total;
  const Var ones = Tensor::ones(indices.shape(), x.dtype());
  const Var count = scatter_add_along_axis(ones, indices, at, x.shape());
  return total / (with_self ? count + 1 : maximum(count, 1));
}

namespace {

auto reduce_by(Join join, bool with_self, const Shape& indices, std::int64_t extent,
               std::int64_t axis) {
  const Tensor i = sample_indices(indices, extent);
  return [=](Operands x) { return scatter_reduce(x[0], axis, i, x[1], join, with_self); };
}

template <bool kLargest>
std::vector<Sample> extremum_samples(const Sampler& s) {
  const Join join = kLargest ? Join::amax : Join::amin;
  return cases(s, {{{{4}, {6}}, reduce_by(join, true, {6}, 4, 0)},
                   {{{3, 4}, {2, 3}}, reduce_by(join, true, {2, 3}, 4, -1)},
                   {{{2, 2, 1, 2}, {2, 3, 1, 2}}, reduce_by(join, false, {2, 3, 1, 2}, 2, 1)},
                   {{{3}, {2}}, reduce_by(join, false, {2}, 3, 0)}});
}

constexpr Op kScatterReduce = composed(
    "scatter_reduce",
    {"y = x joined with src[…, k, …] at […, indices[…, k, …], …]", "as that of sum, product, …"},
    [](const Sampler& s) {
      std::vector<Case> list{{{{0, 3}, {0, 2}}, reduce_by(Join::mean, true, {0, 2}, 3, 1)}};
      for (const Join join : {Join::sum, Join::prod, Join::mean, Join::amax, Join::amin}) {
        for (const bool self : {true, false}) {
          list.push_back({{{4}, {5}}, reduce_by(join, self, {5}, 4, 0)});
          list.push_back({{{3, 4}, {3, 5}}, reduce_by(join, self, {2, 3}, 4, -1)});
        }
        list.push_back({{{2, 2, 1, 2}, {}}, reduce_by(join, false, {2, 1, 1, 2}, 2, 1)});
      }
      return cases(s, list);
    });

}  // namespace

namespace families {
Family scatter_reduction() { return {&kScatterMax, &kScatterMin, &kScatterReduce}; }
}  // namespace families

}  // namespace xtape
