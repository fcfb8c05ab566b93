#include <algorithm>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/ops.hpp>

namespace xtape {

// One sweep forward over a recording. An elementwise op has a diagonal Jacobian, which is its own
// transpose: its gradient rule is its forward rule. A linear op maps directions as it maps values.
// For every other op without a `tangent` rule the gradient rule, which is linear in the cotangent,
// is transposed by differentiating it with respect to that.
class Tangent {
 public:
  Tangent(Tape& tape, const Var& y, std::span<const Var> xs, std::span<const Var> vs,
          Unconnected unconnected, bool record)
      : tape_(tape),
        y_(y),
        targets_(tape.target_indices(y, xs, {.unconnected = unconnected})),
        record_(record) {
    if (xs.size() != vs.size()) {
      throw ValueError("jvp", std::to_string(xs.size()) + " targets and " +
                                  std::to_string(vs.size()) + " directions: give one for each");
    }
    low_ = y_.index() + 1;
    for (const std::uint32_t t : targets_) low_ = std::min(low_, t);
    tangents_.resize(y_.index() + 1 - std::min(low_, y_.index() + 1));
    for (std::size_t k = 0; k < xs.size(); ++k) start(targets_[k], vs[k]);
    mark_needed();
    check(unconnected);
  }

  Var run() {
    const std::uint32_t end = y_.index();
    for (std::uint32_t i = low_; i <= end; ++i) {
      if (!needed(i) || !moves(i)) continue;
      const Var d = step(i);  // a target may depend on another one
      at(i) = defined(i) ? add(at(i), d) : d;
    }
    if (low_ > end || !defined(end)) return Tensor::zeros(y_.shape(), y_.dtype());
    return at(end);
  }

 private:
  enum : std::uint8_t { kDepends = 1, kNeeded = 2 };

  Var& at(std::uint32_t i) { return tangents_[i - low_]; }
  bool defined(std::uint32_t i) { return i != Tape::kNone && i >= low_ && at(i).defined(); }
  bool needed(std::uint32_t i) const { return flags_[i - low_] == (kDepends | kNeeded); }
  std::uint32_t input(std::uint32_t i, std::uint32_t e) const {
    return tape_.edges_[tape_.nodes_[i].first_edge + e];
  }

  // Whether the node depends on a target through its inputs.
  bool moves(std::uint32_t i) const {
    const Tape::Node& n = tape_.nodes_[i];
    for (std::uint32_t e = 0; n.requires_grad && e < n.edges; ++e) {
      const std::uint32_t from = input(i, e);
      if (from != Tape::kNone && from >= low_ && flags_[from - low_] &&
          n.op->differentiable(static_cast<int>(e))) {
        return true;
      }
    }
    return false;
  }

  void start(std::uint32_t t, const Var& v) {
    if (t == Tape::kNone) return;  // a target that y may not depend on
    const Spec& want = tape_.nodes_[t].spec;
    if (v.value().spec() != want) {
      throw ShapeError("jvp", std::string("direction ") + name(v.dtype()) + v.shape().str() +
                                  " for a target " + name(want.dtype) + want.shape.str() +
                                  ": they must be equal");
    }
    for (const auto& [p, old] : tape_.superseded_) {
      if (tape_.parameters_[p.id()].current != t) continue;
      throw TapeError("jvp", "parameter '" + p.name() +
                                 "' was changed by assign() in this recording: take derivatives "
                                 "before");
    }
    if (t > y_.index()) return;
    Var& slot = at(t);
    const Var own = record_ ? v : Var(v.value());
    slot = slot.defined() ? add(slot, own) : own;
  }

  // What depends on a target, and what y depends on: only the nodes that are both are computed.
  void mark_needed() {
    flags_.assign(tangents_.size(), 0);
    for (std::uint32_t i = low_; i <= y_.index(); ++i) {
      if (defined(i) || moves(i)) flags_[i - low_] = kDepends;
    }
    if (flags_.empty()) return;
    flags_.back() |= kNeeded;
    for (std::uint32_t i = y_.index() + 1; i-- > low_;) {
      if (!needed(i)) continue;
      for (std::uint32_t e = 0; e < tape_.nodes_[i].edges; ++e) {
        const std::uint32_t from = input(i, e);
        if (from != Tape::kNone && from >= low_) flags_[from - low_] |= kNeeded;
      }
    }
  }

