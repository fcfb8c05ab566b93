#include <algorithm>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/gradient.hpp>
#include <xtape/autodiff/mutant.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/tape_extras.hpp>

namespace xtape {

namespace {

Tensor zeros_like(const Var& x) { return Tensor::zeros(x.shape(), x.dtype()); }

template <class T>
using Recycled = std::vector<T, memory::Recycler<T>>;

Tensors zeros(std::span<const Var> xs) {
  Tensors out;
  for (const Var& x : xs) out.push_back(zeros_like(x));
  return out;
}

}  // namespace

// One reverse sweep over a tape. With `record`, cotangents are Vars on the tape and the rules
// record; without, they are constants and the rules just compute.
class Gradient {
 public:
  Gradient(Tape& tape, const Var& y, std::span<const Var> xs, const GradientOptions& options,
           bool record)
      : tape_(tape),
        y_(y.index()),
        xs_(xs),
        targets_(tape.target_indices(y, xs, options)),
        options_(options),
        record_(record) {
    seed_ = make_seed(y);
    low_ = y_ + 1;
    for (const std::uint32_t t : targets_) low_ = std::min(low_, t);  // kNone is above all
    find_superseded();
    mark_dependents();
    check_before();
  }

  Recycled<Var> run() {
    cotangents_.resize(y_ + 1 - low_);
    if (y_ >= low_) cotangents_[y_ - low_] = seed_;
    for (std::uint32_t i = y_ + 1; i-- > low_;) {
      if (!cotangents_[i - low_].defined()) continue;
      call_hooks(i);
      if (tape_.nodes_[i].edges) step(i);
    }
    Recycled<Var> out;
    out.reserve(targets_.size());
    for (std::size_t k = 0; k < targets_.size(); ++k) {
      const std::uint32_t t = targets_[k];
      const bool reached = t <= y_ && cotangents_[t - low_].defined();
      out.push_back(reached ? cotangents_[t - low_] : zeros_like(xs_[k]));
    }
    return out;
  }

 private:
  enum : std::uint8_t { kDepends = 1, kLive = 2, kTarget = 4 };

  // Values that assign() replaced in this recording: what comes through them would be lost.
  void find_superseded() {
    if (tape_.superseded_.empty()) return;
    Recycled<std::uint32_t> sorted(targets_.begin(), targets_.end());
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [p, at] : tape_.superseded_) {
      const std::uint32_t now = tape_.parameters_[p.id()].current;
      if (now != Tape::kNone && std::binary_search(sorted.begin(), sorted.end(), now)) {
        old_.push_back(at);
      }
    }
    for (const std::uint32_t t : old_) low_ = std::min(low_, t);
  }

  std::uint8_t& flag(std::uint32_t i) { return flags_[i - low_]; }
  bool depends(std::uint32_t i) { return i != Tape::kNone && i >= low_ && (flag(i) & kDepends); }

  Var make_seed(const Var& y) const {
    if (!is_floating(y.dtype())) {
      throw GradientError("gradient", std::string("the output is ") + name(y.dtype()) +
                                          ": only f32 and f64 have gradients");
    }
    const Var& ct = options_.cotangent;
    if (!ct.defined()) {
      if (y.size() != 1) {
        throw GradientError("gradient", "the output has shape " + y.shape().str() +
                                            ": write sum(y), or give options.cotangent");
      }
      return Tensor::ones(y.shape(), y.dtype());
    }
    if (ct.value().spec() != y.value().spec()) {
      throw ShapeError("gradient", "cotangent " + std::string(name(ct.dtype())) + ct.shape().str() +
                                       " for an output " + name(y.dtype()) + y.shape().str() +
                                       ": they must be equal");
    }
    return record_ ? ct : Var(ct.value());
  }

