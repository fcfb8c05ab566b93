#pragma once

#include <string>
#include <vector>

#include <xtape/autodiff/explain.hpp>
#include <xtape/autodiff/op.hpp>
#include <xtape/autodiff/shown.hpp>

// How explain() and explain_operations() see a tape. Part of the engine.
namespace xtape {

class ElementGraph {
 public:
  class Between;
  class Elements;
  class Operations;
};

/// The part of a tape between a result and what it is differentiated by.
class ElementGraph::Between {
 public:
  /// @throws GradientError when y is not a scalar or does not depend on x.
  Between(const Var& y, const Var& x, const ExplainOptions& options);

 protected:
  const Tape::Node& node(std::uint32_t i) const { return tape_.nodes_[i]; }
  std::uint32_t input(std::uint32_t i, std::uint32_t e) const {
    return tape_.edges_[node(i).first_edge + e];
  }
  /// Whether input e of node i leads on to x.
  bool leads(std::uint32_t i, std::uint32_t e) const {
    const std::uint32_t from = input(i, e);
    return from != Tape::kNone && from <= top_ && depends_[from] &&
           node(i).op->differentiable(static_cast<int>(e));
  }
  bool labelled(std::uint32_t i) const { return tape_.labels_.count(i) > 0; }
  /// The gradient rule of input e of node i; sums over broadcasting are left to the caller.
  /// @throws GradientError when the node was consumed.
  Tensor rule(std::uint32_t i, std::uint32_t e, const Tensor& ct) const;
  /// The same, in the shape of the input.
  Tensor input_cotangent(std::uint32_t i, std::uint32_t e, const Tensor& ct) const;
  std::string name(std::uint32_t i) const;

  Tape& tape_;
  const ExplainOptions options_;
  std::uint32_t target_ = 0, top_ = 0;
  std::vector<bool> depends_;  // on x, by node
};

namespace explaining {
/// For people: nine digits.
std::string number(double x);
using detail::quoted;
/// A number as JSON, which has no NaN and no infinity.
struct Json {
  double x;
};
std::ostream& operator<<(std::ostream& os, Json j);
}  // namespace explaining

}  // namespace xtape
