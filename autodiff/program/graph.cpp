#include <unordered_map>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/program/graph.hpp>
#include <xtape/autodiff/rewrite.hpp>

namespace xtape {

std::optional<double> Rewrite::constant(std::size_t i) const {
  const Tensor& t = in(i).value();
  if (t.is_symbolic() || t.size() == 0) return {};
  const double first = t.flat(0);
  // Longer constants are rarely uniform: a look at a few elements would not do, at all of them
  // costs.
  constexpr std::int64_t kLook = 4096;
  if (t.size() > kLook) return {};
  for (std::int64_t k = 1; k < t.size(); ++k) {
    if (t.flat(k) != first) return {};
  }
  return first;
}

const Op* Rewrite::maker(const Var& v) const {
  const Tape::Node& n = tape_.nodes_[v.index()];
  return n.edges ? n.op : nullptr;
}

Var Rewrite::operand(const Var& v, std::size_t k) const {
  const std::uint32_t from = tape_.edges_[tape_.nodes_[v.index()].first_edge + k];
  return tape_.handle(from, tape_.nodes_[from].value);
}

const Attrs* Rewrite::attrs_of(const Var& v) const { return tape_.nodes_[v.index()].attrs.get(); }

namespace program {

std::vector<std::uint32_t> Graph::uses() const {
  std::vector<std::uint32_t> count(nodes.size());
  for (const Node& n : nodes) {
    for (const Id i : n.in) ++count[i];
  }
  for (const Id i : outputs) ++count[i];
  for (const Store& s : stores) ++count[s.value];
  return count;
}

Capture::Capture() { tape_.begin_recording(); }

Var Capture::input(const Spec& spec) {
  inputs_.push_back(spec);
  return tape_.leaf(detail::kInput, Tensor::symbolic(spec), is_floating(spec.dtype));
}

Var Capture::leaf(const Node& n) {
  if (n.kind == Node::Kind::parameter) return tape_.parameter(n.parameter);
  if (n.kind == Node::Kind::constant) return tape_.leaf(detail::kConstant, n.constant, false);
  // The arguments stand first, in order.
  return tape_.handle(static_cast<Id>(n.input), Tensor::symbolic(n.spec));
}

namespace {

// A user who writes Var(p.value()) means p, whose value will change.
void check_constant(const Tensor& t, const std::unordered_map<const void*, Parameter>& read) {
  if (t.is_symbolic()) {
    throw TapeError("compile",
                    "the value() of a recorded operation is used as a constant: use "
                    "the Var");
  }
  const auto p = read.find(t.raw());
  if (p == read.end() || t.size() == 0) return;
  throw TapeError("compile", "the value of parameter '" + p->second.name() +
                                 "' is used as a constant and would stay what it is now: use the "
                                 "parameter itself, or no_grad(p); p.value().clone() for a "
                                 "constant");
}

}  // namespace

Graph Capture::finish(const std::vector<Var>& outputs) {
  Graph g;
  g.inputs = inputs_;
  std::unordered_map<const void*, Parameter> read;  // by the place of their elements
  for (const Tape::Node& n : tape_.nodes_) {
    if (const Parameter* p = Tape::parameter_of(n)) read.emplace(p->value().raw(), *p);
  }
  for (Id i = 0; i < tape_.size(); ++i) {
    const Tape::Node& n = tape_.nodes_[i];
    Node out;
    out.op = n.op;
    out.attrs = n.attrs;
    out.spec = n.spec;
    const auto* edges = tape_.edges_.data() + n.first_edge;
    out.in.assign(edges, edges + n.edges);
    if (n.op == &detail::kInput && i < inputs_.size()) {
      out.kind = Node::Kind::input;
      out.input = i;
    } else if (n.op == &detail::kParameter) {
      out.kind = Node::Kind::parameter;
      out.parameter = *Tape::parameter_of(n);
      out.attrs = {};
    } else if (n.edges == 0) {  // constants, and what the function put on the tape itself
      out.kind = Node::Kind::constant;
      out.constant = n.value;
      check_constant(n.value, read);
    }
    g.nodes.push_back(std::move(out));
  }
  for (const Var& v : outputs) {
    if (v.tape() != &tape_) {
      throw TapeError("compile", "an output is empty, or was computed on another tape");
    }
    g.outputs.push_back(v.index());
  }
  for (const Tape::Store& s : tape_.stores_) g.stores.push_back({s.target, s.value});
  return g;
}

}  // namespace program
}  // namespace xtape
