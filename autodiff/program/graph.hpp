#pragma once

#include <vector>

#include <xtape/autodiff/tape.hpp>

// What passes look at and change: the recording as a plain list of nodes.
namespace xtape::program {

using Id = std::uint32_t;
inline constexpr Id kNone = ~Id{0};

/// A value of the program, and how it comes about.
struct Node {
  enum class Kind : std::uint8_t { input, parameter, constant, op };
  Kind kind = Kind::op;
  const Op* op = nullptr;
  AttrsRef attrs;
  Spec spec;
  std::vector<Id> in;
  Tensor constant;        ///< Of a constant.
  Parameter parameter;    ///< Read at every run.
  std::size_t input = 0;  ///< Position among the arguments.
};

/// A parameter's value after a run.
struct Store {
  Parameter target;
  Id value;
};

/// Nodes in topological order: inputs of a node come before it.
struct Graph {
  std::vector<Spec> inputs;
  std::vector<Node> nodes;
  std::vector<Id> outputs;
  std::vector<Store> stores;

  /// The node whose elements node `i` has: itself, but for aliases.
  Id root(Id i) const {
    while (nodes[i].kind == Node::Kind::op && nodes[i].op->aliases) i = nodes[i].in[0];
    return i;
  }
  /// How many nodes, outputs and stores read each node.
  std::vector<std::uint32_t> uses() const;
};

/// A recording in progress, and its way from and to a Graph.
class Capture {
 public:
  Capture();
  /// The next argument of the program. Floating ones can be targets of gradient().
  Var input(const Spec& spec);
  /// Any other leaf of a graph.
  Var leaf(const Node& n);
  Tape& tape() { return tape_; }
  /// Everything recorded. @throws TapeError when an output is not recorded here, or a constant is
  /// the present value of a parameter, which would not follow it.
  Graph finish(const std::vector<Var>& outputs);
  /// The place of a value in the graph that finish() gives.
  static Id id(const Var& v) { return v.index(); }

 private:
  Tape tape_;
  std::vector<Spec> inputs_;
};

/// Records `g` anew, with `rule(tape, node, inputs)` in place of ops where it gives a value.
template <class Rule>
Graph rerecord(const Graph& g, Rule&& rule) {
  Capture capture;
  for (const Spec& s : g.inputs) capture.input(s);
  std::vector<Var> map;
  map.reserve(g.nodes.size());
  std::vector<const Var*> in;
  for (const Node& n : g.nodes) {
    if (n.kind != Node::Kind::op) {
      map.push_back(capture.leaf(n));
      continue;
    }
    in.clear();
    for (const Id i : n.in) in.push_back(&map[i]);
    Var v = rule(capture.tape(), n, in);
    if (!v.defined()) v = apply(*n.op, in, n.attrs);
    map.push_back(std::move(v));
  }
  std::vector<Var> outputs;
  for (const Id i : g.outputs) outputs.push_back(map[i]);
  Graph out = capture.finish(outputs);
  for (const Store& s : g.stores) out.stores.push_back({s.target, Capture::id(map[s.value])});
  return out;
}

}  // namespace xtape::program
