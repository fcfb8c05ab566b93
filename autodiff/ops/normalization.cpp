#include <xtape/autodiff/kernels/standardize.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/p_norm.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;

struct StandardizeAttrs {
  Axes axes;  // normalized
  double eps;
  bool centred;
  std::string str() const {
    return "axes " + axes.str() + ", eps " + detail::text(eps) + (centred ? "" : ", mean square");
  }
  bool operator==(const StandardizeAttrs&) const = default;
};

Spec grad_infer(const InferArgs& a) {
  check_same_dtype(a.op, *a.in[0], *a.in[1]);
  if (a.in[0]->shape != a.in[1]->shape) {
    throw ShapeError(a.op.name, "shapes " + a.in[0]->shape.str() + " and " + a.in[1]->shape.str() +
                                    ": must be equal");
  }
  return floating_unary(a);
}

// Calls f(standardizer, x, out) with x the input `k`.
template <class F>
void with_standardizer(const KernelArgs& a, std::size_t k, F&& f) {
  const auto& attrs = get_attrs<StandardizeAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    const kernels::Standardizer<T> s(a.in[k].spec->shape, attrs.axes, attrs.eps, attrs.centred);
    f(s, static_cast<const T*>(a.in[k].data), static_cast<T*>(a.out));
  });
}

void standardize_kernel(const KernelArgs& a) {
  with_standardizer(a, 0, [](const auto& s, const auto* x, auto* out) { s.standardize(x, out); });
}
void deviation_kernel(const KernelArgs& a) {
  with_standardizer(a, 0,
                    [](const auto& s, const auto* x, auto* out) { s.inverse_deviation(x, out); });
}
void grad_kernel(const KernelArgs& a) {
  with_standardizer(a, 1, [&](const auto& s, const auto* x, auto* out) {
    s.gradient(static_cast<decltype(x)>(a.in[0].data), x, out);
  });
}

Var standardize(const Var& x, const StandardizeAttrs& a);
Var inverse_deviation(const Var& x, const StandardizeAttrs& a);
Var standardize_grad(const Var& ct, const Var& x, const StandardizeAttrs& a);

Var standardize_vjp(const Vjp& v) {
  return standardize_grad(v.ct, v.in(0), v.attrs<StandardizeAttrs>());
}

// ∂s/∂x = −s² y/n.
Var deviation_vjp(const Vjp& v) {
  const auto& a = v.attrs<StandardizeAttrs>();
  const double n = static_cast<double>(v.in_spec().shape.size()) /
                   std::max(1.0, static_cast<double>(v.out_spec().shape.size()));
  return standardize(v.in(0), a) * (v.ct * square(v.out()) / -n);
}

// The gradient g(ȳ, x) = s (ȳ − mean ȳ − y mean ȳy) is linear in ȳ and its own adjoint. It depends
// on x through y and through s.
Var grad_vjp_x(const Vjp& v) {
  const auto& a = v.attrs<StandardizeAttrs>();
  const Var ct = v.in(0), x = v.in(1);
  const Var y = standardize(x, a), s = inverse_deviation(x, a);
  const Var by_y = -s * (v.ct * mean(ct * y, a.axes, true) + ct * mean(v.ct * y, a.axes, true));
  return standardize_grad(by_y, x, a) - y * (s * mean(v.ct * v.out(), a.axes, true));
}

struct Case {
  Shape shape;
  Axes axes;
};
const std::vector<Case> kCases{{{5}, 0},          {{3, 4}, 1},         {{4, 3}, 0},
                               {{2, 3, 2, 2}, 1}, {{3, 2, 4}, {0, 2}}, {{2, 2, 3}, {-2, -1}},
                               {{0, 3}, 1},       {{2, 3, 2}, {}}};

std::vector<Sample> case_samples(const Sampler& s, Var (*f)(Values, const StandardizeAttrs&),
                                 std::size_t operands) {
  std::vector<Sample> out;
  for (const bool centred : {true, false}) {
    for (const Case& c : kCases) {
      const StandardizeAttrs attrs{normalize_axes("standardize", c.axes, c.shape), 0.1, centred};
      Sample sample{c.shape.str() + ' ' + attrs.str(), {}, [=](Values in) { return f(in, attrs); }};
      for (std::size_t i = 0; i < operands; ++i) sample.inputs.push_back(s.draw(c.shape));
      out.push_back(sample);
    }
  }
  return out;
}
std::vector<Sample> standardize_samples(const Sampler& s) {
  return case_samples(
      s, [](Values in, const auto& a) { return standardize(in[0], a); }, 1);
}
std::vector<Sample> deviation_samples(const Sampler& s) {
  return case_samples(
      s, [](Values in, const auto& a) { return inverse_deviation(in[0], a); }, 1);
}
std::vector<Sample> grad_samples(const Sampler& s) {
  return case_samples(
      s, [](Values in, const auto& a) { return standardize_grad(in[0], in[1], a); }, 2);
}

