#include <cmath>
#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

constexpr auto kIn0 = reads_in(0), kIn1 = reads_in(1);

// Samples between two integers (or halves): nothing jumps there.
constexpr Op between(Op op, double low, double high) { return on(op, low + 0.1, high - 0.1); }

constexpr Edge kAtTwo[] = {{.where = "x = 2", .at = {2}, .y = 2, .gradient = {0}}};
constexpr Edge kAtHalf[] = {{.where = "x = 2.5", .at = {2.5}, .y = 2, .gradient = {0}}};
constexpr Edge kFracAtTwo[] = {{.where = "x = 2", .at = {2}, .y = 0, .gradient = {1}}};

template <class F>
constexpr Op step(std::string_view name, F f, std::string_view math) {
  return between(unary(name, f, {math, "x̄ = 0"}, {flat}), 1, 2);
}

constexpr Op kCeil = with_edges(step(
                                    "ceil", [](auto x) { return std::ceil(x); }, "y = ⌈x⌉"),
                                kAtTwo);
constexpr Op kFloor = with_edges(step(
                                     "floor", [](auto x) { return std::floor(x); }, "y = ⌊x⌋"),
                                 kAtTwo);
constexpr Op kTrunc =
    with_edges(step(
                   "trunc", [](auto x) { return std::trunc(x); }, "y = x without its fraction"),
               kAtTwo);
constexpr Op kRound =
    with_edges(between(unary("round", [](auto x) { return std::nearbyint(x); },
                             {"y = the nearest integer, halves to even", "x̄ = 0"}, {flat}),
                       1.5, 2.5),
               kAtHalf);
constexpr Op kFrac = with_edges(between(unary("frac", [](auto x) { return x - std::trunc(x); },
                                              {"y = x − trunc x", "x̄ = ȳ"}, {pass}),
                                        1, 2),
                                kFracAtTwo);

struct Fmod {
  template <class T>
  T operator()(T a, T b) const {
    return std::fmod(a, b);
  }
};
struct Remainder {
  template <class T>
  T operator()(T a, T b) const {
    const T r = std::fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
};
// Such that a is floor_divide(a, b)·b + remainder(a, b), also where a / b rounds to an integer.
struct FloorDivide {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return a / b;
    const T r = std::fmod(a, b);
    T q = (a - r) / b;
    if (r != 0 && (r < 0) != (b < 0)) q -= 1;
    return q == 0 ? std::copysign(T{0}, a / b) : std::nearbyint(q);
  }
};
struct TruncDivide {
  template <class T>
  T operator()(T a, T b) const {
    return std::trunc(a / b);
  }
};

// Ratios a / b of the samples lie between 1.1 and 1.9: no jumps, whatever pairs meet.
constexpr Op ratios(Op op) {
  op.samples = [](const Sampler& s) {
    std::vector<Sample> out;
    const Op* self = &s.op;
    const auto add = [&](const Shape& a, const Shape& b) {
      out.push_back({a.str() + b.str(),
                     {s.draw(a, 2.2, 2.8), s.draw(b, 1.5, 1.95)},
                     [self](std::span<const Var> in) {
                       return xtape::apply(*self, {&in[0], &in[1]});
                     }});
    };
    add({}, {});
    add({4}, {});
    add({2, 3}, {3});
    add({2, 1, 2}, {3, 1});
    add({0}, {1});
    return out;
  };
  return op;
}

constexpr Op kFloorDivide =
    ratios(binary<FloorDivide>("floor_divide", {"y = ⌊a / b⌋", "ā = 0, b̄ = 0"}, {flat}, {flat}));
constexpr Op kTruncDivide = ratios(
    binary<TruncDivide>("trunc_divide", {"y = trunc(a / b)", "ā = 0, b̄ = 0"}, {flat}, {flat}));
constexpr Op kFmod = ratios(binary<Fmod>(
    "fmod", {"y = a − b trunc(a / b)", "ā = ȳ, b̄ = −ȳ trunc(a / b)"}, {pass},
    {[](const Vjp& v) { return chain(v.ct, -trunc_divide(v.in(0), v.in(1))); }, kIn0 | kIn1}));
