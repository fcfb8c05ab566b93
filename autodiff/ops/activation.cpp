#include <cmath>
#include <limits>
#include <numbers>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using std::numbers::inv_sqrtpi, std::numbers::sqrt2;

constexpr auto kIn0 = reads_in(0);

double number(const Vjp& v, int i = 0) { return v.attrs<Params>().p[i]; }

// --- slopes on both sides of 0 ----------------------------------------------------------------

template <class T>
struct LeakyRelu {
  explicit LeakyRelu(const double* p) : slope(static_cast<T>(p[0])) {}
  XTAPE_INLINE T operator()(T x) const { return x > 0 ? x : slope * x; }
  T slope;
};

Var leaky(const Var& x) { return leaky_relu(x, 0.2); }
Var leaky_edge(std::span<const Var> x) { return leaky_relu(x[0], 0.25); }
constexpr Edge kLeakyEdges[] = {
    {.where = "x = 0 (slope 0.25)", .call = leaky_edge, .at = {0}, .y = 0, .gradient = {0.25}}};
constexpr Op kLeakyRelu = with_edges(
    avoiding(parametric<LeakyRelu>(
                 "leaky_relu", {"y = x for x > 0, else s x", "x̄ = ȳ for x > 0, else s ȳ"},
                 {[](const Vjp& v) { return where(v.in(0) > 0, v.ct, number(v) * v.ct); }, kIn0},
                 called_samples<leaky>),
             0),
    kLeakyEdges);

// scale·x for x > 0, else scale·α (e^(βx) − 1): elu, selu and celu.
template <class T>
struct Elu {
  explicit Elu(const double* p)
      : alpha(static_cast<T>(p[0])), scale(static_cast<T>(p[1])), beta(static_cast<T>(p[2])) {}
  XTAPE_INLINE T operator()(T x) const {
    return x > 0 ? scale * x : scale * alpha * math::expm1(beta * x);
  }
  T alpha, scale, beta;
};

Var elu_vjp(const Vjp& v) {
  const Var x = v.in(0);
  const double scale = number(v, 1), factor = number(v) * scale * number(v, 2);
  const Var below = clamp(x, -std::numeric_limits<double>::infinity(), 0);  // exp stays finite
  return chain(v.ct, where(x > 0, scale, factor * exp(number(v, 2) * below)));
}

Var elu_half(const Var& x) { return elu(x, 0.5); }
Var elu_edge(std::span<const Var> x) { return elu(x[0], 0.5); }
Var celu_edge(std::span<const Var> x) { return celu(x[0], 0.5); }
constexpr Edge kEluEdges[] = {
    {.where = "x = 0 (elu, α = 0.5)", .call = elu_edge, .at = {0}, .y = 0, .gradient = {0.5}},
    {.where = "x = 0 (celu)", .call = celu_edge, .at = {0}, .y = 0, .gradient = {1}}};
constexpr Op kElu = with_edges(
    avoiding(
        parametric<Elu>("elu", {"y = x for x > 0, else α (eˣ − 1)", "x̄ = ȳ for x > 0, else ȳ α eˣ"},
                        {elu_vjp, kIn0}, called_samples<elu_half>),
        0),
    kEluEdges);

// --- smooth -----------------------------------------------------------------------------------

constexpr Op kSilu = unary("silu", [](auto x) XTAPE_INLINE_LAMBDA { return x * math::sigmoid(x); },
                           {"y = x s, s = sigmoid x", "x̄ = ȳ s (1 + x (1 − s))"},
                           {[](const Vjp& v) {
                              const Var x = v.in(0), s = sigmoid(x);
                              return chain(v.ct, s * (1 + x * (1 - s)));
                            },
                            kIn0});

constexpr double kSqrtHalf = 1 / sqrt2;
constexpr double kDensity = inv_sqrtpi * kSqrtHalf;  // 1 / √(2π)

struct GeluExact {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return T{0.5} * x * (1 + math::erf(x * static_cast<T>(kSqrtHalf)));
  }
};
constexpr Op kGelu = unary<GeluExact>(
    "gelu", {"y = x Φ(x)", "x̄ = ȳ (Φ(x) + x φ(x))"},
    {[](const Vjp& v) {
       const Var x = v.in(0);
       return chain(v.ct, 0.5 * (1 + erf(x * kSqrtHalf)) + x * (kDensity * exp(-0.5 * square(x))));
     },
     kIn0});

