#include <algorithm>
#include <limits>
#include <vector>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::Lines;

// The first `count` positions in order.
struct SortAttrs {
  int axis;
  bool descending;
  std::int64_t count;
  std::string str() const {
    return "axis " + std::to_string(axis) + (descending ? ", descending" : "") + ", first " +
           std::to_string(count);
  }
  bool operator==(const SortAttrs&) const = default;
};

template <class T>
struct Ranked {
  T value;
  std::int64_t at;
};

// NaN last in ascending order; ties by position.
template <bool kDescending, class T>
bool goes_before(const Ranked<T>& a, const Ranked<T>& b) {
  const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  if (a_nan || b_nan) return a_nan == b_nan ? a.at < b.at : (kDescending ? a_nan : b_nan);
  if (a.value != b.value) return kDescending ? a.value > b.value : a.value < b.value;
  return a.at < b.at;
}

template <bool kDescending, class T>
void order(std::span<Ranked<T>> line, std::int64_t count) {
  const auto before = [](const Ranked<T>& a, const Ranked<T>& b) {
    return goes_before<kDescending>(a, b);
  };
  const auto end = line.begin() + count;
  // Few of many are found faster in one pass that keeps them.
  if (count > static_cast<std::int64_t>(line.size()) / 8) {
    if (end != line.end()) std::nth_element(line.begin(), end, line.end(), before);
    std::sort(line.begin(), end, before);
  } else {
    std::partial_sort(line.begin(), end, line.end(), before);
  }
}

void argsort_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<SortAttrs>(a.attrs);
  if (a.spec.shape.size() == 0) return;
  dispatch_numeric(a.in[0].spec->dtype, [&](auto t) {
    using T = decltype(t);
    const Lines lines(a.in[0].spec->shape, attrs.axis);
    std::vector<Ranked<T>, memory::Recycler<Ranked<T>>> line(static_cast<std::size_t>(lines.n));
    std::int64_t number = 0;
    lines.each([&](std::int64_t at, std::int64_t stride, std::int64_t n) {
      const auto* x = static_cast<const T*>(a.in[0].data) + at;
      auto* out = static_cast<std::int64_t*>(a.out) + number / stride * stride * attrs.count +
                  number % stride;
      ++number;
      for (std::int64_t i = 0; i < n; ++i) line[static_cast<std::size_t>(i)] = {x[i * stride], i};
      const std::span<Ranked<T>> all(line);
      attrs.descending ? order<true>(all, attrs.count) : order<false>(all, attrs.count);
      for (std::int64_t i = 0; i < attrs.count; ++i) {
        out[i * stride] = line[static_cast<std::size_t>(i)].at;
      }
    });
  });
}

Spec argsort_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<SortAttrs>(a.attrs);
  Shape shape = numeric_unary(a).shape;
  if (shape.rank() > 0) shape[attrs.axis] = attrs.count;
  return {shape, i64};
}

double argsort_flop(const InferArgs& a, const Spec&) {
  double n = static_cast<double>(a.in[0]->shape.size()), levels = 1;
  for (double k = 1; k < n; k *= 2) ++levels;
  return n * levels;
}

struct SortCase {
  Shape shape;
  std::int64_t axis;
};
const SortCase kCases[] = {{{1}, 0},          {{7}, -1},    {{0}, 0},   {{5, 3}, 0},
                           {{2, 3, 2, 2}, 1}, {{2, 6}, -1}, {{0, 3}, 1}};

// Numbers a good step apart from each other, in any order: differences never swap two.
Tensor distinct(const Sampler& s, const Shape& shape) {
  const Tensor noise = s.draw(shape, 0, 1), shuffle = s.draw(shape, 0, 1);
  Tensor out = noise.clone();
  std::vector<std::int64_t> rank(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < rank.size(); ++i) rank[i] = static_cast<std::int64_t>(i);
  std::sort(rank.begin(), rank.end(),
            [&](auto i, auto j) { return shuffle.flat(i) < shuffle.flat(j); });
  std::vector<double> values(rank.size());
  for (std::size_t i = 0; i < rank.size(); ++i) {
    const double step = static_cast<double>(rank[i]) - static_cast<double>(rank.size()) / 2;
    values[i] = 0.2 * step + 0.05 * noise.flat(static_cast<std::int64_t>(i));
  }
  return reshape(Tensor::from(values), shape).value().to(s.dtype);
}