  void check(Unconnected unconnected) {
    if (unconnected == Unconnected::error && (flags_.empty() || !needed(y_.index()))) {
      throw GradientError("jvp",
                          "the output depends on none of the targets: pass Unconnected::zero for a "
                          "derivative of 0");
    }
    for (std::uint32_t i = low_; i <= y_.index(); ++i) {
      if (needed(i) && moves(i)) check_node(i);
    }
  }

  // Everything the rules read exists and is what it was.
  void check_node(std::uint32_t i) const {
    const Tape::Node& n = tape_.nodes_[i];
    if (n.consumed) {
      throw GradientError("jvp", "node " + tape_.describe(i) +
                                     " was consumed by a gradient: pass {.keep_tape = true} to "
                                     "that one");
    }
    for (std::uint32_t e = 0; e < n.edges; ++e) {
      const std::uint32_t from = input(i, e);
      if (from == Tape::kNone || tape_.recording()) continue;
      const Tape::Node& source = tape_.nodes_[from];
      const Parameter* p = Tape::parameter_of(source);
      if (!p || !source.value.defined() || source.value.shares_memory_with(p->value())) continue;
      throw TapeError("jvp", "parameter '" + p->name() +
                                 "' was modified after this tape read it: take derivatives first, "
                                 "then update");
    }
  }

  Var step(std::uint32_t i) {
    const Op& op = *tape_.nodes_[i].op;
    if (op.block) {
      if (Var d = elementwise(i, op); d.defined()) return d;
    }
    if (op.tangent) return op.tangent(rule_arguments(at(input(i, 0)), i, 0));
    if (op.linear == Linear::joint && all_known(i)) return linear(i, op);
    if (op.linear == Linear::each && all_valued(i)) return linear_in_each(i, op);
    return transposed(i, op);
  }

  Vjp rule_arguments(const Var& ct, std::uint32_t i, std::uint32_t e) const {
    return Vjp(ct, static_cast<int>(e), tape_, i, record_);
  }

  // Undefined where a rule gives something of another shape: it sums by itself.
  Var elementwise(std::uint32_t i, const Op& op) {
    const Spec out = tape_.nodes_[i].spec;
    const std::uint32_t edges = tape_.nodes_[i].edges;
    Var total;
    for (std::uint32_t e = 0; e < edges; ++e) {
      const std::uint32_t from = input(i, e);
      if (!defined(from) || !op.differentiable(static_cast<int>(e))) continue;
      Var v = at(from);
      if (v.dtype() != out.dtype) v = cast(v, out.dtype);
      if (v.shape() != out.shape) v = broadcast_to(v, out.shape);
      Var d = op.rule(static_cast<int>(e)).rule(rule_arguments(v, i, e));
      if (d.shape() != out.shape) return {};
      if (d.dtype() != out.dtype) d = cast(d, out.dtype);
      total = total.defined() ? add(total, d) : d;
    }
    return total;
  }

  // Indices and masks, which have no direction, keep their values.
  bool has_direction(std::uint32_t from) const {
    return is_floating(tape_.nodes_[from].spec.dtype);
  }
  bool all_known(std::uint32_t i) const {
    for (std::uint32_t e = 0; e < tape_.nodes_[i].edges; ++e) {
      const std::uint32_t from = input(i, e);
      if (from == Tape::kNone) return false;
      if (!has_direction(from) && !tape_.nodes_[from].value.defined()) return false;
    }
    return true;
  }
  bool all_valued(std::uint32_t i) {
    std::uint32_t moving = 0, unknown = 0;
    for (std::uint32_t e = 0; e < tape_.nodes_[i].edges; ++e) {
      const std::uint32_t from = input(i, e);
      moving += defined(from);
      unknown += from == Tape::kNone || !tape_.nodes_[from].value.defined();
    }
    // One that moves alone need not be known itself.
    return unknown == 0 || (unknown == 1 && moving == 1 && unknown_moves(i));
  }
  bool unknown_moves(std::uint32_t i) {
    for (std::uint32_t e = 0; e < tape_.nodes_[i].edges; ++e) {
      const std::uint32_t from = input(i, e);
      if (from == Tape::kNone) return false;
      if (!tape_.nodes_[from].value.defined()) return defined(from);
    }
    return false;
  }