constexpr double kGeluScale = 2 * kDensity, kGeluCubic = 0.044715;  // √(2/π)
struct GeluTanh {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    const T u = static_cast<T>(kGeluScale) * (x + static_cast<T>(kGeluCubic) * x * x * x);
    return T{0.5} * x * (1 + math::tanh(u));
  }
};
constexpr Op kGeluTanh = unary<GeluTanh>(
    "gelu_tanh",
    {"y = ½ x (1 + t), t = tanh(√(2/π) (x + 0.044715 x³))",
     "x̄ = ½ ȳ (1 + t + x (1 − t²) √(2/π) (1 + 0.134145 x²))"},
    {[](const Vjp& v) {
       const Var x = v.in(0), xx = square(x);
       const Var t = tanh(kGeluScale * x * (1 + kGeluCubic * xx));
       return chain(v.ct,
                    0.5 * (1 + t + x * (1 - square(t)) * kGeluScale * (1 + 3 * kGeluCubic * xx)));
     },
     kIn0});

constexpr Op kMish =
    unary("mish", [](auto x) XTAPE_INLINE_LAMBDA { return x * math::tanh(math::softplus(x)); },
          {"y = x t, t = tanh(softplus x)", "x̄ = ȳ (t + x (1 − t²) sigmoid x)"},
          {[](const Vjp& v) {
             const Var x = v.in(0), t = tanh(softplus(x));
             return chain(v.ct, t + x * (1 - square(t)) * sigmoid(x));
           },
           kIn0});

constexpr Op kSoftsign =
    unary("softsign", [](auto x) { return x / (1 + std::abs(x)); },
          {"y = x / (1 + |x|)", "x̄ = ȳ / (1 + |x|)²"},
          {[](const Vjp& v) { return chain(v.ct, 1 / square(1 + abs(v.in(0)))); }, kIn0});

// --- shrinking --------------------------------------------------------------------------------

template <class T>
struct Softshrink {
  explicit Softshrink(const double* p) : lambda(static_cast<T>(p[0])) {}
  XTAPE_INLINE T operator()(T x) const {
    return x > lambda ? x - lambda : x < -lambda ? x + lambda : x * 0;  // keeps NaN
  }
  T lambda;
};
template <class T>
struct Hardshrink {
  explicit Hardshrink(const double* p) : lambda(static_cast<T>(p[0])) {}
  XTAPE_INLINE T operator()(T x) const { return x >= -lambda && x <= lambda ? T{0} : x; }
  T lambda;
};
template <class T>
struct Threshold {
  explicit Threshold(const double* p)
      : threshold(static_cast<T>(p[0])), value(static_cast<T>(p[1])) {}
  XTAPE_INLINE T operator()(T x) const { return x <= threshold ? value : x; }
  T threshold, value;
};

Var outside(const Vjp& v) { return where(abs(v.in(0)) > number(v), v.ct, 0); }

Var softshrink_half(const Var& x) { return softshrink(x); }
Var hardshrink_half(const Var& x) { return hardshrink(x); }
Var threshold_half(const Var& x) { return threshold(x, 0.5, -3); }
Var softshrink_edge(std::span<const Var> x) { return softshrink(x[0]); }
Var hardshrink_edge(std::span<const Var> x) { return hardshrink(x[0]); }
Var threshold_edge(std::span<const Var> x) { return threshold(x[0], 0.5, -3); }

constexpr Edge kSoftshrinkEdges[] = {
    {.where = "x = λ", .call = softshrink_edge, .at = {0.5}, .y = 0, .gradient = {0}}};
constexpr Edge kHardshrinkEdges[] = {
    {.where = "x = λ", .call = hardshrink_edge, .at = {0.5}, .y = 0, .gradient = {0}}};
constexpr Edge kThresholdEdges[] = {
    {.where = "x = threshold", .call = threshold_edge, .at = {0.5}, .y = -3, .gradient = {0}}};

constexpr Op kSoftshrink = with_edges(
    avoiding(parametric<Softshrink>("softshrink",
                                    {"y = x ∓ λ for |x| > λ, else 0", "x̄ = ȳ for |x| > λ, else 0"},
                                    {outside, kIn0}, called_samples<softshrink_half>),
             -0.5, 0.5),
    kSoftshrinkEdges);
constexpr Op kHardshrink = with_edges(
    avoiding(parametric<Hardshrink>("hardshrink",
                                    {"y = x for |x| > λ, else 0", "x̄ = ȳ for |x| > λ, else 0"},
                                    {outside, kIn0}, called_samples<hardshrink_half>),
             -0.5, 0.5),
    kHardshrinkEdges);
constexpr Op kThreshold = with_edges(
    avoiding(parametric<Threshold>(
                 "threshold", {"y = x for x > θ, else v", "x̄ = ȳ for x > θ, else 0"},
                 {[](const Vjp& v) { return where(v.in(0) > number(v), v.ct, 0); }, kIn0},
                 called_samples<threshold_half>),
             0.5),
    kThresholdEdges);

// --- composed ---------------------------------------------------------------------------------

