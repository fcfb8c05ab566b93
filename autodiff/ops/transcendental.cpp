#include <cmath>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

constexpr auto kIn0 = reads_in(0);

struct Exp {
  template <class T>
  T operator()(T x) const {
    return math::exp(x);
  }
};
struct Expm1 {
  template <class T>
  T operator()(T x) const {
    return std::expm1(x);
  }
};
struct Log {
  template <class T>
  T operator()(T x) const {
    return std::log(x);
  }
};
struct Log1p {
  template <class T>
  T operator()(T x) const {
    return std::log1p(x);
  }
};
struct Sin {
  template <class T>
  T operator()(T x) const {
    return std::sin(x);
  }
};
struct Cos {
  template <class T>
  T operator()(T x) const {
    return std::cos(x);
  }
};
struct Tanh {
  template <class T>
  T operator()(T x) const {
    return math::tanh(x);
  }
};
struct Sigmoid {
  template <class T>
  T operator()(T x) const {
    return math::sigmoid(x);
  }
};
struct Relu {
  template <class T>
  T operator()(T x) const {
    return x < 0 ? T{0} : x;
  }
};
struct Softplus {
  template <class T>
  T operator()(T x) const {
    return math::softplus(x);
  }
};

constexpr Op kExp = unary<Exp>("exp", {"y = eˣ", "x̄ = ȳ y"},
                               {[](const Vjp& v) { return chain(v.ct, v.out()); }, kReadsOut});

constexpr Op kExpm1 =
    unary<Expm1>("expm1", {"y = eˣ − 1", "x̄ = ȳ (y + 1)"},
                 {[](const Vjp& v) { return chain(v.ct, v.out() + 1); }, kReadsOut});

constexpr Op kLog = on(unary<Log>("log", {"y = ln x", "x̄ = ȳ / x"},
                                  {[](const Vjp& v) { return chain(v.ct, 1 / v.in(0)); }, kIn0}),
                       0.2, 4);

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
                {[](const Vjp& v) { return chain(v.ct, 1 - square(v.out())); }, kReadsOut});

constexpr Op kSigmoid = unary<Sigmoid>("sigmoid", {"y = 1 / (1 + e⁻ˣ)", "x̄ = ȳ y (1 − y)"},
                                       {[](const Vjp& v) {
                                          const Var y = v.out();
                                          return chain(v.ct, y * (1 - y));
                                        },
                                        kReadsOut});

constexpr Op kRelu =
    avoiding(unary<Relu>("relu", {"y = max(x, 0)", "x̄ = ȳ where x > 0, else 0"},
                         {[](const Vjp& v) { return where(v.out() > 0, v.ct, 0); }, kReadsOut}),
             0);

constexpr Op kSoftplus =
    unary<Softplus>("softplus", {"y = ln(1 + eˣ)", "x̄ = ȳ sigmoid x"},
                    {[](const Vjp& v) { return chain(v.ct, sigmoid(v.in(0))); }, kIn0});

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

namespace families {
Family transcendental() {
  return {&kExp, &kExpm1, &kLog, &kLog1p, &kSin, &kCos, &kTanh, &kSigmoid, &kRelu, &kSoftplus};
}
}  // namespace families

}  // namespace xtape
