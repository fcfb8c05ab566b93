#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/lines.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using kernels::scan, kernels::Wide;

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
      const W c = static_cast<W>(a[at]);
      h = (k == 0 ? 0 : c) * h + static_cast<W>(x[at]);
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
    for (const Shape& shape : {Shape{1}, Shape{6}, Shape{0}, Shape{2, 0, 3}, Shape{2, 3, 2, 2}}) {
      for (int axis = 0; axis < shape.rank() && axis < 2; ++axis) add(shape, shape, axis, reverse);
    }
    add({9, 3}, {9, 3}, -1, reverse);
    add({3}, {4, 3}, 0, reverse);
    add({}, {4, 3}, 1, reverse);
    add({2, 3, 1}, {3, 2}, 1, reverse, {{2, 2}});
    add({5}, {5}, 0, reverse, {{}});
  }
  return out;
}

constexpr Op kRecurrence{
    .name = "linear_recurrence",
    .math = "hₜ = aₜ hₜ₋₁ + xₜ",
    .gradient = "gₜ = h̄ₜ + aₜ₊₁ gₜ₊₁; x̄ₜ = gₜ, āₜ = gₜ hₜ₋₁",
    .arity = 2,
    .infer = recurrence_infer,
    .kernel = recurrence_kernel,
    .vjp = {{recurrence_vjp_a, reads_in(0) | kReadsOut}, {recurrence_vjp_x, reads_in(0)}},
    .samples = recurrence_samples};

// What comes before the first step goes into it: x₀ + a₀ h₋₁.
Var started(const Var& a, const Var& x, int axis, const RecurrenceOptions& o) {
  const Shape step = reduced(x.shape(), axis, false);
  const Var h =
      beside(o.initial, x) * Tensor::ones(step, x.dtype());  // a number takes the dtype of x
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

Var previous(const Var& x, int axis, bool reverse) {
  if (x.shape()[axis] == 0) return x;
  Shape one = x.shape();
  one[axis] = 1;
  const Var first = Tensor::zeros(one, x.dtype());
  if (reverse) return concat({slice(x, axis, {.start = 1}), first}, axis);
  return concat({first, slice(x, axis, {.stop = -1})}, axis);
}

Var recurrence(const Var& a, const Var& x, const RecurrenceAttrs& attrs) {
  return apply(kRecurrence, {&a, &x}, make_attrs(attrs));
}

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
  return linear_recurrence(Tensor::full({}, a, x.dtype()),
                           o.initial.defined() ? beside(x, o.initial) : x, o);
}

namespace families {
Family recurrence() { return {&kRecurrence}; }
}  // namespace families

}  // namespace xtape
