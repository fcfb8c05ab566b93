#include <cmath>
#include <numbers>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using std::numbers::pi;

constexpr auto kIn0 = reads_in(0), kIn1 = reads_in(1);

constexpr Op kTan =
    unary("tan", [](auto x) { return std::tan(x); }, {"y = tan x", "x̄ = ȳ (1 + y²)"},
          {[](const Vjp& v) { return chain(v.ct, 1 + square(v.out())); }, kReadsOut});

// √(1 − x²) without the cancellation near ±1.
Var cosine_of_arc(const Var& x) { return sqrt((1 - x) * (1 + x)); }

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr Edge kAsinEdges[] = {{.where = "x = 1", .at = {1}, .y = pi / 2, .gradient = {kInf}},
                               {.where = "x = −1", .at = {-1}, .y = -pi / 2, .gradient = {kInf}}};
constexpr Edge kAcosEdges[] = {{.where = "x = 1", .at = {1}, .y = 0, .gradient = {-kInf}}};
constexpr Edge kAcoshEdges[] = {{.where = "x = 1", .at = {1}, .y = 0, .gradient = {kInf}}};
constexpr Edge kOrigin[] = {{.where = "(0, 0)", .operands = 2, .at = {0, 0}, .y = 0}};

constexpr Op kAsin = with_edges(
    on(unary("asin", [](auto x) { return std::asin(x); }, {"y = arcsin x", "x̄ = ȳ / √(1 − x²)"},
             {[](const Vjp& v) { return chain(v.ct, 1 / cosine_of_arc(v.in(0))); }, kIn0}),
       -0.9, 0.9),
    kAsinEdges);

constexpr Op kAcos = with_edges(
    on(unary("acos", [](auto x) { return std::acos(x); }, {"y = arccos x", "x̄ = −ȳ / √(1 − x²)"},
             {[](const Vjp& v) { return chain(v.ct, -1 / cosine_of_arc(v.in(0))); }, kIn0}),
       -0.9, 0.9),
    kAcosEdges);

constexpr Op kAtan =
    unary("atan", [](auto x) { return std::atan(x); }, {"y = arctan x", "x̄ = ȳ / (1 + x²)"},
          {[](const Vjp& v) { return chain(v.ct, 1 / (1 + square(v.in(0)))); }, kIn0});

// a / (a² + b²) without overflow, 0 at the origin.
Var over_square(const Var& a, const Var& h) { return where(equal(h, 0), 0, a / h / h); }

constexpr Op kAtan2 =
    with_edges(binary("atan2", [](auto y, auto x) { return std::atan2(y, x); },
                      {"θ = the angle of (x, y)", "ȳ = θ̄ x / (x² + y²), x̄ = −θ̄ y / (x² + y²)"},
                      {[](const Vjp& v) {
                         const Var y = v.in(0), x = v.in(1);
                         return chain(v.ct, over_square(x, hypot(y, x)));
                       },
                       kIn0 | kIn1},
                      {[](const Vjp& v) {
                         const Var y = v.in(0), x = v.in(1);
                         return chain(v.ct, -over_square(y, hypot(y, x)));
                       },
                       kIn0 | kIn1}),
               kOrigin);

template <int kSelf>
Var hypot_vjp(const Vjp& v) {
  const Var y = v.out();
  return chain(v.ct, where(equal(y, 0), 0, v.in(kSelf) / y));
}

constexpr Op kHypot =
    with_edges(binary("hypot", [](auto a, auto b) { return std::hypot(a, b); },
                      {"y = √(a² + b²)", "ā = ȳ a / y, b̄ = ȳ b / y; 0 at the origin"},
                      {hypot_vjp<0>, kIn0 | kReadsOut}, {hypot_vjp<1>, kIn1 | kReadsOut}),
               kOrigin);

// The k-th derivative of sin z / z at z = πx. From z s⁽ᵏ⁾ + k s⁽ᵏ⁻¹⁾ = sin⁽ᵏ⁾ z, which is stable
// for large z; near 0 by the Taylor series of the k-th derivative.
double sinc_derivative(double z, int k) {
  if (std::abs(z) > 2 + k) {
    double s = std::sin(z) / z;
    for (int j = 1; j <= k; ++j) s = (std::sin(z + j * pi / 2) - j * s) / z;
    return s;
  }
  double sum = 0;
  for (int n = (k + 1) / 2; n < 40; ++n) {
    // (−1)ⁿ z²ⁿ⁻ᵏ (2n)! / ((2n − k)! (2n + 1)!) = (−1)ⁿ z²ⁿ⁻ᵏ / ((2n − k)! (2n + 1))
    double term = std::pow(z, 2 * n - k) / (std::tgamma(2 * n - k + 1.0) * (2 * n + 1));
    sum += n % 2 ? -term : term;
    if (std::abs(term) < 1e-18 * std::abs(sum)) break;
  }
  return sum;
}