constexpr Op kStandardize{.name = "standardize",
                          .math = "y = (x − μ) s, s = 1/√(σ² + ε)",
                          .gradient = "x̄ = s (ȳ − mean ȳ − y mean ȳy)",
                          .infer = floating_unary,
                          .kernel = standardize_kernel,
                          .vjp = {{standardize_vjp, reads_in(0)}},
                          .samples = standardize_samples};

constexpr Op kInverseDeviation{.name = "inverse_deviation",
                               .math = "s = 1/√(σ² + ε)",
                               .gradient = "x̄ = −s̄ s² y/n",
                               .infer = [](const InferArgs& a) -> Spec {
                                 const auto& attrs = get_attrs<StandardizeAttrs>(a.attrs);
                                 const Spec s = floating_unary(a);
                                 return {reduced(s.shape, attrs.axes, true), s.dtype};
                               },
                               .kernel = deviation_kernel,
                               .vjp = {{deviation_vjp, reads_in(0) | kReadsOut}},
                               .samples = deviation_samples};

constexpr Op kStandardizeGrad{.name = "standardize_grad",
                              .math = "g = s (c − mean c − y mean cy)",
                              .gradient = "c̄ = s (ḡ − mean ḡ − y mean ḡy); x̄ through y and s",
                              .arity = 2,
                              .infer = grad_infer,
                              .kernel = grad_kernel,
                              .vjp = {{[](const Vjp& v) {
                                         return standardize_grad(v.ct, v.in(1),
                                                                 v.attrs<StandardizeAttrs>());
                                       },
                                       reads_in(1)},
                                      {grad_vjp_x, reads_in(0) | reads_in(1) | kReadsOut}},
                              .samples = grad_samples};

Var standardize(const Var& x, const StandardizeAttrs& a) {
  return apply(kStandardize, {&x}, make_attrs(a));
}
Var inverse_deviation(const Var& x, const StandardizeAttrs& a) {
  return apply(kInverseDeviation, {&x}, make_attrs(a));
}
Var standardize_grad(const Var& ct, const Var& x, const StandardizeAttrs& a) {
  return apply(kStandardizeGrad, {&ct, &x}, make_attrs(a));
}

// y·weight + bias, both read under `shape`.
Var scale_and_shift(const Var& y, const Var& weight, const Var& bias, const Shape& shape) {
  const auto operand = [&](const Var& p) { return reshape(beside(p, y), shape); };
  if (weight.defined() && bias.defined()) return multiply_add(y, operand(weight), operand(bias));
  if (weight.defined()) return y * operand(weight);
  return bias.defined() ? y + operand(bias) : y;
}

void check_operand(const char* op, const char* what, const Var& p, const Shape& want) {
  if (!p.defined() || p.shape() == want) return;
  throw ShapeError(op,
                   std::string(what) + " of shape " + p.shape().str() + ": must be " + want.str());
}

// x, beside the first of the parameters that is on a tape.
Var joined(const Var& x, const NormOptions& o) {
  return beside(o.weight.defined() ? beside(x, o.weight) : x, o.bias);
}

Var over_last(const char* op, const Var& input, const Shape& normalized, const NormOptions& o,
              bool centred) {
  const Var x = joined(input, o);
  const int n = normalized.rank(), lead = x.rank() - n;
  if (n == 0 || lead < 0 || Shape(x.shape().begin() + lead, x.shape().end()) != normalized) {
    throw ShapeError(op, "normalized shape " + normalized.str() + " of x " + x.shape().str() +
                             ": must be its last axes, one or more");
  }
  check_operand(op, "weight", o.weight, normalized);
  check_operand(op, "bias", o.bias, normalized);
  Axes axes;
  for (int i = lead; i < x.rank(); ++i) axes.push_back(i);
  const Var y = standardize(x, StandardizeAttrs{axes, o.eps, centred});
  return scale_and_shift(y, o.weight, o.bias, normalized);
}

}  // namespace

Var standardize(const Var& x, const Axes& axes, double eps) {
  return standardize(x,
                     StandardizeAttrs{normalize_axes("standardize", axes, x.shape()), eps, true});
}

