#include <cmath>
#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;

constexpr double kNothing = -std::numeric_limits<double>::infinity();

void check(const Var& q, const Var& k, const Var& v, const AttentionOptions& o) {
  const auto last = [](const Var& x, int i) { return x.shape()[x.rank() - i]; };
  if (q.rank() < 2 || k.rank() < 2 || v.rank() < 2 || last(q, 1) != last(k, 1) ||
      last(k, 2) != last(v, 2)) {
    throw ShapeError("scaled_dot_product_attention",
                     "q " + q.shape().str() + ", k " + k.shape().str() + " and v " +
                         v.shape().str() +
                         ": must be [..., queries, d], [..., keys, d] and [..., keys, features]");
  }
  if (o.dropout_p != 0 && !o.generator) {
    throw ValueError("scaled_dot_product_attention", "dropout needs a generator");
  }
}

// Where query i may attend to key j for all it comes after.
Var causal_mask(std::int64_t queries, std::int64_t keys) {
  return less_equal(Tensor::arange(keys), Tensor::arange(queries).reshape({queries, 1}));
}

Var either(const Var& mask, const Var& causal) {
  return where(causal, mask, Tensor::full({}, 0, boolean));
}

// The weights of scores under a mask; `allowed` is undefined where all are.
Var masked_softmax(const Var& scores, const AttentionOptions& o) {
  const Shape& s = scores.shape();
  if (o.mask.defined() && broadcast("scaled_dot_product_attention", o.mask.shape(), s) != s) {
    throw ShapeError("scaled_dot_product_attention", "a mask " + o.mask.shape().str() +
                                                         " for products " + s.str() +
                                                         ": must broadcast to their shape");
  }
  const Var causal = o.causal ? causal_mask(s[scores.rank() - 2], s[scores.rank() - 1]) : Var();
  if (!o.mask.defined()) {
    return softmax(o.causal ? where(causal, scores, kNothing) : scores);
  }
  const Var mask = beside(o.mask, scores);
  const bool numbers = mask.dtype() != boolean;
  Var allowed = numbers ? mask > kNothing : mask;
  if (o.causal) allowed = either(allowed, causal);
  if (allowed.rank() == 0) allowed = reshape(allowed, {1});
  // A row without a key is one of zeros, which the softmax must not see as nothing but −∞.
  const Var some = any(allowed, -1, true);
  const Var nothing = where(some, Tensor::full({}, kNothing, scores.dtype()), 0);
  const Var weights = softmax(where(allowed, numbers ? scores + mask : scores, nothing));
  return where(some, weights, 0);
}

std::vector<Sample> attention_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const char* label, const Shape& q, const Shape& k, const Shape& v,
                       AttentionOptions o) {
    out.push_back({label, {s.draw(q), s.draw(k), s.draw(v)}, [o](Values in) {
                     return scaled_dot_product_attention(in[0], in[1], in[2], o).output;
                   }});
  };
  const Tensor some = Tensor({{1, 0, 1}, {0, 0, 0}}).to(boolean);
  add("matrices", {2, 3}, {3, 3}, {3, 2}, {});
  add("batch", {2, 2, 3}, {2, 4, 3}, {2, 4, 1}, {.scale = 0.7});
  add("heads, causal", {1, 2, 3, 2}, {1, 2, 3, 2}, {1, 2, 3, 2}, {.causal = true});
  add("a row without a key", {2, 2}, {3, 2}, {3, 2}, {.mask = some});
  add("mask and causal", {2, 2}, {3, 2}, {3, 2}, {.mask = some, .causal = true});
  add("no query", {0, 2}, {3, 2}, {3, 2}, {});
  add("no key", {2, 2}, {0, 2}, {0, 2}, {});
  out.push_back(
      {"numbers as mask, weights",
       {s.draw({2, 3}), s.draw({2, 3, 3}), s.draw({2, 3, 2}), s.draw({3})},
       [](Values in) {
         return scaled_dot_product_attention(in[0], in[1], in[2], {.mask = in[3]}).weights;
       }});
  return out;
}

constexpr Op kAttention =
    composed("scaled_dot_product_attention",
             {"y = softmax(q kᵀ/√d + mask) v", "v̄ = wᵀ ȳ; q̄ and k̄ through w = softmax(…)"},
             attention_samples);

}  // namespace

Attention scaled_dot_product_attention(const Var& query, const Var& key, const Var& value,
                                       const AttentionOptions& o) {
  check(query, key, value, o);
  const Var q = beside(beside(beside(query, key), value), o.mask), k = beside(key, q);
  const double d = static_cast<double>(q.shape()[q.rank() - 1]);
  const double scale = o.scale.value_or(d > 0 ? 1 / std::sqrt(d) : 1);
  Var weights = masked_softmax(matmul(q * scale, k, {.transpose_b = true}), o);
  if (o.dropout_p != 0) weights = dropout(weights, o.dropout_p, *o.generator);
  return {matmul(weights, beside(value, weights)), weights};
}

namespace families {
Family attention() { return {&kAttention}; }
}  // namespace families

}  // namespace xtape
