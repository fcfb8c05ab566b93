#include "adapters.hpp"

// Norms and distances.
namespace xtape::conformance {

void add_norms(Adapters& a);

namespace {

using List = std::vector<Var>;

// torch.norm: "fro" is the norm of all the numbers, whatever their shape.
List norm_of(const Call& c) {
  const Var x = c.operand("input");
  const bool two = !c.has("p") || c.raw("p").is_string();
  const Axes axes = x.rank() == 0 ? Axes() : c.axes("dim");
  return {vector_norm(x, two ? 2 : c.number("p"), axes, c.flag("keepdim"))};
}

}  // namespace

void add_norms(Adapters& a) {
  a["norm"] = norm_of;
  a["norm.fro"] = norm_of;
  a["norm.inf"] = norm_of;
  a["linalg.vector_norm"] = [](const Call& c) {
    const Var x = c.operand("input");
    const Axes axes = x.rank() == 0 ? Axes() : c.axes("dim");
    return List{vector_norm(x, c.number("ord", 2), axes, c.flag("keepdim"))};
  };
  a["dist"] = [](const Call& c) {
    return List{dist(c.operand("input"), c.operand("other"), c.number("p", 2))};
  };
  a["cdist"] = [](const Call& c) {
    return List{cdist(c.operand("x1"), c.operand("x2"), c.number("p", 2))};
  };
  a["nn.functional.pdist"] = [](const Call& c) {
    return List{pdist(c.operand("input"), c.number("p", 2))};
  };
  a["nn.functional.pairwise_distance"] = [](const Call& c) {
    return List{pairwise_distance(c.operand("x1"), c.operand("x2"), c.number("p", 2),
                                  c.number("eps", 1e-6), c.flag("keepdim"))};
  };
  a["nn.functional.cosine_similarity"] = [](const Call& c) {
    return List{cosine_similarity(c.operand("x1"), c.operand("x2"), c.integer("dim", 1),
                                  c.number("eps", 1e-8))};
  };
}

}  // namespace xtape::conformance
