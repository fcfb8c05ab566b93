#include <cmath>
#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

constexpr auto kIn0 = reads_in(0), kIn1 = reads_in(1);

// Arithmetic promotes nothing: std::int64_t stays what it is.
struct Add {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Subtract {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return a - b;
  }
};
struct Multiply {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return a * b;
  }
};
struct Divide {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b) const {
    return a / b;
  }
};
struct Negative {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T x) const {
    return -x;
  }
};
struct Square {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T x) const {
    return x * x;
  }
};
struct Abs {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T x) const {
    return x < 0 ? -x : x == 0 ? T{0} : x;  // |−0| is 0
  }
};
struct Sign {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T x) const {
    return static_cast<T>(x > 0 ? 1 : x < 0 ? -1 : x);  // keeps NaN
  }
};
struct Sqrt {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T x) const {
    return std::sqrt(x);
  }
};
struct Pow {
  template <class T>
  T operator()(T x, T p) const {
    return std::pow(x, p);
  }
};
struct Chain {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T ct, T d) const {
    return ct == 0 ? T{0} : ct * d;
  }
};

// --- what programs make of sums and products: see docs/programs.md ----------------------------

bool made_by(const Rewrite& r, const Var& v, std::string_view op) {
  const Op* maker = r.maker(v);
  return maker && maker->name == op;
}

bool is_zero(std::optional<double> c, bool negative) {
  return c && *c == 0 && std::signbit(*c) == negative;
}
// Two of these multiply to a number that is far from both ends of the range of f32.
bool moderate(double c) { return std::abs(c) >= 0x1p-40 && std::abs(c) <= 0x1p40; }

// a·b + c and chain(a, b) + c in one pass.
Var simplify_add(const Rewrite& r) {
  for (const std::size_t k : {0U, 1U}) {
    // Not +0: −0 + 0 is 0.
    if (is_zero(r.constant(k), true) && r.same(1 - k).defined()) return r.same(1 - k);
  }
  if (!is_floating(r.spec().dtype)) return {};
  for (const std::size_t k : {0U, 1U}) {
    const Var& p = r.in(k);
    if (made_by(r, p, "multiply")) {
      return multiply_add(r.operand(p, 0), r.operand(p, 1), r.in(1 - k));
    }
    if (made_by(r, p, "chain")) return chain_add(r.operand(p, 0), r.operand(p, 1), r.in(1 - k));
  }
  return {};
}

// c − a·b in one pass, where the sign can be put on fewer elements.
Var simplify_subtract(const Rewrite& r) {
  if (is_zero(r.constant(1), false)) return r.same(0);
  const Var& p = r.in(1);
  if (!is_floating(r.spec().dtype) || !made_by(r, p, "multiply")) return {};
  for (const std::size_t k : {0U, 1U}) {
    const Var small = r.operand(p, k);
    const bool smaller = small.size() == 1 || small.size() < r.spec().shape.size();
    if (smaller) return multiply_add(-small, r.operand(p, 1 - k), r.in(0));
  }
  return {};
}

// x·1, and one constant where two meet.
Var simplify_multiply(const Rewrite& r) {
  if (!is_floating(r.spec().dtype)) return {};
  for (const std::size_t k : {0U, 1U}) {
    const auto c = r.constant(k);
    if (!c) continue;
    const Var& x = r.in(1 - k);
    if (*c == 1 && r.same(1 - k).defined()) return x;
    if (r.in(k).size() != 1 || !moderate(*c) || !made_by(r, x, "multiply")) continue;
    for (const std::size_t i : {0U, 1U}) {
      const Var inner = r.operand(x, i);
      if (inner.value().is_symbolic() || inner.size() != 1 || !moderate(inner.item())) continue;
      return (inner * r.in(k)) * r.operand(x, 1 - i);
    }
  }
  return {};
}

// Where the one factor is known to be no 0, or the other known to be finite, it is a product. A
// constant factor is taken out. Of three factors, two smaller ones (of rows, say) meet first.
Var simplify_chain(const Rewrite& r) {
  const auto ct = r.constant(0), d = r.constant(1);
  if ((ct && *ct != 0) || (d && std::isfinite(*d))) return r.in(0) * r.in(1);
  if (const Scaled s = scaled(r, r.in(0)); s.x.defined() && s.x.shape() == r.in(0).shape()) {
    return s.factor * chain(s.x, r.in(1));
  }
  const std::int64_t size = r.spec().shape.size();
  if (r.in(0).size() >= size || !made_by(r, r.in(1), "multiply")) return {};
  for (const std::size_t k : {0U, 1U}) {
    const Var small = r.operand(r.in(1), k), large = r.operand(r.in(1), 1 - k);
    if (small.size() >= size || large.size() != size) continue;
    const Var both = chain(r.in(0), small);
    if (both.size() < size) return chain(both, large);
  }
  return {};
}

