#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops/shaping.hpp>

// Derivatives of functions at a point. A function takes a Var, or a std::span<const Var>, and
// returns a Var; the point is a Tensor (or what converts to one), and so is the result. Where the
// point is a recorded Var, the result is recorded, too, and can be differentiated again: functions
// of this file nest. Only the argument counts: what the function captured is a constant to it.
namespace xtape {

/// A function of several values.
using Function = std::function<Var(std::span<const Var>)>;
/// A function of parameters: records its value on the tape it is given, e.g.
/// `[&](Tape& t) { return nn::mse_loss(net(t.input(x)), y); }`.
using ParameterFunction = std::function<Var(Tape&)>;

/// Which way a Jacobian is computed.
enum class JacobianMode : std::uint8_t {
  automatic,  ///< By rows where y has at most as many elements as x, else by columns.
  rows,       ///< One reverse sweep for each element of y.
  columns     ///< One forward sweep for each element of x.
};

/// y = f(xs) and x̄ᵢ = Σ ct ∂y/∂xᵢ. Without `ct` y must be a scalar.
/// @throws GradientError when y is not scalar and has no cotangent, or does not depend on an x;
/// ShapeError when ct has not y's shape.
std::pair<Var, std::vector<Var>> vjp(const Function& f, std::span<const Var> xs,
                                     const Var& ct = {});
/// y = f(xs) and ẏ = Σ ∂y/∂xᵢ vᵢ, by one sweep forward.
/// @throws ShapeError when a direction has not its x's shape; GradientError when y depends on none.
std::pair<Var, Var> jvp(const Function& f, std::span<const Var> xs, std::span<const Var> vs);
/// J[i…, j…] = ∂yᵢ/∂xⱼ, of shape y.shape + x.shape.
/// @throws ShapeError when that has more than kMaxRank axes.
Var jacobian(const Function& f, const Var& x, JacobianMode mode = JacobianMode::automatic);
/// H[i…, j…] = ∂²y/∂xᵢ∂xⱼ of a scalar f, of shape x.shape + x.shape.
Var hessian(const Function& f, const Var& x);
/// H v for a scalar f, at a small multiple of the cost of its gradient (Pearlmutter, "Fast exact
/// multiplication by the Hessian", 1994).
std::vector<Var> hvp(const Function& f, std::span<const Var> xs, std::span<const Var> vs);
/// f of each slice of the xs along `axis`, stacked along a new first axis. A loop: it saves the
/// writing, not the time.
/// @throws ShapeError unless all xs have the same extent there, at least 1.
Var vmap(const Function& f, std::span<const Var> xs, std::int64_t axis = 0);

/// As above, for the parameters of a network: J[k] has shape y.shape + parameters[k].shape, one
/// reverse sweep for each element of y. Frozen parameters are left out of nothing: they throw.
Tensors jacobian(const ParameterFunction& f, const Parameters& parameters);
/// H v by parameters. @throws ValueError unless there is one v for each parameter.
Tensors hvp(const ParameterFunction& f, const Parameters& parameters, std::span<const Tensor> vs);

/// The gradient of each sample by itself, stacked: result[k] has shape n + parameters[k].shape.
/// `f` takes one sample of each tensor of the batch (without its first axis) and returns a scalar.
/// It is recorded once (compile) and run n times.
/// @throws ShapeError unless all of the batch have the same first extent.
Tensors per_sample_gradients(const Function& f, const Parameters& parameters,
                             std::span<const Tensor> batch);

namespace detail {
// f(x) or f(span) as a Function.
template <class F>
Function as_function(F f) {
  if constexpr (std::is_invocable_r_v<Var, F&, std::span<const Var>>) {
    return Function(std::move(f));
  } else {
    return [f = std::move(f)](std::span<const Var> xs) mutable -> Var { return f(xs[0]); };
  }
}
template <class F>
concept OfVar = std::is_invocable_r_v<Var, F&, const Var&> && !std::is_same_v<F, Function>;
// A recorded point has a recorded result; any other a Tensor.
template <class X>
inline constexpr bool is_recorded = std::is_same_v<std::remove_cvref_t<X>, Var>;
template <class X>
auto like(const Var& v) {
  if constexpr (is_recorded<X>) {
    return v;
  } else {
    return v.value();
  }
}
template <class X>
Var point(const X& x) {
  if constexpr (is_recorded<X>) {
    return x;
  } else {
    return Var(Tensor(x));
  }
}
}  // namespace detail

/// ∇f(x) of a scalar f of one Var.
template <detail::OfVar F, class X>
auto grad(F f, const X& x) {
  const Var in = detail::point(x);
  return detail::like<X>(vjp(detail::as_function(std::move(f)), std::span(&in, 1)).second[0]);
}
/// f(x) and ∇f(x) of a scalar f of one Var.
template <detail::OfVar F, class X>
auto value_and_grad(F f, const X& x) {
  const Var in = detail::point(x);
  auto [y, g] = vjp(detail::as_function(std::move(f)), std::span(&in, 1));
  return std::pair(detail::like<X>(y), detail::like<X>(g[0]));
}
/// f(x) and Σ ct ∂f/∂x of a function of one Var.
template <detail::OfVar F, class X>
auto vjp(F f, const X& x, const Var& ct) {
  const Var in = detail::point(x);
  auto [y, g] = vjp(detail::as_function(std::move(f)), std::span(&in, 1), ct);
  return std::pair(detail::like<X>(y), detail::like<X>(g[0]));
}
/// f(x) and (∂f/∂x) v of a function of one Var.
template <detail::OfVar F, class X>
auto jvp(F f, const X& x, const Var& v) {
  const Var in = detail::point(x);
  auto [y, d] = jvp(detail::as_function(std::move(f)), std::span(&in, 1), std::span(&v, 1));
  return std::pair(detail::like<X>(y), detail::like<X>(d));
}
/// The Jacobian of a function of one Var.
template <detail::OfVar F, class X>
auto jacobian(F f, const X& x, JacobianMode mode = JacobianMode::automatic) {
  return detail::like<X>(jacobian(detail::as_function(std::move(f)), detail::point(x), mode));
}
/// The Hessian of a scalar function of one Var.
template <detail::OfVar F, class X>
auto hessian(F f, const X& x) {
  return detail::like<X>(hessian(detail::as_function(std::move(f)), detail::point(x)));
}
/// The Hessian of a scalar function of one Var times v.
template <detail::OfVar F, class X>
auto hvp(F f, const X& x, const Var& v) {
  const Var in = detail::point(x);
  return detail::like<X>(
      hvp(detail::as_function(std::move(f)), std::span(&in, 1), std::span(&v, 1))[0]);
}
/// A function of one Var, slice by slice.
template <detail::OfVar F, class X>
auto vmap(F f, const X& x, std::int64_t axis = 0) {
  const Var in = detail::point(x);
  return detail::like<X>(vmap(detail::as_function(std::move(f)), std::span(&in, 1), axis));
}

/// What the gradient rule of a custom_vjp sees.
struct CustomVjp {
  const Var& ct;            ///< The cotangent ȳ.
  std::span<const Var> in;  ///< The inputs.
  const Var& out;           ///< The output.
};
/// x̄ᵢ from a CustomVjp, of xᵢ's shape; empty where there is no gradient.
using CustomRule = std::function<Var(const CustomVjp&)>;

/// A function with gradient rules of its own, one for each input, instead of those that follow from
/// what f does: for a more stable formula, a surrogate gradient, a solver differentiated by the
/// implicit function theorem. Rules are written in public ops and are differentiated again for
/// second order. gradcheck() of the result checks them. Recorded values that f captured are
/// differentiated through f as everywhere.
///
///     auto safe_log = custom_vjp("safe_log", [](std::span<const Var> x) { return log(x[0]); },
///                                {[](const CustomVjp& v) { return v.ct / (v.in[0] + 1e-6); }});
///     Var y = safe_log({x});
class CustomFunction {
 public:
  /// For custom_vjp().
  CustomFunction(std::string name, Function f, std::vector<CustomRule> rules);
  /// y = f(xs), differentiated by the rules.
  /// @throws ValueError unless there is a rule for each input; GradientError, by the gradient, when
  /// a rule returns another shape or dtype than its input's.
  Var operator()(std::span<const Var> xs) const;
  /// As above.
  Var operator()(std::initializer_list<Var> xs) const {
    return (*this)(std::span(xs.begin(), xs.size()));
  }
  /// What the function and its rules are.
  struct Definition;

 private:
  std::shared_ptr<const Definition> definition_;
};

/// See CustomFunction.
CustomFunction custom_vjp(std::string name, Function f, std::vector<CustomRule> rules);

}  // namespace xtape
