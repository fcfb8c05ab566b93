#include <cmath>
#include <limits>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::scan, kernels::Wide;

struct ScanAttrs {
  int axis;
  bool reverse = false;
  bool exclusive = false;
  std::string str() const {
    return "axis " + std::to_string(axis) + (reverse ? ", reverse" : "") +
           (exclusive ? ", exclusive" : "");
  }
  bool operator==(const ScanAttrs&) const = default;
};

struct Plus {
  static constexpr int kStart = 0;
  template <class W>
  XTAPE_INLINE W operator()(W a, W b) const {
    return a + b;
  }
};
struct Times {
  static constexpr int kStart = 1;
  template <class W>
  XTAPE_INLINE W operator()(W a, W b) const {
    return a * b;
  }
};

template <class Join>
void cumulative_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ScanAttrs>(a.attrs);
  dispatch_numeric(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    using W = Wide<T>;
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<T*>(a.out);
    const W start = Join::kStart;
    if (attrs.exclusive) {
      scan(a.spec.shape, attrs.axis, attrs.reverse, start,
           [=](W& s, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
             out[at] = static_cast<T>(s);
             s = Join{}(s, static_cast<W>(x[at]));
           });
      return;
    }
    scan(a.spec.shape, attrs.axis, attrs.reverse, start,
         [=](W& s, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
           s = Join{}(s, static_cast<W>(x[at]));
           out[at] = static_cast<T>(s);
         });
  });
}

// The largest element so far, and Σ e^(x − max).
template <class W>
struct LogSum {
  W max, sum;
};

void logcumsumexp_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ScanAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    using W = Wide<T>;
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<T*>(a.out);
    const LogSum<W> nothing{-std::numeric_limits<W>::infinity(), 0};
    scan(a.spec.shape, attrs.axis, attrs.reverse, nothing,
         [=](LogSum<W>& s, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
           const auto v = static_cast<W>(x[at]);
           const W apart = v == s.max ? 0 : std::abs(v - s.max);  // 0 for two infinities
           const W e = math::exp(-apart);
           s.sum = v > s.max ? s.sum * e + 1 : s.sum + e;
           s.max = v > s.max ? v : s.max;
           out[at] = static_cast<T>(s.max + std::log(s.sum));
         });
  });
}

template <class T>
struct Best {
  T value;
  std::int64_t at;
};

template <bool kLargest>
void cumulative_position_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ScanAttrs>(a.attrs);
  dispatch_numeric(a.in[0].spec->dtype, [&](auto t) {
    using T = decltype(t);
    const auto* x = static_cast<const T*>(a.in[0].data);
    auto* out = static_cast<std::int64_t*>(a.out);
    scan(a.spec.shape, attrs.axis, attrs.reverse, Best<T>{0, 0},
         [=](Best<T>& best, std::int64_t at, std::int64_t k) XTAPE_INLINE_LAMBDA {
           const T v = x[at];
           const bool wins = kLargest ? v >= best.value : v <= best.value;
           if (k == 0 || wins || v != v) best = {v, k};
           out[at] = best.at;
         });
  });
}

// hₖ = cₖ hₖ₋₁ + xₖ in the order of the walk; cₖ = aₖ, or aₖ₋₁ when `shifted`.
struct RecurrenceAttrs {
  int axis;
  bool reverse = false;
  bool shifted = false;
  std::string str() const {
    return "axis " + std::to_string(axis) + (reverse ? ", reverse" : "") +
           (shifted ? ", shifted" : "");
  }
  bool operator==(const RecurrenceAttrs&) const = default;
};

template <class W>
struct Carry {
  W h, a;
};