Var simplify_negative(const Rewrite& r) {
  return made_by(r, r.in(0), "negative") ? r.operand(r.in(0), 0) : Var();
}

constexpr Op kAdd = simplified(
    numeric_binary_op<Add>("add", {"y = a + b", "ā = ȳ, b̄ = ȳ"}, {pass}, {pass}), simplify_add);

constexpr Op kSubtract =
    simplified(numeric_binary_op<Subtract>("subtract", {"y = a − b", "ā = ȳ, b̄ = −ȳ"}, {pass},
                                           {[](const Vjp& v) { return -v.ct; }}),
               simplify_subtract);

constexpr Op kMultiply = simplified(
    numeric_binary_op<Multiply>("multiply", {"y = a b", "ā = ȳ b, b̄ = ȳ a"},
                                {[](const Vjp& v) { return chain(v.ct, v.in(1)); }, kIn1},
                                {[](const Vjp& v) { return chain(v.ct, v.in(0)); }, kIn0}),
    simplify_multiply);

constexpr Op kDivide = avoiding(
    binary<Divide>(
        "divide", {"y = a / b", "ā = ȳ / b, b̄ = −ȳ y / b"},
        {[](const Vjp& v) { return chain(v.ct, 1 / v.in(1)); }, kIn1},
        {[](const Vjp& v) { return chain(v.ct, -(v.out() / v.in(1))); }, kIn1 | kReadsOut}),
    0);

// ct·d, 0 where ct is 0: see gradient.hpp. Linear in both operands but for that.
constexpr Op kChain =
    simplified(binary<Chain>("chain", {"y = c d, 0 where c = 0", "c̄ = ȳ d, d̄ = ȳ c"},
                             {[](const Vjp& v) { return chain(v.ct, v.in(1)); }, kIn1},
                             {[](const Vjp& v) { return chain(v.ct, v.in(0)); }, kIn0}),
               simplify_chain);

constexpr Op kNegative =
    simplified(numeric_unary_op<Negative>("negative", {"y = −x", "x̄ = −ȳ"},
                                          {[](const Vjp& v) { return -v.ct; }}),
               simplify_negative);

constexpr Op kSquare =
    numeric_unary_op<Square>("square", {"y = x²", "x̄ = 2 ȳ x"},
                             {[](const Vjp& v) { return chain(v.ct, 2 * v.in(0)); }, kIn0});

constexpr double kInf = std::numeric_limits<double>::infinity();
Var half_unused(std::span<const Var> x) { return 0 * sqrt(x[0]); }
constexpr Edge kSqrtEdges[] = {
    {.where = "x = 0", .at = {0}, .y = 0, .gradient = {kInf}},
    {.where = "x = 0, cotangent 0", .call = half_unused, .at = {0}, .y = 0, .gradient = {0}}};
constexpr Op kSqrt =
    with_edges(on(unary<Sqrt>("sqrt", {"y = √x", "x̄ = ȳ / (2 y)"},
                              {[](const Vjp& v) { return chain(v.ct, 0.5 / v.out()); }, kReadsOut}),
                  0.1, 4),
               kSqrtEdges);

constexpr Edge kAtZero[] = {{.where = "x = 0", .at = {0}, .y = 0, .gradient = {0}}};
constexpr Op kAbs = with_edges(
    avoiding(numeric_unary_op<Abs>("abs", {"y = |x|", "x̄ = ȳ sign x, 0 at x = 0"},
                                   {[](const Vjp& v) { return chain(v.ct, sign(v.in(0))); }, kIn0}),
             0),
    kAtZero);

constexpr Op kSign = with_edges(
    avoiding(numeric_unary_op<Sign>("sign", {"y = 1, 0 or −1 as x > 0, = 0, < 0", "x̄ = 0"}, {flat}),
             0),
    kAtZero);

// p xᵖ⁻¹ is 0 for p = 0, also at x = 0 where xᵖ⁻¹ is infinite. Elsewhere the product stays, whose
// slope along p is not 0.
Var pow_base(const Vjp& v) {
  const Var x = v.in(0), p = v.in(1);
  const Var slope = p * pow(x, p - 1);
  return chain(v.ct, where(equal(p, 0), where(equal(x, 0), 0, slope), slope));
}

