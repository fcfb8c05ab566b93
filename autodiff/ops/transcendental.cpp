#include <cmath>
#include <limits>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

constexpr auto kIn0 = reads_in(0);

struct Exp {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::exp(x);
  }
};
struct ExpDifference {
  template <class T>
  XTAPE_INLINE T operator()(T x, T m) const {
    return math::exp(x - m);
  }
};
struct Expm1 {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::expm1(x);
  }
};
struct Log {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::log(x);
  }
};
struct Log1p {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::log1p(x);
  }
};
// Large arguments go to the C library, which reduces them with as many digits of π as it takes.
struct Trigonometric {
  template <class T>
  XTAPE_INLINE static bool rare(T x) {
    return math::absolute(x) > static_cast<T>(math::kTrigonometricMax);
  }
};
struct Sin : Trigonometric {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::sin(x);
  }
  template <class T>
  static T rare_value(T x) {
    return std::sin(x);
  }
};
struct Cos : Trigonometric {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::cos(x);
  }
  template <class T>
  static T rare_value(T x) {
    return std::cos(x);
  }
};
struct Tanh {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::tanh(x);
  }
};
struct Sigmoid {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::sigmoid(x);
  }
};
struct Relu {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return x < 0 ? T{0} : x;
  }
};
struct Softplus {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::softplus(x);
  }
};
struct Erf {
  template <class T>
  XTAPE_INLINE T operator()(T x) const {
    return math::erf(x);
  }
};

constexpr Op kExp = unary<Exp>("exp", {"y = eˣ", "x̄ = ȳ y"},
                               {[](const Vjp& v) { return chain(v.ct, v.out()); }, kReadsOut});

constexpr Op kExpm1 =
    unary<Expm1>("expm1", {"y = eˣ − 1", "x̄ = ȳ (y + 1)"},
                 {[](const Vjp& v) { return chain(v.ct, v.out() + 1); }, kReadsOut});

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
Var log_not_taken(std::span<const Var> x) { return where(x[0] > 0, log(x[0]), 0); }
constexpr Edge kLogEdges[] = {
    {.where = "x = 0", .at = {0}, .y = -kInf, .gradient = {kInf}},
    {.where = "x = −1", .at = {-1}, .y = kNan, .gradient = {-1}},
    {.where = "x = −1, where(x > 0, ln x, 0)", .call = log_not_taken, .at = {-1}, .y = 0}};
constexpr Op kLog =
    with_edges(on(unary<Log>("log", {"y = ln x", "x̄ = ȳ / x"},
                             {[](const Vjp& v) { return chain(v.ct, 1 / v.in(0)); }, kIn0}),
                  0.2, 4),
               kLogEdges);

constexpr Op kLog1p =
    on(unary<Log1p>("log1p", {"y = ln(1 + x)", "x̄ = ȳ / (1 + x)"},
                    {[](const Vjp& v) { return chain(v.ct, 1 / (v.in(0) + 1)); }, kIn0}),
       -0.7, 3);

constexpr Op kSin = unary<Sin>("sin", {"y = sin x", "x̄ = ȳ cos x"},
                               {[](const Vjp& v) { return chain(v.ct, cos(v.in(0))); }, kIn0});

constexpr Op kCos = unary<Cos>("cos", {"y = cos x", "x̄ = −ȳ sin x"},
                               {[](const Vjp& v) { return chain(v.ct, -sin(v.in(0))); }, kIn0});

constexpr Op kTanh =
    unary<Tanh>("tanh", {"y = tanh x", "x̄ = ȳ (1 − y²)"},
                {[](const Vjp& v) { return tanh_grad(v.ct, v.out()); }, kReadsOut});

constexpr Op kSigmoid =
    unary<Sigmoid>("sigmoid", {"y = 1 / (1 + e⁻ˣ)", "x̄ = ȳ y (1 − y)"},
                   {[](const Vjp& v) { return sigmoid_grad(v.ct, v.out()); }, kReadsOut});

Var relu_by_where(std::span<const Var> x) { return where(x[0] > 0, x[0], 0); }
constexpr Edge kReluEdges[] = {
    {.where = "x = 0", .at = {0}, .y = 0, .gradient = {0}},
    {.where = "x = 0, where(x > 0, x, 0)", .call = relu_by_where, .at = {0}, .y = 0}};
constexpr Op kRelu = with_edges(
    avoiding(unary<Relu>("relu", {"y = max(x, 0)", "x̄ = ȳ where x > 0, else 0"},
                         {[](const Vjp& v) { return relu_grad(v.ct, v.out()); }, kReadsOut}),
             0),
    kReluEdges);