Var layer_norm(const Var& x, const Shape& normalized, const NormOptions& o) {
  return over_last("layer_norm", x, normalized, o, true);
}
Var rms_norm(const Var& x, const Shape& normalized, const NormOptions& o) {
  return over_last("rms_norm", x, normalized, o, false);
}

namespace {

std::int64_t channels_of(const char* op, const Var& x) {
  if (x.rank() >= 2) return x.shape()[1];
  throw ShapeError(op, "x of shape " + x.shape().str() + ": must be [batch, channels, …]");
}

// [channels] against [batch, channels, …].
Shape channel_shape(const Var& x) {
  Shape shape{x.shape()[1]};
  for (int i = 2; i < x.rank(); ++i) shape.push_back(1);
  return shape;
}

Var old_part(const Var& old, double momentum) { return stop_gradient(old) * (1 - momentum); }

// The new running statistics: of x over `axes`, then averaged over the samples, if they are apart.
void update(BatchNorm& result, const Var& input, const Axes& axes, std::int64_t n,
            const BatchNormOptions& o) {
  const Var x = stop_gradient(input);
  const auto blend = [&](const Var& old, const Var& now) {
    const Var each = reshape(now, {-1, x.shape()[1]});
    return old_part(beside(old, x), o.momentum) + o.momentum * mean(each, 0);
  };
  const Var m = mean(x, axes, true);
  if (o.running_mean.defined()) result.running_mean = blend(o.running_mean, m);
  if (!o.running_var.defined()) return;
  const Var squares = sum(square(x - m), axes, true);
  result.running_var = blend(o.running_var, squares / static_cast<double>(n - 1));
}

// `first`: the first axis that is normalized besides those behind the channels.
BatchNorm channel_norm(const char* op, const Var& input, const BatchNormOptions& o, bool batch) {
  const std::int64_t channels = channels_of(op, input);
  const Var x = joined(input, {o.weight, o.bias, o.eps});
  check_operand(op, "weight", o.weight, {channels});
  check_operand(op, "bias", o.bias, {channels});
  check_operand(op, "running_mean", o.running_mean, {channels});
  check_operand(op, "running_var", o.running_var, {channels});
  const Shape against = channel_shape(x);
  BatchNorm result{{}, o.running_mean, o.running_var};
  if (!o.training) {
    if (!o.running_mean.defined() || !o.running_var.defined()) {
      throw ValueError(op, "no running statistics: they are needed when not training");
    }
    const Var centre = reshape(beside(o.running_mean, x), against);
    const Var variance = reshape(beside(o.running_var, x), against);
    result.y = scale_and_shift((x - centre) / sqrt(variance + o.eps), o.weight, o.bias, against);
    return result;
  }
  Axes axes;
  std::int64_t n = batch ? x.shape()[0] : 1;
  if (batch) axes.push_back(0);
  for (int i = 2; i < x.rank(); ++i) {
    axes.push_back(i);
    n *= x.shape()[i];
  }
  if (n == 1) {
    throw ShapeError(op, "x of shape " + x.shape().str() +
                             " has one value to take the statistics of: it would always become 0");
  }
  result.y = scale_and_shift(standardize(x, StandardizeAttrs{axes, o.eps, true}), o.weight, o.bias,
                             against);
  if (x.size() > 0) update(result, x, axes, n, o);
  return result;
}

}  // namespace

BatchNorm batch_norm(const Var& x, const BatchNormOptions& o) {
  return channel_norm("batch_norm", x, o, true);
}
BatchNorm instance_norm(const Var& x, const BatchNormOptions& o) {
  return channel_norm("instance_norm", x, o, false);
}

Var group_norm(const Var& input, std::int64_t groups, const NormOptions& o) {
  const std::int64_t channels = channels_of("group_norm", input);
  if (groups < 1 || channels % groups != 0) {
    throw ShapeError("group_norm", std::to_string(channels) + " channels in " +
                                       std::to_string(groups) + " groups: must divide");
  }
  check_operand("group_norm", "weight", o.weight, {channels});
  check_operand("group_norm", "bias", o.bias, {channels});
  const Var x = joined(input, o);
  std::int64_t n = channels / groups;
  for (int i = 2; i < x.rank(); ++i) n *= x.shape()[i];
  const Var y = standardize(reshape(x, {x.shape()[0], groups, n}), 2, o.eps);
  return scale_and_shift(reshape(y, x.shape()), o.weight, o.bias, channel_shape(x));
}

