#include <cmath>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/explain_graph.hpp>
#include <xtape/autodiff/ops.hpp>

namespace xtape {
namespace {

Tape& tape_of(const Var& y) {
  if (Tape* tape = y.tape()) return *tape;
  throw TapeError("explain", "the output is on no tape: it is a constant, or a parameter alone");
}

}  // namespace

ElementGraph::Between::Between(const Var& y, const Var& x, const ExplainOptions& options)
    : tape_(tape_of(y)), options_(options) {
  if (y.size() != 1) {
    throw GradientError("explain", "the output has shape " + y.shape().str() +
                                       ": paths lead to one number, such as sum(y) or an element");
  }
  target_ = tape_.target_index(x, false);
  top_ = tape_.target_index(y, false);
  depends_.assign(top_ + 1, false);
  if (target_ <= top_) depends_[target_] = true;
  for (std::uint32_t i = target_ + 1; i <= top_; ++i) {
    for (std::uint32_t e = 0; node(i).requires_grad && e < node(i).edges; ++e) {
      if (leads(i, e)) depends_[i] = true;
    }
  }
  if (depends_[top_]) return;
  throw GradientError("explain", "the output does not depend on " + tape_.describe(target_));
}

Tensor ElementGraph::Between::rule(std::uint32_t i, std::uint32_t e, const Tensor& ct) const {
  if (node(i).consumed) {
    throw GradientError("explain", "node " + tape_.describe(i) +
                                       " was consumed by a gradient: pass {.keep_tape = true} to "
                                       "that one");
  }
  const Var cotangent = ct;
  const int input = static_cast<int>(e);
  return node(i).op->rule(input).rule(Vjp(cotangent, input, tape_, i, false)).value();
}

Tensor ElementGraph::Between::input_cotangent(std::uint32_t i, std::uint32_t e,
                                              const Tensor& ct) const {
  const Tensor g = rule(i, e, ct);
  const Shape& want = node(input(i, e)).spec.shape;
  return node(i).op->broadcasts && g.shape() != want ? sum_to(g, want).value() : g;
}

std::string ElementGraph::Between::name(std::uint32_t i) const {
  if (const auto it = tape_.labels_.find(i); it != tape_.labels_.end()) return it->second;
  const Parameter* p = Tape::parameter_of(node(i));
  if (p && !p->name().empty()) return p->name();
  return std::string(node(i).op->name) + "%" + std::to_string(i);
}

std::string explaining::number(double x) {
  std::ostringstream os;
  os.precision(9);
  os << x;
  return os.str();
}

std::ostream& explaining::operator<<(std::ostream& os, Json j) {
  return std::isfinite(j.x) ? os << j.x : os << "null";
}

}  // namespace xtape
