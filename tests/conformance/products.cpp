#include "adapters.hpp"

// Families of the corpus: matmul (without powers of matrices) and linear_nn.
namespace xtape::conformance {
namespace {

using List = std::vector<Var>;

Adapter pair(Var (*f)(const Var&, const Var&), const char* first, const char* second) {
  return [=](const Call& c) { return List{f(c.operand(first), c.operand(second))}; };
}

using Weighted = Var (*)(const Var&, const Var&, const Var&, double, double);
Adapter weighted(Weighted f, const char* first, const char* second) {
  return [=](const Call& c) {
    return List{f(c.operand("input"), c.operand(first), c.operand(second), c.number("beta", 1),
                  c.number("alpha", 1))};
  };
}

List tensordot_of(const Call& c) {
  const Var a = c.operand("a"), b = c.operand("b");
  const auto& dims = c.raw("dims");
  if (dims.is_number()) return {tensordot(a, b, dims.get<std::int64_t>())};
  using Numbers = std::vector<std::int64_t>;
  return {tensordot(a, b, dims.at(0).get<Numbers>(), dims.at(1).get<Numbers>())};
}

// Without a dim, cross takes the first axis of extent 3.
List cross_of(const Call& c) {
  const Var a = c.operand("input"), b = c.operand("other");
  if (c.has("dim")) return {cross(a, b, c.integer("dim"))};
  const Shape shape = broadcast("cross", a.shape(), b.shape());
  int axis = 0;
  while (axis + 1 < shape.rank() && shape[axis] != 3) ++axis;
  return {cross(a, b, axis)};
}

}  // namespace

void add_products(Adapters& a) {
  a["matmul"] = [](const Call& c) { return List{matmul(c.operand("input"), c.operand("other"))}; };
  a["dot"] = pair(dot, "input", "tensor");
  a["vdot"] = pair(vdot, "input", "other");
  a["inner"] = pair(inner, "input", "other");
  a["outer"] = pair(outer, "input", "vec2");
  a["mv"] = pair(mv, "input", "vec");
  a["mm"] = pair(mm, "input", "mat2");
  a["bmm"] = pair(bmm, "input", "mat2");
  a["kron"] = pair(kron, "input", "other");
  a["addmm"] = weighted(addmm, "mat1", "mat2");
  a["addmv"] = weighted(addmv, "mat", "vec");
  a["addr"] = weighted(addr, "vec1", "vec2");
  a["addbmm"] = weighted(addbmm, "batch1", "batch2");
  a["baddbmm"] = weighted(baddbmm, "batch1", "batch2");
  a["cross"] = cross_of;
  a["linalg.cross"] = [](const Call& c) {
    return List{cross(c.operand("input"), c.operand("other"), c.integer("dim", -1))};
  };
  a["linalg.vecdot"] = [](const Call& c) {
    return List{vecdot(c.operand("x"), c.operand("y"), c.integer("dim", -1))};
  };
  a["linalg.multi_dot"] = [](const Call& c) { return List{multi_dot(c.operands("tensors"))}; };
  a["tensordot"] = tensordot_of;
  a["einsum"] = [](const Call& c) {
    return List{einsum(c.text("equation"), c.operands("operands"))};
  };
  a["nn.functional.linear"] = [](const Call& c) {
    return List{linear(c.operand("input"), c.operand("weight"), c.operand("bias", {}))};
  };
  a["nn.functional.bilinear"] = [](const Call& c) {
    return List{bilinear(c.operand("input1"), c.operand("input2"), c.operand("weight"),
                         c.operand("bias", {}))};
  };
}

}  // namespace xtape::conformance