Var relu6_edge(std::span<const Var> x) { return relu6(x[0]); }
Var hardtanh_edge(std::span<const Var> x) { return hardtanh(x[0]); }
Var hardsigmoid_edge(std::span<const Var> x) { return hardsigmoid(x[0]); }
Var hardswish_edge(std::span<const Var> x) { return hardswish(x[0]); }
constexpr Edge kRelu6Edges[] = {
    {.where = "x = 0", .call = relu6_edge, .at = {0}, .y = 0, .gradient = {0}},
    {.where = "x = 6", .call = relu6_edge, .at = {6}, .y = 6, .gradient = {0}}};
constexpr Edge kHardtanhEdges[] = {
    {.where = "x = 1", .call = hardtanh_edge, .at = {1}, .y = 1, .gradient = {0}}};
constexpr Edge kHardsigmoidEdges[] = {
    {.where = "x = 3", .call = hardsigmoid_edge, .at = {3}, .y = 1, .gradient = {0}}};
constexpr Edge kHardswishEdges[] = {
    {.where = "x = −3", .call = hardswish_edge, .at = {-3}, .y = 0, .gradient = {0}},
    {.where = "x = 3", .call = hardswish_edge, .at = {3}, .y = 3, .gradient = {1}}};

Var hardtanh_unit(const Var& x) { return hardtanh(x); }
Var softplus_twice(const Var& x) { return softplus(x, 2, 1); }
Var selu_of(const Var& x) { return selu(x); }
Var celu_half(const Var& x) { return celu(x, 0.5); }

constexpr Op kSelu = avoiding(composed("selu",
                                       {"y = 1.0507 x for x > 0, else 1.7581 (eˣ − 1)",
                                        "x̄ = 1.0507 ȳ for x > 0, else 1.7581 ȳ eˣ"},
                                       called_samples<selu_of>),
                              0);
constexpr Op kCelu =
    composed("celu", {"y = x for x > 0, else α (e^(x/α) − 1)", "x̄ = ȳ for x > 0, else ȳ e^(x/α)"},
             called_samples<celu_half>);
constexpr Op kLogSigmoid =
    composed("log_sigmoid", {"y = −ln(1 + e⁻ˣ)", "x̄ = ȳ sigmoid(−x)"}, called_samples<log_sigmoid>);
constexpr Op kHardtanh =
    with_edges(avoiding(composed("hardtanh", {"y = x in [low, high]", "x̄ = ȳ inside, else 0"},
                                 called_samples<hardtanh_unit>),
                        -1, 1),
               kHardtanhEdges);
constexpr Op kRelu6 = with_edges(
    avoiding(composed("relu6", {"y = x in [0, 6]", "x̄ = ȳ inside, else 0"}, called_samples<relu6>),
             0, 6),
    kRelu6Edges);
constexpr Op kHardsigmoid = with_edges(
    on(avoiding(composed("hardsigmoid", {"y = relu6(x + 3) / 6", "x̄ = ȳ / 6 for |x| < 3, else 0"},
                         called_samples<hardsigmoid>),
                -3, 3),
       -4, 4),
    kHardsigmoidEdges);
constexpr Op kHardswish =
    with_edges(on(avoiding(composed("hardswish",
                                    {"y = x relu6(x + 3) / 6",
                                     "x̄ = ȳ (2x + 3) / 6 for |x| < 3, ȳ for x ≥ 3, else 0"},
                                    called_samples<hardswish>),
                           -3, 3),
                  -4, 4),
               kHardswishEdges);
constexpr Op kTanhshrink =
    composed("tanhshrink", {"y = x − tanh x", "x̄ = ȳ tanh² x"}, called_samples<tanhshrink>);
constexpr Op kSoftplusScaled =
    avoiding(composed("softplus (beta, threshold)", {"y = ln(1 + e^βx) / β", "x̄ = ȳ sigmoid(βx)"},
                      called_samples<softplus_twice>),
             0.5);

std::vector<Sample> prelu_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& x, const Shape& w) {
    out.push_back({x.str() + w.str(), {s.draw(x), s.draw(w)}, [](std::span<const Var> in) {
                     return prelu(in[0], in[1]);
                   }});
  };
  add({}, {});
  add({5}, {1});
  add({2, 3}, {3});
  add({2, 3, 2, 2}, {3});
  add({0, 3}, {3});
  return out;
}
constexpr Op kPrelu = avoiding(
    composed("prelu", {"y = x for x > 0, else w x", "x̄ = ȳ for x > 0, else w ȳ; w̄ = ȳ min(x, 0)"},
             prelu_samples),
    0);