constexpr Op kRemainder = ratios(binary<Remainder>(
    "remainder", {"y = a − b ⌊a / b⌋", "ā = ȳ, b̄ = −ȳ ⌊a / b⌋"}, {pass},
    {[](const Vjp& v) { return chain(v.ct, -floor_divide(v.in(0), v.in(1))); }, kIn0 | kIn1}));

constexpr Edge kCopysignEdges[] = {
    {.where = "a = 0", .operands = 2, .at = {0, -1}, .y = 0, .gradient = {0, 0}},
    {.where = "b = −0", .operands = 2, .at = {2, -0.0}, .y = -2, .gradient = {-1, 0}}};
constexpr Op kCopysign = with_edges(
    avoiding(binary("copysign", [](auto a, auto b) { return std::copysign(a, b); },
                    {"y = |a| with the sign of b", "ā = ȳ sign a sign y, b̄ = 0"},
                    {[](const Vjp& v) { return chain(v.ct, sign(v.in(0)) * sign(v.out())); },
                     kIn0 | kReadsOut},
                    {flat}),
             0),
    kCopysignEdges);

// NaN stands for a number that depends on the dtype.
template <class T>
struct NanToNum {
  explicit NanToNum(const double* p)
      : nan(static_cast<T>(p[0])),
        high(p[1] == p[1] ? static_cast<T>(p[1]) : std::numeric_limits<T>::max()),
        low(p[2] == p[2] ? static_cast<T>(p[2]) : std::numeric_limits<T>::lowest()) {}
  T operator()(T x) const {
    if (x != x) return nan;
    return x > std::numeric_limits<T>::max()      ? high
           : x < std::numeric_limits<T>::lowest() ? low
                                                  : x;
  }
  T nan, high, low;
};

constexpr double kInf = std::numeric_limits<double>::infinity();
Var by_default(const Var& x) { return nan_to_num(x); }
Var numbers_for_edges(std::span<const Var> x) { return nan_to_num(x[0], 7, 8, 9); }
constexpr Edge kNanToNumEdges[] = {
    {.where = "x = ∞", .call = numbers_for_edges, .at = {kInf}, .y = 8, .gradient = {0}},
    {.where = "x = −∞", .call = numbers_for_edges, .at = {-kInf}, .y = 9, .gradient = {0}},
    {.where = "x = NaN",
     .call = numbers_for_edges,
     .at = {std::numeric_limits<double>::quiet_NaN()},
     .y = 7,
     .gradient = {0}}};
constexpr Op kNanToNum = with_edges(
    parametric<NanToNum>("nan_to_num",
                         {"y = x, or a number where x is not finite", "x̄ = ȳ where x is finite"},
                         {[](const Vjp& v) { return where(is_finite(v.in(0)), v.ct, 0); }, kIn0},
                         called_samples<by_default>),
    kNanToNumEdges);

}  // namespace

Var ceil(const Var& x) { return apply(kCeil, {&x}); }
Var floor(const Var& x) { return apply(kFloor, {&x}); }
Var round(const Var& x) { return apply(kRound, {&x}); }
Var trunc(const Var& x) { return apply(kTrunc, {&x}); }
Var frac(const Var& x) { return apply(kFrac, {&x}); }
Var floor_divide(const Var& a, const Var& b) { return apply(kFloorDivide, {&a, &b}); }
Var trunc_divide(const Var& a, const Var& b) { return apply(kTruncDivide, {&a, &b}); }
Var fmod(const Var& a, const Var& b) { return apply(kFmod, {&a, &b}); }
Var remainder(const Var& a, const Var& b) { return apply(kRemainder, {&a, &b}); }
Var copysign(const Var& a, const Var& b) { return apply(kCopysign, {&a, &b}); }
Var nan_to_num(const Var& x) {
  const double own = std::numeric_limits<double>::quiet_NaN();
  return nan_to_num(x, 0, own, own);
}
Var nan_to_num(const Var& x, double nan, double posinf, double neginf) {
  return apply(kNanToNum, {&x}, make_attrs(Params{nan, posinf, neginf}));
}

namespace families {
Family rounding() {
  return {&kCeil,        &kFloor, &kTrunc,     &kRound,    &kFrac,    &kFloorDivide,
          &kTruncDivide, &kFmod,  &kRemainder, &kCopysign, &kNanToNum};
}
}  // namespace families

}  // namespace xtape
