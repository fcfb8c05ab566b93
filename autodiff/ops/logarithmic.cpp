#include <cmath>
#include <numbers>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using std::numbers::ln10, std::numbers::ln2;

constexpr auto kIn0 = reads_in(0), kIn1 = reads_in(1);
constexpr double kInf = std::numeric_limits<double>::infinity();

constexpr Op kExp2 = unary("exp2", [](auto x) { return std::exp2(x); }, {"y = 2ˣ", "x̄ = ȳ y ln 2"},
                           {[](const Vjp& v) { return chain(v.ct, v.out() * ln2); }, kReadsOut});

constexpr Op kLog2 =
    on(unary("log2", [](auto x) { return std::log2(x); }, {"y = log₂ x", "x̄ = ȳ / (x ln 2)"},
             {[](const Vjp& v) { return chain(v.ct, 1 / (v.in(0) * ln2)); }, kIn0}),
       0.2, 4);

constexpr Op kLog10 =
    on(unary("log10", [](auto x) { return std::log10(x); }, {"y = log₁₀ x", "x̄ = ȳ / (x ln 10)"},
             {[](const Vjp& v) { return chain(v.ct, 1 / (v.in(0) * ln10)); }, kIn0}),
       0.2, 4);

constexpr Op kLogit = on(unary("logit", [](auto x) { return std::log(x / (1 - x)); },
                               {"y = ln(x / (1 − x))", "x̄ = ȳ / (x (1 − x))"},
                               {[](const Vjp& v) {
                                  const Var x = v.in(0);
                                  return chain(v.ct, 1 / (x * (1 - x)));
                                },
                                kIn0}),
                         0.05, 0.95);

struct LogAddExp {
  template <class T>
  XTAPE_INLINE T operator()(T a, T b) const {
    const T high = a > b ? a : b, gap = a > b ? b - a : a - b;
    const T y = high + math::softplus(gap);
    return a == b && a - a != 0 ? a : y;  // both infinite
  }
};

// Where both are infinite their difference is NaN: each gets half.
Var share(const Var& a, const Var& b) {
  const Var d = a - b;
  return sigmoid(where(equal(d, d), d, 0));
}

constexpr Op kLogAddExp = binary<LogAddExp>(
    "logaddexp", {"y = ln(eᵃ + eᵇ)", "ā = ȳ sigmoid(a − b), b̄ = ȳ sigmoid(b − a)"},
    {[](const Vjp& v) { return chain(v.ct, share(v.in(0), v.in(1))); }, kIn0 | kIn1},
    {[](const Vjp& v) { return chain(v.ct, share(v.in(1), v.in(0))); }, kIn0 | kIn1});

constexpr Op kLogAddExp2 = composed(
    "logaddexp2", {"y = log₂(2ᵃ + 2ᵇ)", "ā = ȳ 2^(a − y), b̄ = ȳ 2^(b − y)"}, [](const Sampler& s) {
      std::vector<Sample> out;
      for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 1, 3}, Shape{0}}) {
        out.push_back({shape.str(), {s.draw(shape), s.draw({1})}, [](std::span<const Var> in) {
                         return logaddexp2(in[0], in[1]);
                       }});
      }
      return out;
    });

// 0·ln b is 0 also where ln b is infinite or undefined, unless b is NaN itself.
Var product_edge(const Var& a, const Var& b, double from, const Var& slope) {
  return where(equal(a, 0), where(b <= from, 0, slope), slope);
}

constexpr Edge kXlogyEdges[] = {
    {.where = "a = 0, b = 0", .operands = 2, .at = {0, 0}, .y = 0, .gradient = {0, 0}},
    {.where = "a = 0, b = −1", .operands = 2, .at = {0, -1}, .y = 0, .gradient = {0, 0}},
    {.where = "a = 1, b = 0", .operands = 2, .at = {1, 0}, .y = -kInf, .gradient = {-kInf, kInf}}};

// a / b, and 0 where a is 0 whatever b is.
Var safe_quotient(const Var& a, const Var& b) {
  return where(equal(a, 0), a / where(equal(b, 0), 1, b), a / b);
}

constexpr Op kXlogy = with_edges(
    on(binary("xlogy",
              [](auto a, auto b) { return a == 0 && b == b ? decltype(a){0} : a * std::log(b); },
              {"y = a ln b, 0 where a = 0", "ā = ȳ ln b, b̄ = ȳ a / b"},
              {[](const Vjp& v) {
                 return chain(v.ct, product_edge(v.in(0), v.in(1), 0, log(v.in(1))));
               },
               kIn0 | kIn1},
              {[](const Vjp& v) { return chain(v.ct, safe_quotient(v.in(0), v.in(1))); },
               kIn0 | kIn1}),
       0.2, 3),
    kXlogyEdges);

constexpr Op kXlog1py =
    on(binary("xlog1py",
              [](auto a, auto b) { return a == 0 && b == b ? decltype(a){0} : a * std::log1p(b); },
              {"y = a ln(1 + b), 0 where a = 0", "ā = ȳ ln(1 + b), b̄ = ȳ a / (1 + b)"},
              {[](const Vjp& v) {
                 return chain(v.ct, product_edge(v.in(0), v.in(1), -1, log1p(v.in(1))));
               },
               kIn0 | kIn1},
              {[](const Vjp& v) { return chain(v.ct, safe_quotient(v.in(0), v.in(1) + 1)); },
               kIn0 | kIn1}),
       0.2, 3);

constexpr Edge kEntrEdges[] = {{.where = "x = 0", .at = {0}, .y = 0, .gradient = {kInf}}};
constexpr Op kEntr = with_edges(
    on(unary("entr",
             [](auto x) {
               using T = decltype(x);
               return x > 0 ? -x * std::log(x) : x == 0 ? T{0} : x < 0 ? static_cast<T>(-kInf) : x;
             },
             {"y = −x ln x", "x̄ = −ȳ (ln x + 1)"},
             {[](const Vjp& v) { return chain(v.ct, -log(v.in(0)) - 1); }, kIn0}),
       0.2, 3),
    kEntrEdges);

}  // namespace

Var exp2(const Var& x) { return apply(kExp2, {&x}); }
Var log2(const Var& x) { return apply(kLog2, {&x}); }
Var log10(const Var& x) { return apply(kLog10, {&x}); }
Var logit(const Var& x, double eps) {
  if (!(eps >= 0 && eps <= 0.5)) {
    throw ValueError("logit", "eps " + detail::text(eps) + ": must be in [0, 0.5]");
  }
  const Var limited = eps > 0 ? clamp(x, eps, 1 - eps) : x;
  return apply(kLogit, {&limited});
}
Var logaddexp(const Var& a, const Var& b) { return apply(kLogAddExp, {&a, &b}); }
Var logaddexp2(const Var& a, const Var& b) {
  return logaddexp(beside(a, b) * ln2, beside(b, a) * ln2) * (1 / ln2);
}
Var xlogy(const Var& a, const Var& b) { return apply(kXlogy, {&a, &b}); }
Var xlog1py(const Var& a, const Var& b) { return apply(kXlog1py, {&a, &b}); }
Var entr(const Var& x) { return apply(kEntr, {&x}); }

namespace families {
Family logarithmic() {
  return {&kExp2, &kLog2, &kLog10, &kLogit, &kLogAddExp, &kLogAddExp2, &kXlogy, &kXlog1py, &kEntr};
}
}  // namespace families

}  // namespace xtape
