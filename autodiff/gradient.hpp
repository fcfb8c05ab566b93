#pragma once

#include <iterator>
#include <vector>

#include <xtape/autodiff/tape.hpp>

namespace xtape {

/// The gradient of a scalar `y` with respect to `x`, as more tape: the result is recorded where y
/// is, and can be used and differentiated like any other value. Keeps the tape.
/// @returns a Var of x's shape. @throws as Tape::gradient.
Var gradient(const Var& y, const Var& x, const GradientOptions& options = {});
/// As above, one gradient per target, in order.
std::vector<Var> gradient(const Var& y, std::span<const Var> xs,
                          const GradientOptions& options = {});
/// As above, for a braced list of variables and parameters.
std::vector<Var> gradient(const Var& y, std::initializer_list<Var> xs,
                          const GradientOptions& options = {});
/// Recorded gradients of parameters.
class Vars : public std::vector<Var> {
 public:
  /// None, or so many empty ones. Not made of braces, which are plain lists.
  explicit Vars(std::size_t n = 0) : std::vector<Var>(n) {}
  /// The same handles.
  template <std::input_iterator It>
  Vars(It first, It last) : std::vector<Var>(first, last) {}
  /// Of which (Parameter::id), each of its own: see Tensors::of.
  std::vector<const void*> of = {};
};
/// As above, for parameters; that of a frozen one is undefined (zero with Unconnected::zero).
Vars gradient(const Var& y, const Parameters& ps, const GradientOptions& options = {});

/// The derivative of the recorded y along the directions vs of the targets xs, as more tape: see
/// Tape::jvp.
Var jvp(const Var& y, std::span<const Var> xs, std::span<const Var> vs,
        Unconnected unconnected = Unconnected::error);
/// The same for one target.
Var jvp(const Var& y, const Var& x, const Var& v, Unconnected unconnected = Unconnected::error);

/// ct·d, and 0 wherever ct is 0, whatever d is there: the product of every elementwise gradient
/// rule. A zero cotangent absorbs an infinite or undefined local derivative, so that the branch
/// that `where` did not take leaks no NaN.
Var chain(const Var& ct, const Var& d);
/// ct·y·(1 − y), 0 wherever ct is 0: the gradient rule of y = sigmoid x as one operation.
Var sigmoid_grad(const Var& ct, const Var& y);
/// ct·(1 − y²), 0 wherever ct is 0: the gradient rule of y = tanh x as one operation.
Var tanh_grad(const Var& ct, const Var& y);
/// ct where y > 0, else 0: the gradient rule of y = relu x as one operation.
Var relu_grad(const Var& ct, const Var& y);

/// chain(ct, d) + c in one pass.
Var chain_add(const Var& ct, const Var& d, const Var& c);

}  // namespace xtape