std::vector<Sample> glu_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, std::int64_t axis) {
    out.push_back({shape.str() + " axis " + std::to_string(axis),
                   {s.draw(shape)},
                   [axis](std::span<const Var> in) { return glu(in[0], axis); }});
  };
  add({4}, 0);
  add({3, 2}, -1);
  add({4, 3}, 0);
  add({2, 4, 1, 2}, 1);
  add({0, 2}, 1);
  return out;
}
constexpr Op kGlu =
    composed("glu", {"y = a sigmoid b", "ā = ȳ sigmoid b, b̄ = ȳ y (1 − sigmoid b)"}, glu_samples);

Var elu_of(const Var& x, double alpha, double scale, double beta) {
  return apply(kElu, {&x}, make_attrs(Params{alpha, scale, beta}));
}

}  // namespace

Var leaky_relu(const Var& x, double slope) {
  return apply(kLeakyRelu, {&x}, make_attrs(Params{slope}));
}

Var prelu(const Var& x, const Var& weight) {
  const Var in = beside(x, weight), w = beside(weight, x);
  Shape shape;  // along axis 1, whatever the rank
  const std::int64_t channels = in.rank() > 1 ? in.shape()[1] : 1;
  if (w.size() == 1) {
    shape = {};
  } else if (w.rank() == 1 && w.size() == channels) {
    for (int i = 1; i < in.rank(); ++i) shape.push_back(i == 1 ? channels : 1);
  } else {
    throw ShapeError("prelu", "x " + in.shape().str() + " and weight " + w.shape().str() +
                                  ": one number, or one for each of the " +
                                  std::to_string(channels) + " channels on axis 1");
  }
  return where(in > 0, in, reshape(w, shape) * in);
}

Var elu(const Var& x, double alpha) { return elu_of(x, alpha, 1, 1); }
Var selu(const Var& x) {
  // The fixed point of mean 0 and variance 1 (Klambauer et al., eq. 14).
  return elu_of(x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1);
}
Var celu(const Var& x, double alpha) {
  if (alpha == 0) throw ValueError("celu", "alpha 0: must be another number");
  return elu_of(x, alpha, 1, 1 / alpha);
}
Var silu(const Var& x) { return apply(kSilu, {&x}); }
Var gelu(const Var& x, Gelu form) {
  return form == Gelu::exact ? apply(kGelu, {&x}) : apply(kGeluTanh, {&x});
}
Var mish(const Var& x) { return apply(kMish, {&x}); }
Var softsign(const Var& x) { return apply(kSoftsign, {&x}); }
Var log_sigmoid(const Var& x) { return -softplus(-x); }
Var softplus(const Var& x, double beta, double threshold) {
  if (beta == 0) throw ValueError("softplus", "beta 0: must be another number");
  const Var scaled = beta * x;
  return where(scaled > threshold, scaled, softplus(scaled)) * (1 / beta);
}
Var hardtanh(const Var& x, double low, double high) { return clamp(x, low, high); }
Var relu6(const Var& x) { return clamp(x, 0, 6); }
Var hardsigmoid(const Var& x) { return clamp(x + 3, 0, 6) * (1. / 6); }
Var hardswish(const Var& x) {
  const Var gate = clamp(x + 3, 0, 6) * (1. / 6);
  return x * gate;
}
Var tanhshrink(const Var& x) { return x - tanh(x); }
Var softshrink(const Var& x, double lambda) {
  if (!(lambda >= 0)) {
    throw ValueError("softshrink", "lambda " + detail::text(lambda) + ": must be 0 or more");
  }
  return apply(kSoftshrink, {&x}, make_attrs(Params{lambda}));
}
Var hardshrink(const Var& x, double lambda) {
  return apply(kHardshrink, {&x}, make_attrs(Params{lambda}));
}
Var threshold(const Var& x, double threshold, double value) {
  return apply(kThreshold, {&x}, make_attrs(Params{threshold, value}));
}
Var glu(const Var& x, std::int64_t axis) {
  const std::int64_t extent = x.shape()[normalize_axis("glu", axis, x.shape())];
  if (extent % 2) {
    throw ShapeError("glu", "extent " + std::to_string(extent) + " of shape " + x.shape().str() +
                                " along axis " + std::to_string(axis) +
                                ": must be even, it is split in two");
  }
  return slice(x, axis, {0, extent / 2}) * sigmoid(slice(x, axis, {extent / 2, extent}));
}

namespace families {
Family activation() {
  return {&kLeakyRelu,      &kElu,        &kSilu,       &kGelu,        &kGeluTanh,  &kMish,
          &kSoftsign,       &kSoftshrink, &kHardshrink, &kThreshold,   &kSelu,      &kCelu,
          &kLogSigmoid,     &kHardtanh,   &kRelu6,      &kHardsigmoid, &kHardswish, &kTanhshrink,
          &kSoftplusScaled, &kPrelu,      &kGlu};
}
}  // namespace families

}  // namespace xtape