  // Upwards: which nodes between the lowest target and y depend on a target.
  void mark_dependents() {
    flags_.assign(y_ >= low_ ? y_ + 1 - low_ : 0, 0);
    for (const std::uint32_t t : targets_) {
      if (t <= y_) flag(t) |= kDepends | kTarget;
    }
    for (const std::uint32_t t : old_) {
      if (t <= y_) flag(t) |= kDepends;
    }
    for (std::uint32_t i = low_; i <= y_; ++i) {
      const Tape::Node& n = tape_.nodes_[i];
      if (!n.requires_grad) continue;
      for (std::uint32_t e = 0; e < n.edges; ++e) {
        if (depends(tape_.edges_[n.first_edge + e])) flag(i) |= kDepends;
      }
    }
  }

  bool leads_down(const Tape::Node& n) {
    for (std::uint32_t e = 0; e < n.edges; ++e) {
      if (depends(tape_.edges_[n.first_edge + e])) return true;
    }
    return false;
  }

  // Downwards: everything the sweep will touch exists and is what it was. After this it can't fail.
  void check_before() {
    if (y_ >= low_ && depends(y_)) flag(y_) |= kLive;
    for (std::uint32_t i = y_ + 1; i-- > low_;) {
      const Tape::Node& n = tape_.nodes_[i];
      if (!(flag(i) & kLive) || !n.edges) continue;
      if (n.consumed && leads_down(n)) throw_consumed(i);
      for (std::uint32_t e = 0; e < n.edges; ++e) {
        const std::uint32_t from = tape_.edges_[n.first_edge + e];
        if (!depends(from)) continue;
        const VjpRule& rule = n.op->rule(static_cast<int>(e));
        if (!rule.rule) continue;
        flag(from) |= kLive;
        check_reads(n, rule.reads);
      }
    }
    for (const std::uint32_t t : old_) {
      if (t > y_ || !(flag(t) & kLive)) continue;
      throw TapeError("gradient", "the output depends on " + tape_.describe(t) +
                                      " as it was before assign() changed it: take the gradient "
                                      "first, then update");
    }
    if (options_.unconnected == Unconnected::zero) return;
    for (const std::uint32_t t : targets_) {
      if (t <= y_ && (flag(t) & kLive)) continue;
      throw GradientError("gradient", "the output does not depend on " + tape_.describe(t) +
                                          ": remove it from the targets, or pass {.unconnected = "
                                          "Unconnected::zero}");
    }
  }

  [[noreturn]] void throw_consumed(std::uint32_t i) const {
    throw GradientError("gradient", "node " + tape_.describe(i) +
                                        " was consumed by an earlier gradient: pass "
                                        "{.keep_tape = true} to that one");
  }

  void check_reads(const Tape::Node& n, std::uint32_t reads) const {
    for (std::uint32_t e = 0; e < n.edges; ++e) {
      if (!(reads & reads_in(static_cast<int>(e)))) continue;
      const std::uint32_t at = tape_.edges_[n.first_edge + e];
      const Tape::Node& from = tape_.nodes_[at];
      if (from.consumed) throw_consumed(at);
      const Parameter* p = tape_.recording() ? nullptr : Tape::parameter_of(from);
      if (!p || !from.value.defined() || from.value.shares_memory_with(p->value())) continue;
      throw TapeError("gradient", "parameter '" + p->name() +
                                      "' was modified after this tape read it: take the gradient "
                                      "first, then update");
    }
  }

  // Everything that y passes to node i has been added up.
  void call_hooks(std::uint32_t i) {
    Var& g = cotangents_[i - low_];
    if (const Parameter* p = Tape::parameter_of(tape_.nodes_[i])) {
      const detail::Hooks* hooks = detail::TapeExtras::find(*p);
      if (hooks) g = detail::call_hooks(*hooks, g);
    }
    if (!tape_.extras_) return;
    const auto it = tape_.extras_->hooks.find(i);
    if (it != tape_.extras_->hooks.end()) g = detail::call_hooks(it->second, g);
  }