void recurrence_kernel(const KernelArgs& args) {
  const auto& attrs = get_attrs<RecurrenceAttrs>(args.attrs);
  dispatch_floating(args.spec.dtype, [&](auto t) {
    using T = decltype(t);
    using W = Wide<T>;
    const auto* a = static_cast<const T*>(args.in[0].data);
    const auto* x = static_cast<const T*>(args.in[1].data);
    auto* out = static_cast<T*>(args.out);
    const auto walk = [&](const auto& initial, const auto& step) {
      scan(args.spec.shape, attrs.axis, attrs.reverse, initial, step);
    };
    if (attrs.shifted) {
      walk(Carry<W>{0, 0}, [=](Carry<W>& c, std::int64_t at, std::int64_t) XTAPE_INLINE_LAMBDA {
        c.h = c.a * c.h + static_cast<W>(x[at]);
        c.a = static_cast<W>(a[at]);
        out[at] = static_cast<T>(c.h);
      });
      return;
    }
    walk(W{0}, [=](W& h, std::int64_t at, std::int64_t k) XTAPE_INLINE_LAMBDA {
      h = k == 0 ? static_cast<W>(x[at]) : static_cast<W>(a[at]) * h + static_cast<W>(x[at]);
      out[at] = static_cast<T>(h);
    });
  });
}

Spec recurrence_infer(const InferArgs& a) {
  check_same_dtype(a.op, *a.in[0], *a.in[1]);
  if (a.in[0]->shape != a.in[1]->shape) {
    throw ShapeError(a.op.name, "shapes " + a.in[0]->shape.str() + " and " + a.in[1]->shape.str() +
                                    ": must be equal");
  }
  return floating_unary(a);
}

Spec position_infer(const InferArgs& a) { return {numeric_unary(a).shape, i64}; }

Var scanned(const Op& op, const Var& x, const ScanAttrs& attrs) {
  return apply(op, {&x}, make_attrs(attrs));
}
Var recurrence(const Var& a, const Var& x, const RecurrenceAttrs& attrs);

// Element k is element k − 1 of x in the order of a walk, the first of which is `first` (or 0).
Var previous(const Var& x, int axis, bool reverse, Var first = {}) {
  if (x.shape()[axis] == 0) return x;
  if (!first.defined()) {
    Shape one = x.shape();
    one[axis] = 1;
    first = Tensor::zeros(one, x.dtype());
  }
  if (reverse) return concat({slice(x, axis, {.start = 1}), first}, axis);
  return concat({first, slice(x, axis, {.stop = -1})}, axis);
}

Var cumsum_vjp(const Vjp& v) {
  const auto& a = v.attrs<ScanAttrs>();
  return cumsum(v.ct, a.axis, {.reverse = !a.reverse, .exclusive = a.exclusive});
}

// ∂yₖ/∂xᵢ is the product of what comes before i, times that of what lies between i and k. The
// latter are summed by a recurrence against the walk.
Var cumprod_vjp(const Vjp& v) {
  const auto a = v.attrs<ScanAttrs>();
  const Var x = v.in(0);
  const Var before = cumprod(x, a.axis, {.reverse = a.reverse, .exclusive = true});
  Var after = recurrence(x, v.ct, {a.axis, !a.reverse, !a.exclusive});
  if (a.exclusive) after = previous(after, a.axis, !a.reverse);
  return chain(after, before);
}

// x̄ᵢ = e^(xᵢ − yᵢ) Sᵢ with Sᵢ = Σ ȳₖ e^(yᵢ − yₖ) over k ≥ i: a recurrence against the walk, whose
// coefficients are at most 1. Between equal infinities the difference is 0.
Var logcumsumexp_vjp(const Vjp& v) {
  const auto a = v.attrs<ScanAttrs>();
  const Var x = v.in(0), y = v.out();
  const auto ratio = [](const Var& p, const Var& q) { return exp(where(equal(p, q), 0, p - q)); };
  const Var coefficient = ratio(previous(y, a.axis, a.reverse), y);
  const Var later = recurrence(coefficient, v.ct, {a.axis, !a.reverse, true});
  const Var nothing = equal(y, -std::numeric_limits<double>::infinity());
  return chain(where(nothing, 0, later), ratio(x, y));
}

