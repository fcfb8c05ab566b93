#pragma once

#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include <xtape/autodiff/gradient.hpp>

namespace xtape {

/// How gradcheck looks.
struct GradcheckOptions {
  int order = 1;                  ///< 2 checks the gradient of the gradient as well.
  double tolerance = 1e-6;        ///< Largest relative error, beside the rounding of f itself.
  std::int64_t max_elements = 0;  ///< Elements checked one by one per input, 0 for all; the others
                                  ///< are covered by a derivative in a random direction.
  std::uint64_t seed = 0;         ///< Of the projection, the direction and the elements chosen.
};

/// What gradcheck found for one input or parameter.
struct GradcheckEntry {
  /// "input 0", or the path of the parameter.
  std::string name;
  /// Of the input or parameter.
  Shape shape;
  /// 1 for the gradient, 2 for the gradient of the gradient.
  int order = 1;
  std::int64_t checked = 0;  ///< Elements compared one by one.
  /// Elements whose gradient is wrong.
  std::int64_t failed = 0;
  std::int64_t kinks = 0;  ///< Elements where one-sided differences disagree; not failures as long
                           ///< as the gradient lies between the two.
  std::int64_t worst = 0;  ///< Row-major position of the element with the largest error.
  double analytic = 0;     ///< The derivative there, by the tape.
  double numeric = 0;      ///< The same, by differences.
  double error = 0;        ///< |analytic − numeric| / max(|analytic|, |numeric|).
  double step = 0;         ///< The h of the difference quotient.
  /// Whether one-sided differences disagree at the worst element.
  bool worst_is_kink = false;
  double left = 0;                ///< The difference quotient on the left, where they do.
  double right = 0;               ///< That on the right.
  bool direction_failed = false;  ///< The derivative in a random direction disagrees.
  double direction_analytic = 0;  ///< The derivative in that direction, by the tape.
  double direction_numeric = 0;   ///< The same, by differences.
};

/// What gradcheck found, input by input; converts to true when nothing is wrong.
struct GradcheckReport {
  /// One for each input and order.
  std::vector<GradcheckEntry> entries;
  bool deterministic = true;  ///< False when two evaluations at one point differ.
  bool finite = true;         ///< False when the value there is NaN or infinite.
  /// True when the function is deterministic and finite, and no element is wrong.
  bool ok() const;
  /// The same as ok().
  explicit operator bool() const { return ok(); }
  /// A line for each input: verdict, worst element, both values.
  std::string str() const;
};
std::ostream& operator<<(std::ostream& os, const GradcheckReport& report);

namespace detail {
using CheckedFunction = std::function<Var(std::span<const Var>)>;
GradcheckReport gradcheck(const CheckedFunction& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options);

[[noreturn]] void throw_arity(std::size_t takes, std::size_t inputs);

// f as a function of a span: f(x), f(x, y), f(x, y, z), f(x, y, z, w) or f(span).
template <std::size_t N, class F>
CheckedFunction unpack_as(F f) {
  return [f](std::span<const Var> in) -> Var {
    if (in.size() != N) throw_arity(N, in.size());
    if constexpr (N == 1) return f(in[0]);
    if constexpr (N == 2) return f(in[0], in[1]);
    if constexpr (N == 3) return f(in[0], in[1], in[2]);
    if constexpr (N == 4) return f(in[0], in[1], in[2], in[3]);
  };
}

template <class F>
CheckedFunction unpack(F f) {
  using V = const Var&;
  if constexpr (std::is_invocable_v<F, std::span<const Var>>) return f;
  if constexpr (std::is_invocable_v<F, V>) return unpack_as<1>(f);
  if constexpr (std::is_invocable_v<F, V, V>) return unpack_as<2>(f);
  if constexpr (std::is_invocable_v<F, V, V, V>) return unpack_as<3>(f);
  if constexpr (std::is_invocable_v<F, V, V, V, V>) return unpack_as<4>(f);
}
}  // namespace detail

/// Compares the gradient of `f` at `inputs` with central differences
/// (f(x + h) − f(x − h)) / 2h, h = ε^⅓ max(1, |x|), refined by Richardson extrapolation where they
/// seem to differ. A non-scalar output is projected on fixed random weights.
/// `f` takes one Var for each input (up to four), or a std::span<const Var>.
/// @throws DTypeError unless every input is f64: differences of f32 have no digits to compare;
/// ValueError when `f` takes another number of inputs.
template <class F>
GradcheckReport gradcheck(F f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {}) {
  return detail::gradcheck(detail::unpack(std::move(f)), inputs, options);
}

/// gradcheck() of the gradient, too: first order, then the gradient of Σ w·gradient with fixed
/// random weights w.
template <class F>
GradcheckReport gradgradcheck(F f, const std::vector<Tensor>& inputs,
                              GradcheckOptions options = {}) {
  options.order = 2;
  return detail::gradcheck(detail::unpack(std::move(f)), inputs, options);
}

/// The same for a function of parameters: `f` records the loss on the tape it is given, e.g.
/// `[&](Tape& t) { return nn::mse_loss(net(t.input(x)), y); }`. The parameters are moved for the
/// differences and have their values back afterwards; frozen ones are not checked.
GradcheckReport gradcheck_parameters(const std::function<Var(Tape&)>& f,
                                     const Parameters& parameters,
                                     const GradcheckOptions& options = {});

}  // namespace xtape
