#include <cmath>
#include <numbers>

#include <xtape/autodiff/kernels/special.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using std::numbers::inv_sqrtpi, std::numbers::sqrt2;

constexpr auto kIn0 = reads_in(0);
constexpr double kInf = std::numeric_limits<double>::infinity();

// A function of double for every floating type.
template <double (*f)(double)>
struct InDouble {
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(f(static_cast<double>(x)));
  }
};

constexpr Op kErfc = unary(
    "erfc", [](auto x) { return std::erfc(x); }, {"y = 1 − erf x", "x̄ = −ȳ 2/√π e^−x²"},
    {[](const Vjp& v) { return chain(v.ct, -2 * inv_sqrtpi * exp(-square(v.in(0)))); }, kIn0});

constexpr Op kErfcx = unary<InDouble<math::erfcx>>(
    "erfcx", {"y = e^x² erfc x", "x̄ = ȳ (2 x y − 2/√π)"},
    {[](const Vjp& v) { return chain(v.ct, 2 * v.in(0) * v.out() - 2 * inv_sqrtpi); },
     kIn0 | kReadsOut});

constexpr Edge kErfinvEdges[] = {{.where = "x = 1", .at = {1}, .y = kInf, .gradient = {kInf}},
                                 {.where = "x = −1", .at = {-1}, .y = -kInf, .gradient = {kInf}}};
constexpr Op kErfinv = with_edges(
    on(unary<InDouble<math::erfinv>>(
           "erfinv", {"y = erf⁻¹ x", "x̄ = ȳ √π/2 e^y²"},
           {[](const Vjp& v) { return chain(v.ct, 0.5 / inv_sqrtpi * exp(square(v.out()))); },
            kReadsOut}),
       -0.9, 0.9),
    kErfinvEdges);

constexpr Op kNdtr =
    composed("ndtr", {"y = ½ erfc(−x/√2)", "x̄ = ȳ e^(−x²/2) / √(2π)"}, called_samples<ndtr>);

constexpr Op kLogNdtr = unary<InDouble<math::log_ndtr>>(
    "log_ndtr", {"y = ln(½ erfc(−x/√2))", "x̄ = ȳ √(2/π) / erfcx(−x/√2)"},
    {[](const Vjp& v) { return chain(v.ct, sqrt2 * inv_sqrtpi / erfcx(v.in(0) * (-1 / sqrt2))); },
     kIn0});

// The C library's own lgamma writes the sign to a global variable.
double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}
constexpr Op kLgamma = on(
    unary<InDouble<log_gamma>>("lgamma", {"y = ln |Γ(x)|", "x̄ = ȳ ψ(x)"},
                               {[](const Vjp& v) { return chain(v.ct, digamma(v.in(0))); }, kIn0}),
    0.5, 4);

template <class T>
struct Polygamma {
  explicit Polygamma(const double* p) : n(static_cast<int>(p[0])) {}
  T operator()(T x) const { return static_cast<T>(math::polygamma(n, static_cast<double>(x))); }
  int n;
};

Var polygamma_of(const Var& x, double n);

std::vector<Sample> polygamma_samples(const Sampler& s) {
  std::vector<Sample> out = elementwise_samples(s);
  std::int64_t n = 0;
  for (Sample& sample : out) {
    sample.call = [n](std::span<const Var> in) { return polygamma(n, in[0]); };
    n = (n + 1) % 4;
  }
  return out;
}

constexpr Op kPolygamma = on(
    parametric<Polygamma>("polygamma", {"y = ψ⁽ⁿ⁾(x)", "x̄ = ȳ ψ⁽ⁿ⁺¹⁾(x)"},
                          {[](const Vjp& v) {
                             return chain(v.ct, polygamma_of(v.in(0), v.attrs<Params>().p[0] + 1));
                           },
                           kIn0},
                          polygamma_samples),
    0.5, 4);

Var polygamma_of(const Var& x, double n) { return apply(kPolygamma, {&x}, make_attrs(Params{n})); }

constexpr Op kDigamma = on(
    composed("digamma", {"y = ψ(x) = (ln Γ(x))'", "x̄ = ȳ ψ'(x)"}, called_samples<digamma>), 0.5, 4);

constexpr Op kRsqrt =
    on(unary("rsqrt", [](auto x) { return 1 / std::sqrt(x); }, {"y = 1 / √x", "x̄ = −½ ȳ y³"},
             {[](const Vjp& v) {
                const Var y = v.out();
                return chain(v.ct, -0.5 * y * y * y);
              },
              kReadsOut}),
       0.2, 4);

constexpr Op kReciprocal =
    avoiding(unary("reciprocal", [](auto x) { return 1 / x; }, {"y = 1 / x", "x̄ = −ȳ y²"},
                   {[](const Vjp& v) { return chain(v.ct, -square(v.out())); }, kReadsOut}),
             0);

constexpr Edge kCbrtEdges[] = {{.where = "x = 0", .at = {0}, .y = 0, .gradient = {kInf}}};
constexpr Op kCbrt = with_edges(
    on(unary("cbrt", [](auto x) { return std::cbrt(x); }, {"y = ∛x", "x̄ = ȳ / (3 y²)"},
             {[](const Vjp& v) { return chain(v.ct, 1 / (3 * square(v.out()))); }, kReadsOut}),
       0.3, 3),
    kCbrtEdges);

constexpr Op kFloatPower = on(
    composed("float_power", {"y = xᵖ in f64", "x̄ = ȳ p xᵖ⁻¹, p̄ = ȳ y ln x"},
             [](const Sampler& s) {
               std::vector<Sample> out;
               for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 1, 3}, Shape{0}}) {
                 out.push_back({shape.str(),
                                {s.draw(shape), s.draw({1})},
                                [](std::span<const Var> in) { return float_power(in[0], in[1]); }});
               }
               return out;
             }),
    0.2, 2);

}  // namespace

Var erfc(const Var& x) { return apply(kErfc, {&x}); }
Var erfcx(const Var& x) { return apply(kErfcx, {&x}); }
Var erfinv(const Var& x) { return apply(kErfinv, {&x}); }
Var ndtr(const Var& x) { return 0.5 * erfc(x * (-1 / sqrt2)); }
Var log_ndtr(const Var& x) { return apply(kLogNdtr, {&x}); }
Var lgamma(const Var& x) { return apply(kLgamma, {&x}); }
Var digamma(const Var& x) { return polygamma_of(x, 0); }
Var polygamma(std::int64_t n, const Var& x) {
  if (n < 0 || n > 100) {
    throw ValueError("polygamma", "order " + std::to_string(n) + ": must be in [0, 100]");
  }
  return polygamma_of(x, static_cast<double>(n));
}
Var rsqrt(const Var& x) { return apply(kRsqrt, {&x}); }
Var reciprocal(const Var& x) { return apply(kReciprocal, {&x}); }
Var cbrt(const Var& x) { return apply(kCbrt, {&x}); }
Var float_power(const Var& x, const Var& p) {
  return pow(cast(beside(x, p), f64), cast(beside(p, x), f64));
}

namespace families {
Family special() {
  return {&kErfc,      &kErfcx,   &kErfinv, &kNdtr,       &kLogNdtr, &kLgamma,
          &kPolygamma, &kDigamma, &kRsqrt,  &kReciprocal, &kCbrt,    &kFloatPower};
}
}  // namespace families

}  // namespace xtape