Var recurrence_vjp_x(const Vjp& v) {
  const auto& a = v.attrs<RecurrenceAttrs>();
  return recurrence(v.in(0), v.ct, {a.axis, !a.reverse, !a.shifted});
}

Var recurrence_vjp_a(const Vjp& v) {
  const auto a = v.attrs<RecurrenceAttrs>();
  const Var g = recurrence(v.in(0), v.ct, {a.axis, !a.reverse, !a.shifted});
  if (a.shifted) return chain(previous(g, a.axis, !a.reverse), v.out());
  return chain(g, previous(v.out(), a.axis, a.reverse));
}

struct ScanCase {
  Shape shape;
  std::int64_t axis;
};
const ScanCase kCases[] = {{{1}, 0},          {{6}, -1},      {{0}, 0},
                           {{3, 4}, 0},       {{9, 3}, 1},    {{2, 3, 2, 2}, 1},
                           {{2, 1, 2, 3}, 3}, {{2, 0, 3}, 1}, {{0, 3}, -1}};

std::vector<Sample> scan_samples(const Sampler& s, Var (*f)(const Var&, std::int64_t)) {
  std::vector<Sample> out;
  for (const ScanCase& c : kCases) {
    out.push_back({c.shape.str() + " along " + std::to_string(c.axis),
                   {s.draw(c.shape)},
                   [=](std::span<const Var> in) { return f(in[0], c.axis); }});
  }
  return out;
}

template <Var (*kScan)(const Var&, std::int64_t, const ScanOptions&)>
std::vector<Sample> cumulative_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const bool reverse : {false, true}) {
    for (const bool exclusive : {false, true}) {
      for (const ScanCase& c : kCases) {
        const ScanOptions o{reverse, exclusive};
        out.push_back({c.shape.str() + " along " + std::to_string(c.axis) +
                           (reverse ? " reverse" : "") + (exclusive ? " exclusive" : ""),
                       {s.draw(c.shape)},
                       [=](std::span<const Var> in) { return kScan(in[0], c.axis, o); }});
      }
    }
  }
  return out;
}

// Zeros among the elements: gradients must not divide by them.
std::vector<Sample> cumprod_samples(const Sampler& s) {
  std::vector<Sample> out = cumulative_samples<cumprod>(s);
  for (const Tensor& x :
       {Tensor({1.5, 0, -2, 0.5}), Tensor({1.5, 0, -2, 0, 0.7}), Tensor({0, 1.5, 0, -2, 0})}) {
    out.push_back({"zeros " + x.str(), {x.to(s.dtype)}, [](std::span<const Var> in) {
                     return cumprod(in[0], 0);
                   }});
  }
  return out;
}

std::vector<Sample> logcumsumexp_samples(const Sampler& s) { return scan_samples(s, logcumsumexp); }
std::vector<Sample> cumargmax_samples(const Sampler& s) { return scan_samples(s, cumargmax); }
std::vector<Sample> cumargmin_samples(const Sampler& s) { return scan_samples(s, cumargmin); }
std::vector<Sample> cummax_samples(const Sampler& s) {
  return scan_samples(s, [](const Var& x, std::int64_t axis) { return cummax(x, axis).values; });
}
std::vector<Sample> cummin_samples(const Sampler& s) {
  return scan_samples(s, [](const Var& x, std::int64_t axis) { return cummin(x, axis).values; });
}

std::vector<Sample> recurrence_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& a, const Shape& x, std::int64_t axis, bool reverse,
                       std::vector<Shape> initial = {}) {
    Sample sample{
        a.str() + x.str() + " along " + std::to_string(axis) + (reverse ? " reverse" : "") +
            (initial.empty() ? "" : " initial"),
        {s.draw(a), s.draw(x)},
        [=](std::span<const Var> in) {
          return linear_recurrence(in[0], in[1], {axis, reverse, in.size() > 2 ? in[2] : Var()});
        }};
    for (const Shape& shape : initial) sample.inputs.push_back(s.draw(shape));
    out.push_back(std::move(sample));
  };
  for (const bool reverse : {false, true}) {
    for (const ScanCase& c : kCases) add(c.shape, c.shape, c.axis, reverse);
    add({3}, {4, 3}, 0, reverse);
    add({}, {4, 3}, 1, reverse);
    add({2, 3, 1}, {3, 2}, 1, reverse, {{2, 2}});
    add({5}, {5}, 0, reverse, {{}});
  }
  return out;
}

