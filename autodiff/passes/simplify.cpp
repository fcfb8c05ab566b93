#include <xtape/autodiff/ops/shaping.hpp>
#include <xtape/autodiff/passes/passes.hpp>
#include <xtape/autodiff/rewrite.hpp>

namespace xtape::passes {

using namespace program;

namespace {

// Elementwise ops broadcast by themselves: an operand that was repeated before need not be, as long
// as the result keeps its shape.
Var read_unrepeated(const Rewrite& r, const Node& n) {
  std::vector<Var> in;
  bool changed = false;
  for (std::size_t k = 0; k < r.size(); ++k) {
    const Op* maker = r.maker(r.in(k));
    changed |= maker && maker->repeats;
    in.push_back(maker && maker->repeats ? r.operand(r.in(k), 0) : r.in(k));
  }
  if (!changed) return {};
  std::vector<const Var*> operands;
  std::vector<const Spec*> specs;
  for (const Var& v : in) {
    operands.push_back(&v);
    specs.push_back(&v.value().spec());
  }
  const bool same = n.op->infer({*n.op, specs, n.attrs.get()}) == n.spec;
  const Var y = same || n.op->arity == 1 ? apply(*n.op, operands, n.attrs) : Var();
  return same || !y.defined() ? y : broadcast_to(y, n.spec.shape);
}

}  // namespace

Graph simplify(const Graph& g) {
  return dead_code(rerecord(g, [](Tape& tape, const Node& n, std::span<const Var* const> in) {
    const Rewrite r(tape, *n.op, in, n.attrs.get(), n.spec);
    Var v = n.op->simplify ? n.op->simplify(r) : Var();
    return v.defined() || !n.op->block ? v : read_unrepeated(r, n);
  }));
}

Graph expand(const Graph& g) {
  return dead_code(rerecord(g, [](Tape& tape, const Node& n, std::span<const Var* const> in) {
    return n.op->expand ? n.op->expand(Rewrite(tape, *n.op, in, n.attrs.get(), n.spec)) : Var();
  }));
}

}  // namespace xtape::passes