  Var call(const Op& op, std::uint32_t i, const std::vector<Var>& in) {
    std::vector<const Var*> p;
    for (const Var& v : in) p.push_back(&v);
    return xtape::apply(op, p, share(i));
  }
  AttrsRef share(std::uint32_t i) const {
    const Attrs* a = tape_.nodes_[i].attrs.get();
    if (a) a->retain();
    return AttrsRef(a);
  }

  Var linear(std::uint32_t i, const Op& op) {
    std::vector<Var> in;
    for (std::uint32_t e = 0; e < tape_.nodes_[i].edges; ++e) {
      const std::uint32_t from = input(i, e);
      const Spec& s = tape_.nodes_[from].spec;
      if (!has_direction(from)) {
        in.push_back(value(from));
      } else {
        in.push_back(defined(from) ? at(from) : Var(Tensor::zeros(s.shape, s.dtype)));
      }
    }
    return call(op, i, in);
  }

  Var value(std::uint32_t from) const {
    const Tensor& v = tape_.nodes_[from].value;
    return record_ ? tape_.handle(from, v) : Var(v);
  }

  Var linear_in_each(std::uint32_t i, const Op& op) {
    const std::uint32_t edges = tape_.nodes_[i].edges;
    Var total;
    for (std::uint32_t e = 0; e < edges; ++e) {
      if (!defined(input(i, e))) continue;
      std::vector<Var> in;
      for (std::uint32_t k = 0; k < edges; ++k) {
        in.push_back(k == e ? at(input(i, k)) : value(input(i, k)));
      }
      const Var d = call(op, i, in);
      total = total.defined() ? add(total, d) : d;
    }
    return total;
  }

  // ẏ = ∂/∂u Σₑ ⟨ruleₑ(u), ẋₑ⟩. The rules are linear in u, so its value does not matter; but it is
  // not 0, which chain() treats on its own.
  Var transposed(std::uint32_t i, const Op& op) {
    const Spec out = tape_.nodes_[i].spec;
    const std::uint32_t edges = tape_.nodes_[i].edges;
    Tape own;
    Tape& tape = record_ ? tape_ : own;
    const Var u = tape.variable(Tensor::ones(out.shape, out.dtype));
    Var total;
    for (std::uint32_t e = 0; e < edges; ++e) {
      const std::uint32_t from = input(i, e);
      if (!defined(from) || !op.differentiable(static_cast<int>(e))) continue;
      Var g = op.rule(static_cast<int>(e)).rule(rule_arguments(u, i, e));
      const Shape want = tape_.nodes_[from].spec.shape;
      if (op.broadcasts && g.shape() != want) g = sum_to(g, want);
      const Var part = cast(sum(chain(at(from), g)), out.dtype);
      total = total.defined() ? add(total, part) : part;
    }
    const GradientOptions options{.unconnected = Unconnected::zero};
    if (record_) return gradient(total, u, options);
    return total.tape() ? Var(own.gradient(total, u, options))
                        : Var(Tensor::zeros(out.shape, out.dtype));
  }

  template <class T>
  using Recycled = std::vector<T, memory::Recycler<T>>;

  Tape& tape_;
  const Var y_;
  Recycled<std::uint32_t> targets_;
  const bool record_;
  std::uint32_t low_ = 0;
  Recycled<Var> tangents_;
  Recycled<std::uint8_t> flags_;
};

Tensor Tape::jvp(const Var& y, std::span<const Var> xs, std::span<const Var> vs,
                 Unconnected unconnected) {
  return Tangent(*this, y, xs, vs, unconnected, false).run().value();
}

Var jvp(const Var& y, std::span<const Var> xs, std::span<const Var> vs, Unconnected unconnected) {
  Tape* tape = y.tape();
  if (!tape) {
    throw TapeError("jvp", "the output is on no tape: it is a constant, or a parameter alone");
  }
  return Tangent(*tape, y, xs, vs, unconnected, true).run();
}

Var jvp(const Var& y, const Var& x, const Var& v, Unconnected unconnected) {
  return jvp(y, std::span(&x, 1), std::span(&v, 1), unconnected);
}

namespace detail {

Var fresh(const Var& x) {
  Tape* tape = x.tape();
  const Var same = reshape(x, x.shape());
  tape->nodes_[same.index()].requires_grad = true;
  return same;
}

}  // namespace detail

}  // namespace xtape