constexpr Op kCumsum{.name = "cumsum",
                     .math = "yᵢ = Σ x₀…xᵢ",
                     .gradient = "x̄ᵢ = Σ ȳᵢ…ȳₙ",
                     .infer = numeric_unary,
                     .kernel = cumulative_kernel<Plus>,
                     .vjp = {{cumsum_vjp}},
                     .samples = cumulative_samples<cumsum>};

constexpr Op kCumprod{.name = "cumprod",
                      .math = "yᵢ = Π x₀…xᵢ",
                      .gradient = "x̄ᵢ = (Π x₀…xᵢ₋₁) Σₖ ȳₖ Π xᵢ₊₁…xₖ",
                      .infer = numeric_unary,
                      .kernel = cumulative_kernel<Times>,
                      .vjp = {{cumprod_vjp, reads_in(0)}},
                      .samples = cumprod_samples};

constexpr Op kLogcumsumexp{.name = "logcumsumexp",
                           .math = "yᵢ = ln Σ e^x₀…e^xᵢ",
                           .gradient = "x̄ᵢ = Σₖ ȳₖ e^(xᵢ − yₖ), k ≥ i",
                           .infer = floating_unary,
                           .kernel = logcumsumexp_kernel,
                           .vjp = {{logcumsumexp_vjp, reads_in(0) | kReadsOut}},
                           .samples = logcumsumexp_samples};

constexpr Op kCumargmax{.name = "cumargmax",
                        .math = "yᵢ = position of max x₀…xᵢ, the last of those that tie",
                        .gradient = "none: the result is an index",
                        .infer = position_infer,
                        .kernel = cumulative_position_kernel<true>,
                        .samples = cumargmax_samples};

constexpr Op kCumargmin{.name = "cumargmin",
                        .math = "yᵢ = position of min x₀…xᵢ, the last of those that tie",
                        .gradient = "none: the result is an index",
                        .infer = position_infer,
                        .kernel = cumulative_position_kernel<false>,
                        .samples = cumargmin_samples};

constexpr Op kRecurrence{
    .name = "linear_recurrence",
    .math = "hₜ = aₜ hₜ₋₁ + xₜ",
    .gradient = "gₜ = h̄ₜ + aₜ₊₁ gₜ₊₁; x̄ₜ = gₜ, āₜ = gₜ hₜ₋₁",
    .arity = 2,
    .infer = recurrence_infer,
    .kernel = recurrence_kernel,
    .vjp = {{recurrence_vjp_a, reads_in(0) | kReadsOut}, {recurrence_vjp_x, reads_in(0)}},
    .samples = recurrence_samples};

Var tied_maximum(std::span<const Var> in) { return sum(cummax(stack({in[0], in[1]}), 0).values); }
Var tied_minimum(std::span<const Var> in) { return sum(cummin(stack({in[0], in[1]}), 0).values); }
constexpr Edge kCummaxEdges[] = {
    {"x = (1, 1), Σ y: a tie", tied_maximum, 2, {1, 1}, 2, {1, 1}},
    {"x = (2, 1), Σ y", tied_maximum, 2, {2, 1}, 4, {2, 0}},
};
constexpr Edge kCumminEdges[] = {
    {"x = (1, 1), Σ y: a tie", tied_minimum, 2, {1, 1}, 2, {1, 1}},
    {"x = (1, 2), Σ y", tied_minimum, 2, {1, 2}, 2, {2, 0}},
};
constexpr Op kCummax = with_edges(
    composed("cummax", {"yᵢ = max x₀…xᵢ", "ȳᵢ to the element that was taken"}, cummax_samples),
    kCummaxEdges);