  // The rule of edge e of node i; what it computes on the way may be infinite.
  Var call_rule(const VjpRule& rule, const Var& ct, std::uint32_t i, std::uint32_t e) {
    const Vjp arguments(ct, static_cast<int>(e), tape_, i, record_);
#ifdef XTAPE_MUTATIONS
    return mutated(rule, arguments, i, e);
#endif
    if (!tape_.extras_ || !tape_.extras_->watching) return rule.rule(arguments);
    struct Inside {
      int& depth;
      explicit Inside(int& d) : depth(d) { ++depth; }
      ~Inside() { --depth; }
    };
    const Var g = [&] {
      const Inside inside(tape_.extras_->rules);
      return rule.rule(arguments);
    }();
    if (tape_.extras_->anomalous(g.value())) throw_anomaly(g, ct, i, e);
    return g;
  }

#ifdef XTAPE_MUTATIONS
  Var mutated(const VjpRule& rule, const Vjp& arguments, std::uint32_t i, std::uint32_t e) {
    detail::Mutant& m = detail::mutant();
    const Op& op = *tape_.nodes_[i].op;
    if (!m.is(op, static_cast<int>(e))) return rule.rule(arguments);
    m.inside = true;
    m.seen = 0;
    const Var g = rule.rule(arguments);
    m.inside = false;
    m.most = std::max(m.most, m.seen);
    const Shape want = tape_.nodes_[tape_.edges_[tape_.nodes_[i].first_edge + e]].spec.shape;
    const bool repeated = op.broadcasts && g.shape() != want;
    m.happened |= repeated;
    for (std::int64_t k = 0; m.kind == "count" && !m.nonzero && k < g.size(); ++k) {
      m.nonzero = g.value().flat(k) != 0;
    }
    if (m.kind == "factor") return g * 1.001;
    if (m.kind == "sign") return -g;
    if (m.kind == "zero") return zeros_like(g);
    if (m.kind == "broadcast" && repeated) {
      // The first of what should be summed.
      std::vector<Slice> first;
      const int more = g.rank() - want.rank();
      for (int k = 0; k < g.rank(); ++k) {
        const bool whole = k >= more && want[k - more] == g.shape()[k];
        first.push_back(whole ? Slice{} : Slice{0, 1});
      }
      return reshape(slice(g, first), want);
    }
    return g;
  }
#endif

  [[noreturn]] void throw_anomaly(const Var& g, const Var& ct, std::uint32_t i,
                                  std::uint32_t e) const {
    const Tape::Node& n = tape_.nodes_[i];
    std::string text = "the gradient " + std::string(name(g.dtype())) + g.shape().str() +
                       " of input " + std::to_string(e) + " is not finite" +
                       detail::range(g.value()) + "; node " + tape_.describe(i) +
                       "; its cotangent" + detail::range(ct.value());
    for (std::uint32_t k = 0; k < n.edges; ++k) {
      const std::uint32_t from = tape_.edges_[n.first_edge + k];
      if (from == Tape::kNone) continue;
      text += "; input " + std::to_string(k) + ": " + tape_.describe(from);
      const Tensor& value = tape_.nodes_[from].value;
      if (value.defined()) text += detail::range(value);
    }
    const std::string where = tape_.region(i);
    throw AnomalyError(n.op->name, text + (where.empty() ? "" : "; " + where));
  }