template <class T>
struct Sinc {
  explicit Sinc(const double* p) : order(static_cast<int>(p[0])) {}
  T operator()(T x) const {
    return static_cast<T>(sinc_derivative(pi * static_cast<double>(x), order));
  }
  int order;
};

Var sinc_of(const Var& x, double order);

constexpr Op kSinc = parametric<Sinc>(
    "sinc", {"y = sin(πx) / (πx)", "x̄ = ȳ (cos(πx) − y) / x"},
    {[](const Vjp& v) { return chain(v.ct, pi * sinc_of(v.in(0), v.attrs<Params>().p[0] + 1)); },
     kIn0},
    called_samples<sinc>);

Var sinc_of(const Var& x, double order) { return apply(kSinc, {&x}, make_attrs(Params{order})); }

constexpr Op kDeg2rad =
    composed("deg2rad", {"y = x π / 180", "x̄ = ȳ π / 180"}, called_samples<deg2rad>);
constexpr Op kRad2deg =
    composed("rad2deg", {"y = 180 x / π", "x̄ = 180 ȳ / π"}, called_samples<rad2deg>);

constexpr Op kSinh =
    unary("sinh", [](auto x) { return std::sinh(x); }, {"y = sinh x", "x̄ = ȳ cosh x"},
          {[](const Vjp& v) { return chain(v.ct, cosh(v.in(0))); }, kIn0});

constexpr Op kCosh =
    unary("cosh", [](auto x) { return std::cosh(x); }, {"y = cosh x", "x̄ = ȳ sinh x"},
          {[](const Vjp& v) { return chain(v.ct, sinh(v.in(0))); }, kIn0});

constexpr Op kAsinh =
    unary("asinh", [](auto x) { return std::asinh(x); }, {"y = arsinh x", "x̄ = ȳ / √(x² + 1)"},
          {[](const Vjp& v) { return chain(v.ct, 1 / hypot(v.in(0), 1)); }, kIn0});

constexpr Op kAcosh = with_edges(
    on(unary("acosh", [](auto x) { return std::acosh(x); }, {"y = arcosh x", "x̄ = ȳ / √(x² − 1)"},
             {[](const Vjp& v) {
                const Var x = v.in(0);
                return chain(v.ct, 1 / (sqrt(x - 1) * sqrt(x + 1)));
              },
              kIn0}),
       1.2, 4),
    kAcoshEdges);

constexpr Op kAtanh =
    on(unary("atanh", [](auto x) { return std::atanh(x); }, {"y = artanh x", "x̄ = ȳ / (1 − x²)"},
             {[](const Vjp& v) {
                const Var x = v.in(0);
                return chain(v.ct, 1 / ((1 - x) * (1 + x)));
              },
              kIn0}),
       -0.9, 0.9);

}  // namespace

Var tan(const Var& x) { return apply(kTan, {&x}); }
Var asin(const Var& x) { return apply(kAsin, {&x}); }
Var acos(const Var& x) { return apply(kAcos, {&x}); }
Var atan(const Var& x) { return apply(kAtan, {&x}); }
Var atan2(const Var& y, const Var& x) { return apply(kAtan2, {&y, &x}); }
Var hypot(const Var& a, const Var& b) { return apply(kHypot, {&a, &b}); }
Var sinc(const Var& x) { return sinc_of(x, 0); }
Var deg2rad(const Var& x) { return x * (pi / 180); }
Var rad2deg(const Var& x) { return x * (180 / pi); }
Var sinh(const Var& x) { return apply(kSinh, {&x}); }
Var cosh(const Var& x) { return apply(kCosh, {&x}); }
Var asinh(const Var& x) { return apply(kAsinh, {&x}); }
Var acosh(const Var& x) { return apply(kAcosh, {&x}); }
Var atanh(const Var& x) { return apply(kAtanh, {&x}); }

namespace families {
Family trigonometric() {
  return {&kTan,  &kAsin, &kAcos,  &kAtan,  &kAtan2, &kHypot,   &kSinc,
          &kSinh, &kCosh, &kAsinh, &kAcosh, &kAtanh, &kDeg2rad, &kRad2deg};
}
}  // namespace families

}  // namespace xtape