constexpr Op kCummin = with_edges(
    composed("cummin", {"yᵢ = min x₀…xᵢ", "ȳᵢ to the element that was taken"}, cummin_samples),
    kCumminEdges);

Var recurrence(const Var& a, const Var& x, const RecurrenceAttrs& attrs) {
  return apply(kRecurrence, {&a, &x}, make_attrs(attrs));
}

}  // namespace

Var cumsum(const Var& x, std::int64_t axis, const ScanOptions& o) {
  return scanned(kCumsum, x, {normalize_axis("cumsum", axis, x.shape()), o.reverse, o.exclusive});
}
Var cumprod(const Var& x, std::int64_t axis, const ScanOptions& o) {
  return scanned(kCumprod, x, {normalize_axis("cumprod", axis, x.shape()), o.reverse, o.exclusive});
}
Var logcumsumexp(const Var& x, std::int64_t axis) {
  return scanned(kLogcumsumexp, x, {normalize_axis("logcumsumexp", axis, x.shape())});
}
Var cumargmax(const Var& x, std::int64_t axis) {
  return scanned(kCumargmax, x, {normalize_axis("cumargmax", axis, x.shape())});
}
Var cumargmin(const Var& x, std::int64_t axis) {
  return scanned(kCumargmin, x, {normalize_axis("cumargmin", axis, x.shape())});
}
Selected cummax(const Var& x, std::int64_t axis) {
  const Var at = cumargmax(x, axis);
  return {take_along_axis(x, at, axis), at};
}
Selected cummin(const Var& x, std::int64_t axis) {
  const Var at = cumargmin(x, axis);
  return {take_along_axis(x, at, axis), at};
}

namespace {
// What comes before the first step goes into it: x₀ + a₀ h₋₁.
Var started(const Var& a, const Var& x, int axis, const RecurrenceOptions& o) {
  const Shape step = reduced(x.shape(), axis, false);
  const Var h = o.initial * Tensor::ones(step, x.dtype());  // a number takes the dtype of x
  if (h.shape() != step) {
    throw ShapeError("linear_recurrence",
                     "the initial state " + o.initial.shape().str() + " is none of " + step.str());
  }
  const Slice head = o.reverse ? Slice{-1, {}} : Slice{0, 1};
  const Slice tail = o.reverse ? Slice{{}, -1} : Slice{1, {}};
  const Var first = slice(x, axis, head) + slice(a, axis, head) * unsqueeze(h, axis);
  const Var rest = slice(x, axis, tail);
  return o.reverse ? concat({rest, first}, axis) : concat({first, rest}, axis);
}

}  // namespace

Var linear_recurrence(const Var& a0, const Var& x0, const RecurrenceOptions& o) {
  Var a = beside(a0, x0);
  if (o.initial.defined()) a = beside(a, o.initial);
  Var x = beside(x0, a);
  const Shape shape = broadcast("linear_recurrence", a.shape(), x.shape());
  const int axis = normalize_axis("linear_recurrence", o.axis, shape);
  if (a.shape() != shape) a = broadcast_to(a, shape);
  if (x.shape() != shape) x = broadcast_to(x, shape);
  if (o.initial.defined() && shape[axis] > 0) x = started(a, x, axis, o);
  return recurrence(a, x, {axis, o.reverse, false});
}
Var linear_recurrence(double a, const Var& x, const RecurrenceOptions& o) {
  return linear_recurrence(Tensor::full({}, a, x.dtype()), x, o);
}

namespace families {
Family scan() {
  return {&kCumsum,    &kCumprod, &kLogcumsumexp, &kCumargmax,
          &kCumargmin, &kCummax,  &kCummin,       &kRecurrence};
}
}  // namespace families

}  // namespace xtape