template <class F>
std::vector<Sample> order_samples(const Sampler& s, bool empty, F f) {
  std::vector<Sample> out;
  for (const SortCase& c : kCases) {
    if (!empty && c.shape[normalize_axis("sort", c.axis, c.shape)] == 0) continue;
    out.push_back({c.shape.str() + " along " + std::to_string(c.axis),
                   {distinct(s, c.shape)},
                   [=](std::span<const Var> in) { return f(in[0], c.axis); }});
  }
  return out;
}
void append(std::vector<Sample>& to, std::vector<Sample> more) {
  for (Sample& s : more) to.push_back(std::move(s));
}

template <class F>
std::vector<Sample> both_ways(const Sampler& s, bool empty, F f) {
  auto out = order_samples(s, empty, [=](const Var& x, std::int64_t a) { return f(x, a, false); });
  append(out, order_samples(s, empty, [=](const Var& x, std::int64_t a) { return f(x, a, true); }));
  return out;
}

std::vector<Sample> argsort_samples(const Sampler& s) { return both_ways(s, true, argsort); }
std::vector<Sample> sort_samples(const Sampler& s) {
  return both_ways(s, true, [](const Var& x, std::int64_t axis, bool descending) {
    return sort(x, axis, descending).values;
  });
}
std::vector<Sample> topk_samples(const Sampler& s) {
  return both_ways(s, true, [](const Var& x, std::int64_t axis, bool largest) {
    const std::int64_t n = x.shape()[normalize_axis("topk", axis, x.shape())];
    return topk(x, (n + 1) / 2, axis, largest).values;
  });
}
std::vector<Sample> kthvalue_samples(const Sampler& s) {
  return both_ways(s, false, [](const Var& x, std::int64_t axis, bool keepdims) {
    const std::int64_t n = x.shape()[normalize_axis("kthvalue", axis, x.shape())];
    return kthvalue(x, (n + 2) / 2, axis, keepdims).values;
  });
}
std::vector<Sample> median_samples(const Sampler& s) {
  auto out = both_ways(s, false, [](const Var& x, std::int64_t axis, bool keepdims) {
    return median(x, axis, keepdims).values;
  });
  out.push_back(
      {"of all", {distinct(s, {2, 3, 2})}, [](std::span<const Var> in) { return median(in[0]); }});
  return out;
}
std::vector<Sample> largest_samples(const Sampler& s) {
  return both_ways(s, false, [](const Var& x, std::int64_t axis, bool keepdims) {
    return max_with_indices(x, axis, keepdims).values;
  });
}
std::vector<Sample> smallest_samples(const Sampler& s) {
  return both_ways(s, false, [](const Var& x, std::int64_t axis, bool keepdims) {
    return min_with_indices(x, axis, keepdims).values;
  });
}
std::vector<Sample> msort_samples(const Sampler& s) {
  return order_samples(s, true, [](const Var& x, std::int64_t) { return msort(x); });
}

std::vector<Sample> quantile_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const Tensor& q, const QuantileOptions& o) {
    out.push_back({shape.str() + " at " + q.str(),
                   {distinct(s, shape), q.to(s.dtype)},
                   [=](std::span<const Var> in) { return quantile(in[0], in[1], o); }});
  };
  using I = QuantileInterpolation;
  add({}, Tensor::scalar(0.3), {});
  add({5}, Tensor::scalar(0.3), {});
  add({5}, Tensor({0.1, 0.9, 0.3}), {.keepdims = true});
  add({4, 5}, Tensor::scalar(0.6), {.axis = 0});
  add({4, 5}, Tensor({0.6, 0.2}), {.axis = -1, .keepdims = true});
  add({2, 3, 2, 2}, Tensor({0.4}), {.axis = 1});
  add({2, 3, 2}, Tensor({0.4, 0.77}), {});
  add({0, 3}, Tensor::scalar(0.6), {.axis = 1});
  for (const auto i : {I::lower, I::higher, I::midpoint, I::nearest}) {
    add({2, 4}, Tensor({0.4, 0.71}), {.axis = 1, .interpolation = i});
  }
  return out;
}

constexpr Op kArgsort{.name = "argsort",
                      .math = "y = the positions of x in order",
                      .gradient = "none: the result is an index",
                      .infer = argsort_infer,
                      .kernel = argsort_kernel,
                      .flop = argsort_flop,
                      .samples = argsort_samples};