  void step(std::uint32_t i) {
    if (!leads_down(tape_.nodes_[i])) return;
    Var& slot = cotangents_[i - low_];
    const Var ct = flag(i) & kTarget ? slot : std::move(slot);
    if (!(flag(i) & kTarget)) slot = Var();
    const std::uint32_t first = tape_.nodes_[i].first_edge, edges = tape_.nodes_[i].edges;
    for (std::uint32_t e = 0; e < edges; ++e) {
      const std::uint32_t from = tape_.edges_[first + e];
      if (!depends(from)) continue;
      const Op& op = *tape_.nodes_[i].op;  // by index: rules that record grow the tape
      const VjpRule& rule = op.rule(static_cast<int>(e));
      if (!rule.rule) continue;
      Var g = call_rule(rule, ct, i, e);
      const Spec& want = tape_.nodes_[from].spec;
      if (op.broadcasts && g.shape() != want.shape) g = sum_to(g, Shape(want.shape));
      if (g.value().spec() != tape_.nodes_[from].spec) {
        throw Error(op.name, "internal: the rule of input " + std::to_string(e) + " gives " +
                                 name(g.dtype()) + g.shape().str() + " for " +
                                 tape_.describe(from));
      }
      Var& sum = cotangents_[from - low_];
      sum = sum.defined() ? add(sum, g) : std::move(g);
    }
    if (!record_ && !options_.keep_tape) {
      tape_.nodes_[i].value = Tensor();
      tape_.nodes_[i].consumed = true;
    }
  }

  Tape& tape_;
  std::uint32_t y_, low_ = 0;
  std::span<const Var> xs_;
  Recycled<std::uint32_t> targets_, old_;
  const GradientOptions& options_;
  bool record_;
  Var seed_;
  Recycled<std::uint8_t> flags_;
  Recycled<Var> cotangents_;
};

Var Vjp::in(int i) const {
  const Tape::Node& n = tape_.nodes_[node_];
  if (!(n.op->rule(arg).reads & reads_in(i))) {
    throw Error(n.op->name, "internal: the rule of input " + std::to_string(arg) + " reads input " +
                                std::to_string(i) + " without declaring it");
  }
  const std::uint32_t from = tape_.edges_[n.first_edge + static_cast<std::uint32_t>(i)];
  const Tensor& value = tape_.nodes_[from].value;
  return record_ ? tape_.handle(from, value) : Var(value);
}

Var Vjp::out() const {
  const Tape::Node& n = tape_.nodes_[node_];
  if (!(n.op->rule(arg).reads & kReadsOut)) {
    throw Error(n.op->name, "internal: the rule of input " + std::to_string(arg) +
                                " reads the output without declaring it");
  }
  return record_ ? tape_.handle(node_, n.value) : Var(n.value);
}

Spec Vjp::in_spec() const {
  const Tape::Node& n = tape_.nodes_[node_];
  return tape_.nodes_[tape_.edges_[n.first_edge + static_cast<std::uint32_t>(arg)]].spec;
}

Spec Vjp::out_spec() const { return tape_.nodes_[node_].spec; }

const Attrs* Vjp::raw_attrs() const { return tape_.nodes_[node_].attrs.get(); }

bool Tape::is_constant(const Var& y) {
  return y.defined() && !y.tape() && y.kind_ != Var::Kind::parameter;
}

std::uint32_t Tape::target_index(const Var& x, bool may_be_unconnected) const {
  std::uint32_t index = x.index_;
  if (x.kind_ == Var::Kind::parameter) {
    const auto it = parameters_.find(x.parameter_.id());
    if (it == parameters_.end()) {
      if (may_be_unconnected) return kNone;
      throw GradientError("gradient", "parameter '" + x.parameter_.name() + "' of shape " +
                                          x.parameter_.shape().str() +
                                          " was never used on this tape: remove it from the "
                                          "targets, or pass {.unconnected = Unconnected::zero}");
    }
    index = it->second.current;
  } else if (!owns(x)) {
    throw TapeError("gradient", "a target is not on this tape: make it by tape.variable(x)");
  }
  if (!nodes_[index].requires_grad) {
    if (may_be_unconnected) return kNone;
    throw GradientError("gradient", "target " + describe(index) +
                                        " was put on the tape without a gradient (an input, a "
                                        "frozen parameter, or computed from such): use "
                                        "tape.variable(x), or thaw it by freeze(false)");
  }
  return index;
}

