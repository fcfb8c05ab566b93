#pragma once

#include <functional>
#include <vector>

#include <xtape/autodiff/ops.hpp>

namespace xtape::optim {

/// Settings of LBFGS.
struct LBFGSOptions {
  double learning_rate = 1;          ///< The length of a step, the first one tried by a search.
  int max_iterations = 20;           ///< In each step(), 1 or more.
  int max_evaluations = 0;           ///< In each step(); 0: 5/4 of max_iterations.
  int history = 10;                  ///< Pairs of vectors that are remembered, 1 or more.
  double gradient_tolerance = 1e-7;  ///< Done when no gradient is larger.
  double change_tolerance = 1e-9;    ///< Done when neither parameters nor loss change more.
  bool line_search = true;           ///< Steps that obey the strong Wolfe conditions.
};

/// The loss and the gradients of the parameters at their present values.
struct Evaluation {
  double loss = 0;    ///< Of everything: not of a random batch.
  Tensors gradients;  ///< From tape.gradient(loss, parameters), or in the order of the parameters.
};

/// The quasi-Newton method of limited memory, for smooth functions that are not random: directions
/// −H g, H the inverse of the Hessian as the last pairs (s, y) of changes of parameters and
/// gradients have it, by the two-loop recursion. Nocedal, "Updating quasi-Newton matrices with
/// limited storage", 1980; search for the strong Wolfe conditions f(x + t d) ≤ f + 10⁻⁴ t dᵀg and
/// |dᵀg(x + t d)| ≤ 0.9 |dᵀg|: Nocedal and Wright, "Numerical Optimization", algorithms 3.5
/// and 3.6. In the form of torch.optim.LBFGS.
class LBFGS {
 public:
  /// Computes the loss and its gradients, e.g. by a Program.
  using Closure = std::function<Evaluation()>;

  /// All parameters of one dtype; those that are frozen now do not move. @throws ValueError for an
  /// option outside its range or a parameter that stands twice, DTypeError for two dtypes.
  explicit LBFGS(const Parameters& parameters, const LBFGSOptions& options = {});

  /// Up to max_iterations iterations. @returns the loss before them.
  /// @throws ValueError when other parameters are frozen than at the beginning (its memory of the
  /// path is that of the others: make a new one), when a gradient is missing or the loss or a
  /// gradient is not finite where the method arrives, ShapeError or DTypeError for one that does
  /// not fit, and what the closure throws; parameters and state are as before then.
  double step(const Closure& evaluate);

  /// Of the next step.
  double learning_rate() const { return rate_.value().item(); }
  /// @throws ValueError when it is negative or not finite.
  void set_learning_rate(double learning_rate);
  /// Number of iterations made.
  std::int64_t iterations() const { return count(iterations_); }
  /// As given to the constructor.
  const Parameters& parameters() const { return parameters_; }
  /// Everything the next step depends on, always in the same order; assigning to it restores.
  Parameters state() const;

 private:
  struct Point {  // on the line from where a search begins
    double t, loss, slope;
    Tensor gradient;
  };
  static std::int64_t count(const Parameter& p) {
    return static_cast<std::int64_t>(p.value().item());
  }
  double iterate(const Closure& evaluate);
  Point evaluate_at(const Closure& evaluate, const Tensor& from, double t);
  Tensor flat(const Tensors& gradients) const;
  Tensor values() const;
  void set_values(const Tensor& flat);
  void check_frozen() const;
  void remember(const Tensor& gradient);
  Tensor direction(const Tensor& gradient) const;
  Point search(const Closure& evaluate, const Tensor& from, Point start, double t);
  Point zoom(const Closure& evaluate, const Tensor& from, const Point& start, Point low, Point high,
             int left);

  Parameters parameters_, moving_;
  LBFGSOptions options_;
  int evaluations_ = 0;  // in this step()
  // State: the direction and gradient of the last iteration, its step length, the scale of H,
  // pairs.
  Parameter rate_, iterations_, length_, scale_, pairs_, direction_, gradient_;
  Parameters s_, y_;
};

}  // namespace xtape::optim