constexpr std::string_view kChosen = "ȳ to the elements that were chosen, 0 to the others";
Var tied_largest(std::span<const Var> in) {
  return max_with_indices(stack({in[0], in[1]}), 0).values;
}
Var tied_smallest(std::span<const Var> in) {
  return min_with_indices(stack({in[0], in[1]}), 0).values;
}
Var tied_median(std::span<const Var> in) { return median(stack({in[0], in[1], in[2]})); }
constexpr Edge kLargestEdges[] = {{"a tie: the first", tied_largest, 2, {1, 1}, 1, {1, 0}}};
constexpr Edge kSmallestEdges[] = {{"a tie: the first", tied_smallest, 2, {1, 1}, 1, {1, 0}}};
constexpr Edge kMedianEdges[] = {{"a tie", tied_median, 3, {1, 1, 2}, 1, {0, 1, 0}}};

constexpr Op kSort = composed("sort", {"y = x in order", kChosen}, sort_samples);
constexpr Op kMsort = composed("msort", {"y = x in order along axis 0", kChosen}, msort_samples);
constexpr Op kTopk = composed("topk", {"y = the k largest of x", kChosen}, topk_samples);
constexpr Op kKthvalue =
    composed("kthvalue", {"y = the k-th smallest of x", kChosen}, kthvalue_samples);
constexpr Op kMedian =
    with_edges(composed("median", {"y = the element of rank ⌊(n − 1)/2⌋", kChosen}, median_samples),
               kMedianEdges);
constexpr Op kMaxWithIndices =
    with_edges(composed("max_with_indices", {"y = max x", "ȳ to the first of the largest elements"},
                        largest_samples),
               kLargestEdges);
constexpr Op kMinWithIndices =
    with_edges(composed("min_with_indices",
                        {"y = min x", "ȳ to the first of the smallest elements"}, smallest_samples),
               kSmallestEdges);
constexpr Op kQuantile =
    composed("quantile", {"y = the element of rank q (n − 1)", "ȳ to the neighbours, by weight"},
             quantile_samples);

Var first_in_order(const Var& x, int axis, bool descending, std::int64_t count) {
  return apply(kArgsort, {&x}, make_attrs(SortAttrs{axis, descending, count}));
}

std::int64_t extent(const Shape& shape, int axis) { return shape.rank() ? shape[axis] : 1; }

// x at `indices`, which have extent 1 along the axis.
Selected chosen(const Var& x, const Var& indices, int axis, bool keepdims) {
  const Shape shape = reduced(x.shape(), axis, keepdims);
  return {reshape(take_along_axis(x, indices, axis), shape), reshape(indices, shape)};
}

// Whether there is a NaN along the axis, which stays.
Var any_nan(const Var& x, int axis) {
  return greater(sum(cast(not_equal(x, x), i64), axis, true), 0);
}

// The rank rounded to the nearest integer, halfway to the even one, as i64.
Var nearest_rank(const Var& rank, const Var& below, const Var& part) {
  const Var base = cast(below, rank.dtype());
  const Var odd = not_equal(cast(cast(base * 0.5, i64), rank.dtype()) * 2, base);
  const Var up = where(equal(part, 0.5), cast(odd, i64), cast(greater(part, 0.5), i64));
  return below + up;
}

}  // namespace

Var argsort(const Var& x, std::int64_t axis, bool descending) {
  const int a = normalize_axis("argsort", axis, x.shape());
  return first_in_order(x, a, descending, extent(x.shape(), a));
}
Selected sort(const Var& x, std::int64_t axis, bool descending) {
  const Var at = argsort(x, axis, descending);
  return {take_along_axis(x, at, axis), at};
}
Var msort(const Var& x) { return sort(x, 0).values; }

Selected topk(const Var& x, std::int64_t k, std::int64_t axis, bool largest) {
  const int a = normalize_axis("topk", axis, x.shape());
  if (k < 0 || k > extent(x.shape(), a)) {
    throw ValueError("topk", std::to_string(k) + " of " + std::to_string(extent(x.shape(), a)) +
                                 " elements along axis " + std::to_string(a) + " of shape " +
                                 x.shape().str());
  }
  const Var at = first_in_order(x, a, largest, k);
  return {take_along_axis(x, at, a), at};
}

