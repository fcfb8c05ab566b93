#include <cmath>

#include <xtape/nn/attention.hpp>

namespace xtape::nn {

MultiheadAttention::MultiheadAttention(std::int64_t features, std::int64_t heads,
                                       const MultiheadAttentionOptions& o)
    : features_(features), heads_(heads), options_(o) {
  if (heads < 1 || features < 1 || features % heads != 0) {
    throw ValueError("MultiheadAttention", std::to_string(features) + " features in " +
                                               std::to_string(heads) + " heads: must divide");
  }
  if (!(o.dropout >= 0 && o.dropout < 1)) {
    throw ValueError("MultiheadAttention",
                     "dropout " + detail::text(o.dropout) + ": must be in [0, 1)");
  }
  if (options_.kdim == 0) options_.kdim = features;
  if (options_.vdim == 0) options_.vdim = features;
  const std::int64_t k = options_.kdim, v = options_.vdim;
  const auto weight = [&](const char* name, std::int64_t rows, std::int64_t in) {
    add_parameter(name, {rows, in}, o.weight_init, {in, rows}, o.dtype);
  };
  if (k == features && v == features) {
    weight("in_proj_weight", 3 * features, features);
  } else {
    weight("q_proj_weight", features, features);
    weight("k_proj_weight", features, k);
    weight("v_proj_weight", features, v);
  }
  if (o.bias) add_parameter("in_proj_bias", {3 * features}, constant(0), {1, 1}, o.dtype);
  add_child("out_proj",
            std::make_shared<Dense>(
                features, features,
                DenseOptions{.bias = o.bias, .weight_init = o.weight_init, .dtype = o.dtype}));
  if (o.dropout > 0) add_generator();
  draw_untouched(0);
}

std::string MultiheadAttention::describe() const {
  return "MultiheadAttention(" + std::to_string(features_) + ", " + std::to_string(heads_) +
         " heads" + (options_.causal ? ", causal)" : ")");
}

Var MultiheadAttention::forward_all(std::span<const Var> xs) const {
  if (xs.empty() || xs.size() > 3) {
    throw ValueError("MultiheadAttention",
                     std::to_string(xs.size()) + " inputs: it takes x, or q and kv, or q, k, v");
  }
  if (xs.size() == 1) return forward(xs[0]);
  return attend(xs[0], xs[1], xs.back()).output;
}

void MultiheadAttention::check(const Var& x, std::int64_t features, const char* what) const {
  if ((x.rank() == 2 || x.rank() == 3) && x.shape()[x.rank() - 1] == features) return;
  throw ShapeError("MultiheadAttention",
                   std::string(what) + " of shape " + x.shape().str() + ": must be " +
                       (options_.batch_first ? "[batch, time, " : "[time, batch, ") +
                       std::to_string(features) + "] or [time, " + std::to_string(features) + "]");
}

// q, k and v: in one product where they are made of one x.
std::vector<Var> MultiheadAttention::project(const Var& q, const Var& k, const Var& v,
                                             bool same) const {
  const Parameters& own = own_parameters();
  const Parameter bias = this->own("in_proj_bias");
  const bool packed = !this->own("q_proj_weight").defined();
  const std::int64_t n = features_;
  if (same && packed) {
    Var all = matmul(q, own[0], {.transpose_b = true});
    if (bias.defined()) all = all + bias;
    return {slice(all, -1, {0, n}), slice(all, -1, {n, 2 * n}), slice(all, -1, {2 * n, {}})};
  }
  std::vector<Var> out;
  const Var* xs[] = {&q, &k, &v};
  for (int i = 0; i < 3; ++i) {
    const Var& x = *xs[i];
    // Beside x where that is recorded or no_grad(…), else on the tape of the others.
    const auto on = [&](const Parameter& p) {
      Var joined = beside(p, x);
      for (const Var* other : xs) joined = beside(joined, *other);
      return joined;
    };
    const auto rows = [&](const Parameter& p) { return narrow(on(p), 0, i * n, n); };
    const Var w = packed ? rows(own[0]) : on(own[static_cast<std::size_t>(i)]);
    const Var y = matmul(x, w, {.transpose_b = true});
    out.push_back(bias.defined() ? y + rows(bias) : y);
  }
  return out;
}

void MultiheadAttention::check_keys(const Var& there, const Var& k) const {
  const bool one = k.rank() == 2;
  const std::int64_t time = k.shape()[!one && options_.batch_first ? 1 : 0];
  const Shape want = one ? Shape{time} : Shape{k.shape()[options_.batch_first ? 0 : 1], time};
  if (there.dtype() != boolean) {
    throw DTypeError(describe(), std::string("a mask of keys of ") + name(there.dtype()) +
                                     ": must be boolean, true where there is a key");
  }
  const bool row = one && there.shape() == Shape{1, time};
  if (there.shape() == want || row) return;
  throw ShapeError(describe(), "a mask of keys " + there.shape().str() +
                                   ": must be [batch, keys] = " + want.str());
}

// [batch, heads, time, features of a head].
Var MultiheadAttention::heads(const Var& x) const {
  const Var split = unflatten(x, -1, {heads_, -1});
  if (x.rank() == 2) return unsqueeze(transpose(split, {1, 0, 2}), 0);
  return options_.batch_first ? transpose(split, {0, 2, 1, 3}) : transpose(split, {1, 2, 0, 3});
}

Attention MultiheadAttention::attend(const Var& q, const Var& k, const Var& v,
                                     const AttentionMasks& masks) const {
  return located([&]() -> Attention {
    check(q, features_, "queries");
    check(k, options_.kdim, "keys");
    check(v, options_.vdim, "values");
    const std::vector<Var> p = project(q, k, v, &q == &k && &k == &v);
    AttentionOptions o{.mask = masks.mask, .causal = options_.causal};
    if (options_.dropout > 0 && training()) {
      o.dropout_p = options_.dropout;
      o.generator = &generator();
    }
    if (masks.keys.defined()) {
      check_keys(masks.keys, k);
      const Var there = reshape(masks.keys, {-1, 1, 1, masks.keys.shape()[masks.keys.rank() - 1]});
      if (!o.mask.defined()) {
        o.mask = there;
      } else if (o.mask.dtype() == boolean) {
        o.mask = logical_and(o.mask, there);
      } else {
        o.mask = where(there, o.mask, -INFINITY);
      }
    }
    const Attention a = scaled_dot_product_attention(heads(p[0]), heads(p[1]), heads(p[2]), o);
    // Back to the axes of q, the heads side by side.
    const Var y = q.rank() == 2          ? transpose(squeeze(a.output, 0), {1, 0, 2})
                  : options_.batch_first ? transpose(a.output, {0, 2, 1, 3})
                                         : transpose(a.output, {2, 0, 1, 3});
    return {(*children()[0].module)(flatten(y, -2, -1)), a.weights};
  });
}

}  // namespace xtape::nn
