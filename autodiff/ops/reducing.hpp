#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/kernels/reducer.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

// What reductions over a set of axes share.
namespace xtape::rules {

/// The axes of a reduction, normalized.
struct ReduceAttrs {
  Axes axes;
  bool keepdims;
  std::string str() const { return "axes " + axes.str() + (keepdims ? ", keepdims" : ""); }
  bool operator==(const ReduceAttrs&) const = default;
};

inline Spec reduce_infer(const InferArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  const Spec s = numeric_unary(a);
  return {reduced(s.shape, attrs.axes, attrs.keepdims), s.dtype};
}

inline Spec floating_reduce_infer(const InferArgs& a) {
  floating_unary(a);
  return reduce_infer(a);
}

template <template <class> class R>
void reduce_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  dispatch_numeric(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    auto* out = static_cast<T*>(a.out);
    kernels::reduce<R<T>>(static_cast<const T*>(a.in[0].data), a.in[0].spec->shape, attrs.axes,
                          [&](std::int64_t i, auto acc) { out[i] = static_cast<T>(acc); });
  });
}

inline Axes reduced_axes(const Attrs* a) { return get_attrs<ReduceAttrs>(a).axes; }

/// A reduced value under the shape that broadcasts against the input again.
inline Var unreduced(const Var& y, const Vjp& v) {
  return reshape(y, reduced(v.in_spec().shape, v.attrs<ReduceAttrs>().axes, true));
}

inline Var over(const Op& op, const Var& x, const Axes& axes, bool keepdims) {
  return apply(op, {&x},
               make_attrs(ReduceAttrs{normalize_axes(op.name, axes, x.shape()), keepdims}));
}

/// The number of elements that go into one of the result.
inline std::int64_t reduced_size(std::string_view op, const Shape& shape, const Axes& axes) {
  std::int64_t n = 1;
  for (const std::int64_t a : normalize_axes(op, axes, shape)) n *= shape[static_cast<int>(a)];
  return n;
}

using ReductionFunction = Var (*)(const Var&, const Axes&, bool);
/// Samples of every rank and choice of axes; with `empty`, also of results over no elements.
std::vector<Sample> reduction_samples(const Sampler& s, ReductionFunction f, bool empty);
/// The same as a function of the sampler alone.
template <ReductionFunction kFunction, bool kEmpty = true>
std::vector<Sample> reduction_samples(const Sampler& s) {
  return reduction_samples(s, kFunction, kEmpty);
}

}  // namespace xtape::rules
