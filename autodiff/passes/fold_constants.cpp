#include <algorithm>

#include <xtape/autodiff/passes/passes.hpp>

namespace xtape::passes {

using namespace program;

namespace {

// Repeating a constant is cheaper to read than to keep.
bool worth_keeping(const Graph& g, const Node& n) {
  std::size_t bytes = 64;
  for (const Id i : n.in) bytes = std::max(bytes, g.nodes[i].spec.nbytes());
  return n.spec.nbytes() <= bytes;
}

Tensor compute(const Graph& g, const Node& n) {
  std::vector<KernelArgs::Operand> in;
  for (const Id i : n.in) in.push_back({g.nodes[i].constant.raw(), &g.nodes[i].spec});
  if (n.op->aliases) return g.nodes[n.in[0]].constant.reshape(n.spec.shape);
  Tensor out = Tensor::empty(n.spec.shape, n.spec.dtype);
  n.op->kernel({*n.op, in, out.raw(), n.spec, n.attrs.get()});
  return out;
}

}  // namespace

Graph fold_constants(const Graph& g) {
  Graph out = g;
  for (Node& n : out.nodes) {
    if (n.kind != Node::Kind::op || n.op->throws || n.in.empty()) continue;
    const bool constant = std::all_of(
        n.in.begin(), n.in.end(), [&](Id i) { return out.nodes[i].kind == Node::Kind::constant; });
    if (!constant || !worth_keeping(out, n)) continue;
    n.constant = compute(out, n);
    n.kind = Node::Kind::constant;
    n.op = nullptr;
    n.attrs = {};
    n.in.clear();
  }
  return out;
}

}  // namespace xtape::passes