// xᵖ ln x tends to 0 as x → 0 for p > 0; at 0⁰ the value 1 does not move with p ≥ 0.
Var pow_exponent(const Vjp& v) {
  const Var x = v.in(0), p = v.in(1);
  const Var slope = v.out() * log(x);
  return chain(v.ct, where(equal(x, 0), where(p >= 0, 0, slope), slope));
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// y = xᵖ, then its derivatives by x and by p.
constexpr Edge power(std::string_view where, double x, double p, double y, double by_x,
                     double by_p) {
  return {.where = where, .operands = 2, .at = {x, p}, .y = y, .gradient = {by_x, by_p}};
}
constexpr Edge kPowEdges[] = {power("0⁰", 0, 0, 1, 0, 0),
                              power("0¹", 0, 1, 0, 1, 0),
                              power("0²", 0, 2, 0, 0, 0),
                              power("√0", 0, 0.5, 0, kInf, 0),
                              power("0⁻¹", 0, -1, kInf, -kInf, -kInf),
                              power("(−2)³", -2, 3, -8, 12, kNan),
                              power("(−2)²", -2, 2, 4, -4, kNan),
                              power("(−2)⁰", -2, 0, 1, 0, kNan),
                              power("(−2)⁻¹", -2, -1, -0.5, -0.25, kNan),
                              power("√−2", -2, 0.5, kNan, kNan, kNan)};
constexpr Op kPow =
    with_edges(on(binary<Pow>("pow", {"y = xᵖ", "x̄ = ȳ p xᵖ⁻¹, p̄ = ȳ y ln x"},
                              {pow_base, kIn0 | kIn1}, {pow_exponent, kIn0 | kIn1 | kReadsOut}),
                  0.2, 2),
               kPowEdges);

// A fused multiply and add: one pass over memory where `a * b + c` takes two.
struct MultiplyAdd {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T a, T b, T c) const {
    return a * b + c;
  }
};
// The same for chain(ct, d) + c.
struct ChainAdd {
  static constexpr bool kPlain = true;
  template <class T>
  T operator()(T ct, T d, T c) const {
    return ct == 0 ? c : ct * d + c;
  }
};

constexpr Op kMultiplyAdd =
    pointwise("multiply_add", {"y = a b + c", "ā = ȳ b, b̄ = ȳ a, c̄ = ȳ"}, floating_ternary,
              floating_ternary_block<MultiplyAdd>, {kMultiply.vjp[0], kMultiply.vjp[1], {pass}});

constexpr Op kChainAdd = pointwise(
    "chain_add", {"y = c d + e, e where c = 0", "c̄ = ȳ d, d̄ = ȳ c, ē = ȳ"}, floating_ternary,
    floating_ternary_block<ChainAdd>, {kChain.vjp[0], kChain.vjp[1], {pass}});

}  // namespace

Scaled scaled(const Rewrite& r, const Var& v) {
  if (!made_by(r, v, "multiply") || !is_floating(v.dtype())) return {};
  for (const std::size_t k : {0U, 1U}) {
    const Var c = r.operand(v, k);
    if (c.value().is_symbolic() || c.size() != 1 || c.rank() > 0 || !moderate(c.item())) continue;
    return {c, r.operand(v, 1 - k)};
  }
  return {};
}

Var add(const Var& a, const Var& b) { return apply(kAdd, {&a, &b}); }
Var subtract(const Var& a, const Var& b) { return apply(kSubtract, {&a, &b}); }
Var multiply(const Var& a, const Var& b) { return apply(kMultiply, {&a, &b}); }
Var divide(const Var& a, const Var& b) { return apply(kDivide, {&a, &b}); }
Var multiply_add(const Var& a, const Var& b, const Var& c) {
  return apply(kMultiplyAdd, {&a, &b, &c});
}
Var chain_add(const Var& ct, const Var& d, const Var& c) { return apply(kChainAdd, {&ct, &d, &c}); }
Var chain(const Var& ct, const Var& d) { return apply(kChain, {&ct, &d}); }
Var negative(const Var& x) { return apply(kNegative, {&x}); }
Var square(const Var& x) { return apply(kSquare, {&x}); }
Var sqrt(const Var& x) { return apply(kSqrt, {&x}); }
Var abs(const Var& x) { return apply(kAbs, {&x}); }
Var sign(const Var& x) { return apply(kSign, {&x}); }
Var pow(const Var& x, const Var& p) { return apply(kPow, {&x, &p}); }

namespace families {
Family arithmetic() {
  return {&kAdd,    &kSubtract, &kMultiply, &kDivide, &kMultiplyAdd, &kChain,   &kNegative,
          &kSquare, &kSqrt,     &kAbs,      &kSign,   &kPow,         &kChainAdd};
}
}  // namespace families

}  // namespace xtape
