#include <cmath>

#include "nets.hpp"

// Networks of dense layers and attention by their definition, in public ops.
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

Var layer_norm(const Var& x, const Var& weight, const Var& bias) {
  const Var d = x - mean(x, -1, true);
  return d / sqrt(mean(square(d), -1, true) + 1e-5) * weight + bias;
}

// [batch, time, heads·d] → [batch, heads, time, d], columns from `first` on.
Var heads(const Var& x, std::int64_t first, std::int64_t width, std::int64_t n) {
  const Var part = slice(x, -1, {first, first + width});
  return transpose(reshape(part, {x.shape()[0], x.shape()[1], n, width / n}), {0, 2, 1, 3});
}

Results attention_block(const Call& c) {
  const std::int64_t kHeads = 2;
  const Var x = c.operand("x");
  const std::int64_t batch = x.shape()[0], time = x.shape()[1], width = x.shape()[2];
  const Var n1 = layer_norm(x, c.operand("ln1.weight"), c.operand("ln1.bias"));
  const Var packed = linear(n1, c.operand("attn.in_proj_weight"), c.operand("attn.in_proj_bias"));
  const Var q = heads(packed, 0, width, kHeads), k = heads(packed, width, width, kHeads),
            v = heads(packed, 2 * width, width, kHeads);
  const double scale = 1 / std::sqrt(static_cast<double>(width / kHeads));
  Tensor below = Tensor::empty({time, time}, boolean);
  bool* m = below.mutable_data<bool>();
  for (std::int64_t i = 0; i < time * time; ++i) m[i] = i % time <= i / time;
  const Var scores = matmul(q, transpose(k, {0, 1, 3, 2})) * scale;
  const Var weights = softmax(where(below, scores, -INFINITY), -1);
  const Var joined = reshape(transpose(matmul(weights, v), {0, 2, 1, 3}), {batch, time, width});
  const Var z =
      x + linear(joined, c.operand("attn.out_proj.weight"), c.operand("attn.out_proj.bias"));
  const Var n2 = layer_norm(z, c.operand("ln2.weight"), c.operand("ln2.bias"));
  const Var inner = gelu(linear(n2, c.operand("ff1.weight"), c.operand("ff1.bias")));
  const Var y = z + linear(inner, c.operand("ff2.weight"), c.operand("ff2.bias"));
  return {{"output/y", y}, {"intermediate/attention_weights", weights}};
}

struct Classifier {
  std::vector<Var> p;  // emb, W, b
  Var ids, label, class_weight;

  Var logits() const {
    const std::int64_t rows = p[0].shape()[0];
    Tensor mask = Tensor::ones({rows, 1}, f64);
    mask.mutable_data<double>()[0] = 0;  // the row of padding has no gradient
    const Var kept = mask.to(p[0].dtype());
    const Var emb = p[0] * kept + stop_gradient(p[0]) * (1 - kept);
    const Var e = matmul(one_hot(ids, rows, emb.dtype()), emb);
    return linear(tanh(mean(e, 1)), p[1], p[2]);
  }
  Var loss(const Var& y) const {
    const Var w = one_hot(label, y.shape()[1], y.dtype()) * class_weight;
    return -sum(log_softmax(y) * w) / sum(w);
  }
};

// Adam (Kingma and Ba, 2015), 20 steps.
Var adam(Classifier& net) {
  const double rate = 0.05, b1 = 0.9, b2 = 0.999, eps = 1e-8;
  std::vector<Var> m(3), v(3), losses;
  for (int t = 1; t <= 20; ++t) {
    losses.push_back(net.loss(net.logits()));
    const std::vector<Var> g = gradient(losses.back(), net.p);
    const double c1 = 1 - std::pow(b1, t), c2 = std::sqrt(1 - std::pow(b2, t));
    for (std::size_t i = 0; i < 3; ++i) {
      m[i] = t == 1 ? (1 - b1) * g[i] : b1 * m[i] + (1 - b1) * g[i];
      v[i] = t == 1 ? (1 - b2) * square(g[i]) : b2 * v[i] + (1 - b2) * square(g[i]);
      const Var step = where(v[i] > 0, m[i] / (sqrt(v[i]) / c2 + eps), 0);
      net.p[i] = net.p[i] - rate / c1 * stop_gradient(step);
    }
  }
  losses.push_back(net.loss(net.logits()));
  return stack(losses);
}

Results embedding_classifier(const Call& c) {
  Classifier net{{c.operand("emb"), c.operand("W"), c.operand("b")},
                 c.operand("ids"),
                 c.operand("label"),
                 c.operand("class_weight")};
  const Var logits = net.logits();
  Results r{{"output/logits", logits}, {"loss/loss", net.loss(logits)}};
  r["adam_loss"] = adam(net);
  r["param_after_20_adam_steps/emb"] = net.p[0];
  r["param_after_20_adam_steps/W"] = net.p[1];
  r["param_after_20_adam_steps/b"] = net.p[2];
  return r;
}

}  // namespace

void add_dense(Nets& nets) {
  nets["mlp_second_order"] = second_order;
  nets["attention_block_preln_causal"] = attention_block;
  nets["embedding_classifier"] = embedding_classifier;
}

}  // namespace xtape::conformance
