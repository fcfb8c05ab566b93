#pragma once

#include <concepts>
#include <initializer_list>
#include <span>
#include <vector>

#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops.hpp>

// Gradients between backward and step. All functions take tensors (now) or recorded gradients
// (inside compile()); undefined tensors, as frozen parameters have, are left out and stay.
namespace xtape::optim {

/// ‖g‖₂ over the elements of all, a single f64 number.
Var global_norm(const std::vector<Var>& gradients);
/// The same of tensors.
double global_norm(std::span<const Tensor> gradients);

/// All of them times min(1, limit / (‖g‖ + 10⁻⁶)), which keeps their direction. Pascanu et al., "On
/// the difficulty of training recurrent neural networks", 2013. A norm that is not finite makes all
/// of them NaN, which optimizers refuse. @throws ValueError unless limit > 0.
std::vector<Var> clip_by_norm(const std::vector<Var>& gradients, double limit);
/// The same of tensors.
Tensors clip_by_norm(std::span<const Tensor> gradients, double limit);
/// The same of gradients that know their parameters.
Vars clip_by_norm(const Vars& gradients, double limit);
/// The same.
template <std::same_as<Tensors> T>  // braces are none of these
Tensors clip_by_norm(const T& gradients, double limit) {
  Tensors out = clip_by_norm(std::span<const Tensor>(gradients), limit);
  out.of = gradients.of;
  return out;
}

/// Each element within [−limit, limit]; NaN stays. @throws ValueError unless limit > 0.
std::vector<Var> clip_by_value(const std::vector<Var>& gradients, double limit);
/// The same of tensors.
Tensors clip_by_value(std::span<const Tensor> gradients, double limit);
/// The same of gradients that know their parameters.
Vars clip_by_value(const Vars& gradients, double limit);
/// The same.
template <std::same_as<Tensors> T>  // braces are none of these
Tensors clip_by_value(const T& gradients, double limit) {
  Tensors out = clip_by_value(std::span<const Tensor>(gradients), limit);
  out.of = gradients.of;
  return out;
}

/// The mean of the gradients of several batches, for a step as of one large batch:
///
///     sums.add(tape.gradient(loss, parameters), images_in_batch);  // several times
///     optimizer.step(sums.mean());
///     sums.clear();
///
/// Sums are buffers: each of the three may be in a program. Each parameter has the weights of its
/// own gradients: one that was frozen in some of the batches gets the mean of the others.
class GradientSum {
 public:
  /// Of these parameters; frozen ones have no gradient.
  explicit GradientSum(const Parameters& parameters);
  /// Adds weight · gradients. @throws ValueError when one is missing or the weight is not positive,
  /// ShapeError or DTypeError when one does not fit; nothing is added then.
  void add(std::span<const Tensor> gradients, double weight = 1);
  /// As above.
  void add(std::initializer_list<Tensor> gradients, double weight = 1) {
    add(std::span(gradients.begin(), gradients.size()), weight);
  }
  /// The same inside compile().
  void add(const std::vector<Var>& gradients, double weight = 1);
  /// The same of gradients that know their parameters, in any order.
  void add(const Tensors& gradients, double weight = 1);
  /// The same.
  void add(const Vars& gradients, double weight = 1);
  /// Their sum over the sum of weights, undefined for frozen parameters. @throws ValueError before
  /// the first add(), or for a parameter that was frozen in all of them.
  Tensors mean() const;
  /// The same inside compile(), in the recording of `recorded`; not finite where that would throw.
  Vars mean(const Var& recorded) const;
  /// Begins anew.
  void clear();
  /// The same inside compile(), in the recording of `recorded`.
  void clear(const Var& recorded);
  /// The sums of weights, one of each parameter, then the sums of gradients.
  Parameters state() const;

 private:
  void check(std::size_t i, const Tensor& gradient);
  void check(std::size_t gradients, double weight) const;
  Tensor weighed(double weight) const;

  Parameters parameters_, sums_;
  Parameter weights_;  // of each
};

}  // namespace xtape::optim
