#include <cmath>

#include <xtape/autodiff/elementwise.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;

struct UserAttrs {
  detail::ElementwiseRef f;
  int order;
  std::string str() const { return f->name + std::string(static_cast<std::size_t>(order), '\''); }
  bool operator==(const UserAttrs&) const = default;
};

Var derivative(const UserAttrs& a, const Var& x);

void user_block(const BlockArgs& a) {
  const auto& u = get_attrs<UserAttrs>(a.attrs);
  dispatch_floating(a.dtype, [&](auto t) {
    using T = decltype(t);
    u.f->run(u.order, static_cast<const T*>(a.in[0]), static_cast<T*>(a.out), a.n);
  });
}

Var user_vjp(const Vjp& v) {
  const auto& a = v.attrs<UserAttrs>();
  return chain(v.ct, derivative({a.f, a.order + 1}, v.in(0)));
}

// A function with every kind of operation that jets know, and a branch.
std::vector<Sample> user_samples(const Sampler& s) {
  std::vector<Sample> out = elementwise_samples(s);
  const Elementwise f = elementwise("sample", [](auto x) -> decltype(x) {
    if (x < -1.0) return x * x * 0.5;
    const auto bounded = tanh(log1p(exp(x))) + sin(x) * cos(2 * x) / (x * x + 1);
    return x * bounded + sqrt(x + 3) - pow(x, 3) / 7 + erf(x) * atan(x) + expm1(x) +
           log(x + 4) * abs(x + 2) + pow(x + 3, 1.5);
  });
  for (Sample& sample : out) sample.call = [f](std::span<const Var> in) { return f(in[0]); };
  return out;
}

constexpr Op kElementwise{.name = "elementwise",
                          .math = "y = f(x), f a user's scalar function",
                          .gradient = "x̄ = ȳ f'(x)",
                          .infer = floating_unary,
                          .kernel = kernels::elementwise,
                          .block = user_block,
                          .vjp = {{user_vjp, reads_in(0)}},
                          .throws = true,
                          .kinks = {-1, 1e300},
                          .samples = user_samples};

Var derivative(const UserAttrs& a, const Var& x) {
  if (a.order > kMaxElementwiseOrder) {
    throw GradientError(a.f->name, "derivative of order " + std::to_string(a.order) +
                                       ": elementwise functions have " +
                                       std::to_string(kMaxElementwiseOrder));
  }
  return apply(kElementwise, {&x}, make_attrs(a));
}

}  // namespace

Var Elementwise::operator()(const Var& x) const { return derivative({f_, 0}, x); }

namespace families {
Family user() { return {&kElementwise}; }
}  // namespace families

}  // namespace xtape