namespace {

std::vector<Sample> layer_samples(const Sampler& s,
                                  Var (*f)(const Var&, const Shape&, const NormOptions&)) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const Shape& normalized) {
    const std::string label = shape.str() + " over " + normalized.str();
    out.push_back(
        {label, {s.draw(shape)}, [=](Values in) { return f(in[0], normalized, {.eps = 0.1}); }});
    out.push_back(
        {label + " with weight and bias",
         {s.draw(shape), s.draw(normalized), s.draw(normalized)},
         [=](Values in) { return f(in[0], normalized, {.weight = in[1], .bias = in[2]}); }});
  };
  add({4}, {4});
  add({2, 3}, {3});
  add({2, 2, 3}, {2, 3});
  add({2, 1, 2, 3}, {3});
  add({0, 3}, {3});
  return out;
}
std::vector<Sample> layer_norm_samples(const Sampler& s) { return layer_samples(s, layer_norm); }
std::vector<Sample> rms_norm_samples(const Sampler& s) { return layer_samples(s, rms_norm); }

std::vector<Sample> channel_samples(const Sampler& s,
                                    BatchNorm (*f)(const Var&, const BatchNormOptions&)) {
  std::vector<Sample> out;
  const auto weights = [&] { return s.draw({2}, 0.5, 1.5); };
  for (const Shape& shape : {Shape{3, 2, 2}, Shape{2, 2, 2, 2}, Shape{0, 2, 3}}) {
    out.push_back(
        {shape.str(), {s.draw(shape)}, [=](Values in) { return f(in[0], {.eps = 0.1}).y; }});
    out.push_back(
        {shape.str() + " with weight and bias",
         {s.draw(shape), weights(), weights()},
         [=](Values in) { return f(in[0], {.weight = in[1], .bias = in[2], .eps = 0.1}).y; }});
    out.push_back({shape.str() + " by running statistics",
                   {s.draw(shape), weights(), weights(), weights()},
                   [=](Values in) {
                     return f(in[0], {.weight = in[1],
                                      .running_mean = in[2],
                                      .running_var = in[3],
                                      .training = false})
                         .y;
                   }});
  }
  return out;
}
std::vector<Sample> batch_norm_samples(const Sampler& s) {
  auto out = channel_samples(s, batch_norm);
  out.push_back({"no axes behind the channels", {s.draw({4, 2})}, [](Values in) {
                   return batch_norm(in[0], {.eps = 0.1}).y;
                 }});
  return out;
}
std::vector<Sample> instance_norm_samples(const Sampler& s) {
  return channel_samples(s, instance_norm);
}

std::vector<Sample> group_norm_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{2, 4}, Shape{2, 4, 2}, Shape{1, 4, 1, 2}, Shape{0, 4, 2}}) {
    out.push_back({shape.str(), {s.draw(shape)}, [](Values in) {
                     return group_norm(in[0], 2, {.eps = 0.1});
                   }});
    out.push_back({shape.str() + " with weight and bias",
                   {s.draw(shape), s.draw({4}), s.draw({4})},
                   [](Values in) {
                     return group_norm(in[0], 1, {.weight = in[1], .bias = in[2], .eps = 0.1});
                   }});
  }
  return out;
}

constexpr Text kAffine{"y = w (x − μ)/√(σ² + ε) + b",
                       "x̄ = s (w ȳ − mean w ȳ − z mean w ȳz), "
                       "z = (x − μ) s; w̄ = Σ ȳ z, b̄ = Σ ȳ"};
constexpr Op kLayerNorm = composed("layer_norm", kAffine, layer_norm_samples);
constexpr Op kBatchNorm = composed("batch_norm", kAffine, batch_norm_samples);
constexpr Op kInstanceNorm = composed("instance_norm", kAffine, instance_norm_samples);
constexpr Op kGroupNorm = composed("group_norm", kAffine, group_norm_samples);
constexpr Op kRmsNorm =
    composed("rms_norm", {"y = w x s + b, s = 1/√(mean x² + ε)", "x̄ = s (w ȳ − x s mean w ȳxs)"},
             rms_norm_samples);

}  // namespace

Standardization standardization_of(const Attrs* standardize) {
  const auto& a = get_attrs<StandardizeAttrs>(standardize);
  return {a.axes, a.eps, a.centred};
}

namespace families {
Family normalization() {
  return {&kStandardize, &kInverseDeviation, &kStandardizeGrad, &kLayerNorm,
          &kBatchNorm,   &kInstanceNorm,     &kGroupNorm,       &kRmsNorm};
}
}  // namespace families

}  // namespace xtape