Selected kthvalue(const Var& x, std::int64_t k, std::int64_t axis, bool keepdims) {
  const int a = normalize_axis("kthvalue", axis, x.shape());
  if (k < 1 || k > extent(x.shape(), a)) {
    throw ValueError("kthvalue", "element " + std::to_string(k) + " along axis " +
                                     std::to_string(a) + " of shape " + x.shape().str() +
                                     ": counted from 1");
  }
  const Var at = slice(first_in_order(x, a, false, k), a, {.start = k - 1});
  return chosen(x, at, a, keepdims);
}

Selected median(const Var& x, std::int64_t axis, bool keepdims) {
  const int a = normalize_axis("median", axis, x.shape());
  const std::int64_t n = extent(x.shape(), a);
  if (n == 0) throw_nothing("median", x.shape());
  const std::int64_t k = (n - 1) / 2;
  const Var middle = slice(first_in_order(x, a, false, k + 1), a, {.start = k});
  if (!is_floating(x.dtype())) return chosen(x, middle, a, keepdims);
  // argmax finds the first NaN.
  return chosen(x, where(any_nan(x, a), argmax(x, a, true), middle), a, keepdims);
}
Var median(const Var& x) { return median(reshape(x, {x.size()}), 0).values; }

Selected max_with_indices(const Var& x, std::int64_t axis, bool keepdims) {
  const int a = normalize_axis("max_with_indices", axis, x.shape());
  return chosen(x, argmax(x, a, true), a, keepdims);
}
Selected min_with_indices(const Var& x, std::int64_t axis, bool keepdims) {
  const int a = normalize_axis("min_with_indices", axis, x.shape());
  return chosen(x, argmin(x, a, true), a, keepdims);
}

Var quantile(const Var& operand, const Var& fraction, const QuantileOptions& o) {
  const Var x = beside(operand, fraction);
  if (!is_floating(x.dtype())) {
    throw DTypeError("quantile", std::string("operand ") + name(x.dtype()) + x.shape().str() +
                                     ": takes f32 or f64, write cast(x, f32)");
  }
  const Var q = beside(fraction, x) * Tensor::ones({}, x.dtype());  // a number takes the dtype of x
  if (q.rank() > 1) {
    throw ShapeError("quantile", "q of shape " + q.shape().str() + ": a number or a vector");
  }
  const Axes all = normalize_axes("quantile", o.axis ? Axes(*o.axis) : Axes(), x.shape());
  const int axis = o.axis ? static_cast<int>(all[0]) : 0;
  const Var lines = o.axis ? x : reshape(x, {x.size()});
  const std::int64_t n = lines.shape()[axis], count = q.size();
  if (n == 0) throw_nothing("quantile", x.shape());
  // Ranks along the axis, and what lies at and above them.
  Shape along, several = lines.shape();
  for (int i = 0; i < lines.rank(); ++i) along.push_back(i == axis ? count : 1);
  several[axis] = count;
  const Var rank = reshape(q * static_cast<double>(n - 1), along);
  Var low = cast(rank, i64);
  const Var part = rank - cast(low, x.dtype());
  Var high = where(greater(part, 0), low + 1, low);
  if (o.interpolation == QuantileInterpolation::nearest) low = nearest_rank(rank, low, part);
  const Var sorted = sort(lines, axis).values;
  const auto at = [&](const Var& r) {
    return take_along_axis(sorted, broadcast_to(r, several), axis);
  };
  Var y;
  switch (o.interpolation) {
    case QuantileInterpolation::linear:
      y = at(low) + part * (at(high) - at(low));
      break;
    case QuantileInterpolation::midpoint:
      y = at(low) + 0.5 * (at(high) - at(low));
      break;
    case QuantileInterpolation::higher:
      y = at(high);
      break;
    default:
      y = at(low);
  }
  y = where(any_nan(lines, axis), std::numeric_limits<double>::quiet_NaN(), y);
  // The quantiles go to the front, before what remains of x.
  Axes order = axis;
  for (int i = 0; i < lines.rank(); ++i) {
    if (i != axis) order.push_back(i);
  }
  const Shape rest = reduced(x.shape(), all, o.keepdims);
  if (q.rank() == 0) return reshape(y, rest);
  Shape shape{count};
  for (const std::int64_t d : rest) shape.push_back(d);
  return reshape(transpose(y, order), shape);
}

namespace families {
Family sorting() {
  return {&kArgsort, &kSort,           &kMsort,          &kTopk,    &kKthvalue,
          &kMedian,  &kMaxWithIndices, &kMinWithIndices, &kQuantile};
}
}  // namespace families

}  // namespace xtape