// The gradients of these three, one pass each. As chain, they are 0 where c is 0, whatever y is.
struct TanhGrad {
  static constexpr bool kPlain = true;
  template <class T>
  XTAPE_INLINE T operator()(T c, T y) const {
    return c == 0 ? T{0} : c * (1 - y * y);
  }
};
struct SigmoidGrad {
  static constexpr bool kPlain = true;
  template <class T>
  XTAPE_INLINE T operator()(T c, T y) const {
    return c == 0 ? T{0} : c * (y * (1 - y));
  }
};
struct ReluGrad {
  static constexpr bool kPlain = true;
  template <class T>
  XTAPE_INLINE T operator()(T c, T y) const {
    return y > 0 ? c : T{0};
  }
};

constexpr auto kIn1 = reads_in(1), kBoth = kIn0 | kIn1;

// c·X for a constant c is taken out of what is linear in it, where sums may take it further.
Var linear_in_first(const Rewrite& r) {
  const Scaled s = scaled(r, r.in(0));
  if (!s.x.defined() || s.x.value().spec() != r.spec()) return {};
  return s.factor * apply(r.op(), {&s.x, &r.in(1)});
}

constexpr Op kTanhGrad =
    simplified(binary<TanhGrad>(
                   "tanh_grad", {"g = c (1 − y²), 0 where c = 0", "c̄ = ḡ (1 − y²), ȳ = −2 ḡ c y"},
                   {[](const Vjp& v) { return tanh_grad(v.ct, v.in(1)); }, kIn1},
                   {[](const Vjp& v) { return chain(v.ct, chain(v.in(0), -2 * v.in(1))); }, kBoth}),
               linear_in_first);

constexpr Op kSigmoidGrad = simplified(
    binary<SigmoidGrad>(
        "sigmoid_grad", {"g = c y (1 − y), 0 where c = 0", "c̄ = ḡ y (1 − y), ȳ = ḡ c (1 − 2 y)"},
        {[](const Vjp& v) { return sigmoid_grad(v.ct, v.in(1)); }, kIn1},
        {[](const Vjp& v) { return chain(v.ct, chain(v.in(0), 1 - 2 * v.in(1))); }, kBoth}),
    linear_in_first);

// For softmax and its kind in programs: the shift costs no pass of its own.
constexpr Op kExpDifference =
    binary<ExpDifference>("exp_difference", {"y = e^(x − m)", "x̄ = ȳ y, m̄ = −ȳ y"},
                          {[](const Vjp& v) { return chain(v.ct, v.out()); }, kReadsOut},
                          {[](const Vjp& v) { return -chain(v.ct, v.out()); }, kReadsOut});

constexpr Op kReluGrad = avoiding(
    binary<ReluGrad>("relu_grad", {"g = c where y > 0, else 0", "c̄ = ḡ where y > 0, else 0; ȳ = 0"},
                     {[](const Vjp& v) { return relu_grad(v.ct, v.in(1)); }, kIn1}, {flat}),
    0);

constexpr Op kSoftplus =
    unary<Softplus>("softplus", {"y = ln(1 + eˣ)", "x̄ = ȳ sigmoid x"},
                    {[](const Vjp& v) { return chain(v.ct, sigmoid(v.in(0))); }, kIn0});

// 2/√π
constexpr double kErfSlope = 1.12837916709551257390;

constexpr Op kErf =
    unary<Erf>("erf", {"y = 2/√π ∫₀ˣ e^−t² dt", "x̄ = ȳ 2/√π e^−x²"},
               {[](const Vjp& v) { return chain(v.ct, kErfSlope * exp(-square(v.in(0)))); }, kIn0});

}  // namespace

Var exp(const Var& x) { return apply(kExp, {&x}); }
Var expm1(const Var& x) { return apply(kExpm1, {&x}); }
Var log(const Var& x) { return apply(kLog, {&x}); }
Var log1p(const Var& x) { return apply(kLog1p, {&x}); }
Var sin(const Var& x) { return apply(kSin, {&x}); }
Var cos(const Var& x) { return apply(kCos, {&x}); }
Var tanh(const Var& x) { return apply(kTanh, {&x}); }
Var sigmoid(const Var& x) { return apply(kSigmoid, {&x}); }
Var relu(const Var& x) { return apply(kRelu, {&x}); }
Var softplus(const Var& x) { return apply(kSoftplus, {&x}); }
Var erf(const Var& x) { return apply(kErf, {&x}); }
Var exp_difference(const Var& x, const Var& m) { return apply(kExpDifference, {&x, &m}); }
Var tanh_grad(const Var& ct, const Var& y) { return apply(kTanhGrad, {&ct, &y}); }
Var sigmoid_grad(const Var& ct, const Var& y) { return apply(kSigmoidGrad, {&ct, &y}); }
Var relu_grad(const Var& ct, const Var& y) { return apply(kReluGrad, {&ct, &y}); }

namespace families {
Family transcendental() {
  return {&kExp, &kExpm1,    &kLog,         &kLog1p,    &kSin,
          &kCos, &kTanh,     &kSigmoid,     &kRelu,     &kSoftplus,
          &kErf, &kTanhGrad, &kSigmoidGrad, &kReluGrad, &kExpDifference};
}
}  // namespace families

}  // namespace xtape