Tape::Recycled<std::uint32_t> Tape::target_indices(const Var& y, std::span<const Var> xs,
                                                   const GradientOptions& options) {
  if (!owns(y)) {
    throw TapeError("gradient",
                    "the output is not on this tape: it is a constant, or on another; put the data "
                    "on it by tape.input(x), value() and no_grad(x) leave it");
  }
  Recycled<std::uint32_t> targets;
  targets.reserve(xs.size());
  for (const Var& x : xs) {
    targets.push_back(target_index(x, options.unconnected == Unconnected::zero));
  }
  return targets;
}

namespace {

Recycled<Var> as_vars(const Parameters& ps) { return {ps.begin(), ps.end()}; }

// The gradients of those that are not frozen, in their places: frozen ones have none.
template <class List, class F>
List of_parameters(const Parameters& ps, const GradientOptions& options, F&& gradients) {
  Parameters live = ps;
  if (options.unconnected != Unconnected::zero) {
    std::erase_if(live, [](const Parameter& p) { return p.frozen(); });
  }
  List all = gradients(as_vars(live));
  if (live.size() != ps.size()) {
    List spread(ps.size());
    auto next = all.begin();
    for (std::size_t i = 0; i < ps.size(); ++i) {
      if (!ps[i].frozen()) spread[i] = std::move(*next++);
    }
    all = std::move(spread);
  }
  all.of.reserve(ps.size());
  for (const Parameter& p : ps) all.of.push_back(p.id());
  return all;
}

Tensors values(const Recycled<Var>& vars) {
  Tensors out;
  out.reserve(vars.size());
  for (const Var& v : vars) out.push_back(v.value());
  return out;
}

std::vector<Var> listed(const Recycled<Var>& vars) { return {vars.begin(), vars.end()}; }

}  // namespace

Tensors Tape::gradient(const Var& y, std::span<const Var> xs, const GradientOptions& options) {
  if (is_constant(y) && options.unconnected == Unconnected::zero) return zeros(xs);
  return values(Gradient(*this, y, xs, options, false).run());
}

Tensors Tape::gradient(const Var& y, const Parameters& ps, const GradientOptions& options) {
  return of_parameters<Tensors>(ps, options, [&](const Recycled<Var>& xs) {
    return gradient(y, std::span<const Var>(xs), options);
  });
}

Tensors Tape::gradient(const Var& y, std::initializer_list<Var> xs,
                       const GradientOptions& options) {
  return gradient(y, std::span(xs.begin(), xs.size()), options);
}

Tensor Tape::gradient(const Var& y, const Var& x, const GradientOptions& options) {
  return gradient(y, std::span(&x, 1), options)[0];
}

std::vector<Var> gradient(const Var& y, std::span<const Var> xs, const GradientOptions& options) {
  Tape* tape = y.tape();
  if (Tape::is_constant(y) && options.unconnected == Unconnected::zero) {
    const Tensors none = zeros(xs);
    return {none.begin(), none.end()};
  }
  if (!tape) {
    throw TapeError("gradient", "the output is on no tape: it is a constant, or a parameter alone");
  }
  return listed(Gradient(*tape, y, xs, options, true).run());
}

Vars gradient(const Var& y, const Parameters& ps, const GradientOptions& options) {
  return of_parameters<Vars>(ps, options, [&](const Recycled<Var>& xs) {
    const std::vector<Var> all = gradient(y, std::span<const Var>(xs), options);
    return Vars(all.begin(), all.end());
  });
}

std::vector<Var> gradient(const Var& y, std::initializer_list<Var> xs,
                          const GradientOptions& options) {
  return gradient(y, std::span(xs.begin(), xs.size()), options);
}

Var gradient(const Var& y, const Var& x, const GradientOptions& options) {
  return gradient(y, std::span(&x, 1), options)[0];
}

}  // namespace xtape
