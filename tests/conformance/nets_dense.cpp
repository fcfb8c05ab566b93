#include "nets.hpp"

// Networks that are differentiated twice, by their definition, in public ops.
namespace xtape::conformance {
namespace {

using Results = std::map<std::string, Var>;

Var dot(const std::vector<Var>& a, const std::vector<Var>& b) {
  Var total = sum(a[0] * b[0]);
  for (std::size_t i = 1; i < a.size(); ++i) total = total + sum(a[i] * b[i]);
  return total;
}

// A 3-5-4-2 network: its loss, H·v, a gradient penalty with its gradient, the Hessian of b1.
Results second_order(const Call& c) {
  const std::vector<std::string> names{"W0", "b0", "W1", "b1", "W2", "b2"};
  std::vector<Var> p, v;
  for (const std::string& n : names) {
    p.push_back(c.operand(n));
    v.push_back(c.operand("v/" + n));
  }
  const Var x = c.operand("x");
  const Var out = linear(softplus(linear(tanh(linear(x, p[0], p[1])), p[2], p[3])), p[4], p[5]);
  const Var loss = mean(square(out - c.operand("y")));
  const std::vector<Var> g = gradient(loss, p), hvp = gradient(dot(g, v), p);
  const Var dx = gradient(sum(out), x);
  const Var penalty = mean(square(sqrt(sum(square(dx), 1)) - 1));
  const std::vector<Var> gp = gradient(penalty, p, {.unconnected = Unconnected::zero});
  std::vector<Var> rows;
  for (std::int64_t i = 0; i < p[3].shape()[0]; ++i) {
    rows.push_back(gradient(sum(slice(g[3], 0, {i, i + 1})), p[3]));
  }
  Results r{{"output/out", out},
            {"loss/loss", loss},
            {"newton/hessian_b1", stack(rows)},
            {"gp/dx", dx},
            {"gp/penalty", penalty}};
  for (std::size_t i = 0; i < names.size(); ++i) {
    r["hvp/" + names[i]] = hvp[i];
    r["gp_grad/" + names[i]] = gp[i];
  }
  return r;
}

}  // namespace

void add_dense(Nets& nets) { nets["mlp_second_order"] = second_order; }

}  // namespace xtape::conformance
