#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/op.hpp>
#include <xtape/autodiff/rewrite.hpp>
#include <xtape/autodiff/sample.hpp>

// What op definitions share: shape and dtype rules, constructors for elementwise ops, samplers.
namespace xtape::rules {

inline Spec floating_unary(const InferArgs& a) {
  if (!is_floating(a.in[0]->dtype)) {
    throw DTypeError(a.op.name, std::string("operand ") + name(a.in[0]->dtype) +
                                    a.in[0]->shape.str() +
                                    ": takes f32 or f64, write cast(x, f32) or cast(x, f64)");
  }
  return *a.in[0];
}

inline Spec numeric_unary(const InferArgs& a) {
  if (a.in[0]->dtype != boolean) return *a.in[0];
  throw DTypeError(a.op.name, "a boolean operand: takes f32, f64 or i64, write cast(x, f32)");
}

inline void check_same_dtype(const Op& op, const Spec& a, const Spec& b) {
  if (a.dtype == b.dtype) return;
  throw DTypeError(op.name, std::string("operands ") + name(a.dtype) + a.shape.str() + " and " +
                                name(b.dtype) + b.shape.str() +
                                ": dtypes never mix silently, write cast(x, " + name(a.dtype) +
                                ") or cast(x, " + name(b.dtype) + ")");
}

inline Spec comparison(const InferArgs& a) {
  check_same_dtype(a.op, *a.in[0], *a.in[1]);
  return {broadcast(a.op.name, a.in[0]->shape, a.in[1]->shape), boolean};
}

inline Spec numeric_binary(const InferArgs& a) {
  const Spec s = comparison(a);
  numeric_unary(a);
  return {s.shape, a.in[0]->dtype};
}

inline Spec floating_binary(const InferArgs& a) {
  const Spec s = comparison(a);
  floating_unary(a);
  return {s.shape, a.in[0]->dtype};
}

template <class F>
void floating_unary_block(const BlockArgs& a) {
  dispatch_floating(a.dtype, [&](auto t) { kernels::unary_block<F, decltype(t)>(F{}, a); });
}

// Calls f with float, double or std::int64_t: what arithmetic takes.
template <class F>
void dispatch_numeric(DType dtype, F&& f) {
  if (dtype == i64) return f(std::int64_t{});
  dispatch_floating(dtype, f);
}

template <class F>
void numeric_unary_block(const BlockArgs& a) {
  dispatch_numeric(a.dtype, [&](auto t) { kernels::unary_block<F, decltype(t)>(F{}, a); });
}
template <class F>
void floating_binary_block(const BlockArgs& a) {
  dispatch_floating(a.dtype, [&](auto t) { kernels::binary_block<F, decltype(t)>(F{}, a); });
}
template <class F>
void numeric_binary_block(const BlockArgs& a) {
  dispatch_numeric(a.dtype, [&](auto t) { kernels::binary_block<F, decltype(t)>(F{}, a); });
}
template <class F>
void any_binary_block(const BlockArgs& a) {
  dispatch(a.dtype, [&](auto t) { kernels::binary_block<F, decltype(t)>(F{}, a); });
}

inline Spec floating_ternary(const InferArgs& a) {
  floating_unary(a);
  check_same_dtype(a.op, *a.in[0], *a.in[1]);
  check_same_dtype(a.op, *a.in[0], *a.in[2]);
  const Shape product = broadcast(a.op.name, a.in[0]->shape, a.in[1]->shape);
  return {broadcast(a.op.name, product, a.in[2]->shape), a.in[0]->dtype};
}
template <class F>
void floating_ternary_block(const BlockArgs& a) {
  dispatch_floating(a.dtype,
                    [&](auto t) { kernels::ternary_block<decltype(t), decltype(t)>(F{}, a); });
}

/// What an elementwise function takes beside its operands, such as a slope: up to three numbers.
struct Params {
  double p[3] = {};
  int n = 0;
  Params(std::initializer_list<double> numbers) {
    for (const double x : numbers) p[n++] = x;
  }
  std::string str() const {
    std::string out;
    for (int i = 0; i < n; ++i) out += (i ? ", " : "") + detail::text(p[i]);
    return out;
  }
  bool operator==(const Params&) const = default;
};
// F<T> is made from the three numbers: F<T>{const double*}.
template <template <class> class F>
void parametric_block(const BlockArgs& a) {
  const double* p = get_attrs<Params>(a.attrs).p;
  dispatch_floating(a.dtype, [&](auto t) {
    using T = decltype(t);
    kernels::unary_block<F<T>, T>(F<T>(p), a);
  });
}

/// Samples of an elementwise op without attributes: every rank, empty, and broadcast pairs.
std::vector<Sample> elementwise_samples(const Sampler& s);

struct Text {
  std::string_view math, gradient;
};

/// An elementwise op of any kind; operands broadcast against each other.
constexpr Op pointwise(std::string_view name, Text text, Spec (*infer)(const InferArgs&),
                       void (*block)(const BlockArgs&), std::initializer_list<VjpRule> vjp) {
  Op op;
  op.name = name;
  op.math = text.math;
  op.gradient = text.gradient;
  op.arity = 0;
  op.infer = infer;
  op.kernel = kernels::elementwise;
  op.block = block;
  for (const VjpRule& rule : vjp) op.vjp[op.arity++] = rule;
  op.broadcasts = op.arity > 1;
  op.samples = elementwise_samples;
  return op;
}

/// Elementwise ops of one or two operands, floating or (numeric) also i64, from a scalar functor.
template <class F>
constexpr Op unary(std::string_view name, Text text, VjpRule vjp) {
  return pointwise(name, text, floating_unary, floating_unary_block<F>, {vjp});
}
/// The same from a lambda without captures.
template <class F>
constexpr Op unary(std::string_view name, F, Text text, VjpRule vjp) {
  return unary<F>(name, text, vjp);
}
template <class F>
constexpr Op binary(std::string_view name, F, Text text, VjpRule a, VjpRule b) {
  return pointwise(name, text, floating_binary, floating_binary_block<F>, {a, b});
}
template <class F>
constexpr Op numeric_unary_op(std::string_view name, Text text, VjpRule vjp) {
  return pointwise(name, text, numeric_unary, numeric_unary_block<F>, {vjp});
}
template <class F>
constexpr Op binary(std::string_view name, Text text, VjpRule a, VjpRule b) {
  return pointwise(name, text, floating_binary, floating_binary_block<F>, {a, b});
}
template <class F>
constexpr Op numeric_binary_op(std::string_view name, Text text, VjpRule a, VjpRule b) {
  return pointwise(name, text, numeric_binary, numeric_binary_block<F>, {a, b});
}

/// An elementwise op of one floating operand that takes Params, from a scalar functor made of them.
/// Gradient rules read them by v.attrs<Params>().p. `call` is the public function with the numbers
/// of its samples.
template <template <class> class F>
constexpr Op parametric(std::string_view name, Text text, VjpRule vjp,
                        std::vector<Sample> (*samples)(const Sampler&)) {
  Op op = pointwise(name, text, floating_unary, parametric_block<F>, {vjp});
  op.samples = samples;
  return op;
}
/// elementwise_samples of a function of one operand with numbers of its own.
template <Var (*kCall)(const Var&)>
std::vector<Sample> called_samples(const Sampler& s) {
  std::vector<Sample> out = elementwise_samples(s);
  for (Sample& sample : out) {
    sample.call = [](std::span<const Var> in) { return kCall(in[0]); };
  }
  return out;
}

/// The entry of a public function that is made of other ops: see Op::composed.
constexpr Op composed(std::string_view name, Text text,
                      std::vector<Sample> (*samples)(const Sampler&)) {
  Op op;
  op.name = name;
  op.math = text.math;
  op.gradient = text.gradient;
  op.samples = samples;
  return op;
}
/// `op` with what its gradient is at kinks, ties and edges of its domain.
constexpr Op with_edges(Op op, std::span<const Edge> edges) {
  op.edges = edges;
  return op;
}

/// `op` with samples drawn from [low, high).
constexpr Op on(Op op, double low, double high) {
  op.domain[0] = low;
  op.domain[1] = high;
  return op;
}
/// `op` with a rule by which programs make this use of it cheaper.
constexpr Op simplified(Op op, Var (*rule)(const Rewrite&)) {
  op.simplify = rule;
  return op;
}
/// `op` with samples that keep away from one or two points.
constexpr Op avoiding(Op op, double kink, double second = 1e300) {
  op.kinks[0] = kink;
  op.kinks[1] = second;
  return op;
}

inline Var pass(const Vjp& v) { return v.ct; }
/// The gradient of what is flat everywhere: zeros, whatever the cotangent.
inline Var flat(const Vjp& v) { return Tensor::zeros(v.ct.shape(), v.ct.dtype()); }

[[noreturn]] inline void throw_nothing(std::string_view op, const Shape& shape) {
  throw ShapeError(op, "shape " + shape.str() + " has no elements to choose from");
}

}  // namespace xtape::rules

namespace xtape::families {

using Family = std::vector<const Op*>;
// One list per file of op definitions; registry.cpp joins them.
Family activation();
Family along_axis();
Family arithmetic();
Family attention();
Family axes();
Family axis_maps();
Family blending();
Family checkpointing();
Family checks();
Family class_losses();
Family comparison();
Family convolution();
Family ctc();
Family custom();
Family decomposition();
Family determinants();
Family diagonals();
Family distance();
Family einsum();
Family embedding();
Family extremum();
Family gathering();
Family grid_sampling();
Family indexing();
Family joining();
Family linalg();
Family linear_systems();
Family logarithmic();
Family losses();
Family margin_losses();
Family masking();
Family matrix();
Family normalization();
Family norms();
Family padding();
Family pooling();
Family products();
Family random();
Family rearranging();
Family recurrence();
Family reduction();
Family resampling();
Family rounding();
Family scan();
Family scatter_reduction();
Family scattering();
Family shaping();
Family slicing();
Family sorting();
Family special();
Family statistics();
Family subscript();
Family transcendental();
Family trigonometric();
Family unfolding();
Family user();

}  // namespace xtape::families
