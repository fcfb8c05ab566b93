#pragma once

#include <xtape/optim/optimizer.hpp>

// Rules that take the sign of a direction, not its size.
namespace xtape::optim {

/// Settings of Rprop.
struct RpropOptions {
  double learning_rate = 0.01;  ///< Every element's first step, ≥ 0.
  double shrink = 0.5;          ///< η⁻ in (0, 1).
  double grow = 1.2;            ///< η⁺ > 1.
  double smallest = 1e-6;       ///< Bounds of the steps.
  double largest = 50;          ///< Not below `smallest`.
  bool maximize = false;        ///< −g in place of g.
};

/// Resilient propagation, for whole batches. An element's step s grows by η⁺ when its gradient
/// keeps its sign and shrinks by η⁻ when that changes; then it waits: p ← p − s sign g, where g
/// counts as 0 after a change. The learning rate is s at the start and is not read afterwards.
/// State: previous (g), step (s). Riedmiller and Braun, "A direct adaptive method for faster
/// backpropagation learning: the RPROP algorithm", 1993, in the form without going back (iRprop⁻).
class Rprop : public Rule<Rprop, RpropOptions> {
 public:
  using Rule::Rule;
  static void check(const RpropOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const RpropOptions& o);  ///< As Rule says.

 protected:
  void update(Update& u) override;
};

/// Settings of Lion.
struct LionOptions {
  double learning_rate = 1e-4;  ///< η ≥ 0.
  double beta1 = 0.9;           ///< In [0, 1).
  double beta2 = 0.99;          ///< In [0, 1).
  double weight_decay = 0;      ///< λ ≥ 0, of the weights themselves.
  bool maximize = false;        ///< −g in place of g.
};

/// p ← p − η (sign(β₁ m + (1 − β₁) g) + λ p), then m ← β₂ m + (1 − β₂) g. State: mean (m);
/// set_momentum() sets β₁. Chen et al., "Symbolic discovery of optimization algorithms", 2023.
class Lion : public Rule<Lion, LionOptions> {
 public:
  using Rule::Rule;
  static void check(const LionOptions& o);                   ///< As Rule says.
  static std::vector<State> state_of(const LionOptions& o);  ///< As Rule says.
  /// As Rule says.
  static std::optional<double> momentum_of(const LionOptions& o) { return o.beta1; }

 protected:
  void update(Update& u) override;
};

}  // namespace xtape::optim
