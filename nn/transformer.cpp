#include <xtape/nn/transformer.hpp>

namespace xtape::nn {
namespace {

// "layers", that many clones of one.
std::shared_ptr<Sequential> clones(const char* of, const Module& layer, std::int64_t count) {
  if (count < 1) throw ValueError(of, std::to_string(count) + " layers: must be 1 or more");
  auto all = std::make_shared<Sequential>();
  for (std::int64_t i = 0; i < count; ++i) all->add(layer.clone());
  return all;
}

bool given(const AttentionMasks& m) { return m.mask.defined() || m.keys.defined(); }

std::string describe_stack(const char* name, const Module& layers) {
  const auto& all = layers.children();
  return std::string(name) + "(" + std::to_string(all.size()) + " × " + all[0].module->describe() +
         ")";
}

}  // namespace

TransformerLayer::TransformerLayer(std::int64_t features, std::int64_t heads,
                                   const TransformerOptions& o, bool memory)
    : norm_first_(o.norm_first) {
  MultiheadAttentionOptions attention{.dropout = o.dropout,
                                      .batch_first = o.batch_first,
                                      .causal = o.causal,
                                      .weight_init = o.weight_init,
                                      .dtype = o.dtype};
  const DenseOptions dense{.weight_init = o.weight_init, .dtype = o.dtype};
  add_child("self_attn", std::make_shared<MultiheadAttention>(features, heads, attention));
  attention.causal = false;
  if (memory) {
    add_child("multihead_attn", std::make_shared<MultiheadAttention>(features, heads, attention));
  }
  add_child("linear1", std::make_shared<Dense>(features, o.feedforward, dense));
  add_child("activation", std::make_shared<Activation>(o.activation));
  add_child("dropout", std::make_shared<Dropout>(o.dropout));
  add_child("linear2", std::make_shared<Dense>(o.feedforward, features, dense));
  for (int i = 1; i <= (memory ? 3 : 2); ++i) {
    const std::string number = std::to_string(i);
    add_child("norm" + number, std::make_shared<LayerNorm>(
                                   features, NormLayerOptions{.eps = o.eps, .dtype = o.dtype}));
    add_child("dropout" + number, std::make_shared<Dropout>(o.dropout));
  }
  draw_untouched(0);
}

std::shared_ptr<Module> TransformerLayer::final_norm() const { return child("norm1").clone(); }

const Module& TransformerLayer::child(std::string_view name) const {
  for (const Child& c : children()) {
    if (c.name == name) return *c.module;
  }
  throw ValueError("TransformerLayer", "no child '" + std::string(name) + "'");
}

Var TransformerLayer::block(int number, const Var& x,
                            const std::function<Var(const Var&)>& f) const {
  const Module &norm = child("norm" + std::to_string(number)),
               &dropout = child("dropout" + std::to_string(number));
  return norm_first_ ? x + dropout(f(norm(x))) : norm(x + dropout(f(x)));
}

Var TransformerLayer::attend(const Var& x, const AttentionMasks& masks) const {
  const Module& attention = child("self_attn");
  if (!given(masks)) return attention(x);
  return static_cast<const MultiheadAttention&>(attention).attend(x, x, x, masks).output;
}

Var TransformerLayer::feed(const Var& x) const {
  return child("linear2")(child("dropout")(child("activation")(child("linear1")(x))));
}

Var TransformerEncoderLayer::encode(const Var& x, const AttentionMasks& masks) const {
  return located([&] {
    const Var y = block(1, x, [&](const Var& v) { return attend(v, masks); });
    return block(2, y, [&](const Var& v) { return feed(v); });
  });
}

std::string TransformerEncoderLayer::describe() const {
  return "TransformerEncoderLayer(" + child("self_attn").describe() + ")";
}

Var TransformerDecoderLayer::forward_all(std::span<const Var> xs) const {
  if (xs.size() != 2) {
    throw ValueError("TransformerDecoderLayer",
                     std::to_string(xs.size()) + " inputs: it takes x and memory");
  }
  return decode(xs[0], xs[1]);
}

Var TransformerDecoderLayer::decode(const Var& x, const Var& memory, const AttentionMasks& masks,
                                    const AttentionMasks& memory_masks) const {
  return located([&] {
    const auto& cross = static_cast<const MultiheadAttention&>(child("multihead_attn"));
    Var y = block(1, x, [&](const Var& v) { return attend(v, masks); });
    y = block(2, y,
              [&](const Var& v) { return cross.attend(v, memory, memory, memory_masks).output; });
    return block(3, y, [&](const Var& v) { return feed(v); });
  });
}

std::string TransformerDecoderLayer::describe() const {
  return "TransformerDecoderLayer(" + child("self_attn").describe() + ")";
}

TransformerEncoder::TransformerEncoder(const TransformerEncoderLayer& layer, std::int64_t count,
                                       bool norm) {
  add_child("layers", clones("TransformerEncoder", layer, count));
  if (norm) add_child("norm", layer.final_norm());
  draw_untouched(0);
}

Var TransformerEncoder::encode(const Var& x, const AttentionMasks& masks) const {
  return located([&] {
    Var y = x;
    for (const Child& c : children()[0].module->children()) {
      const Module& layer = *c.module;
      y = given(masks) ? static_cast<const TransformerEncoderLayer&>(layer).encode(y, masks)
                       : layer(y);
    }
    return children().size() > 1 ? (*children()[1].module)(y) : y;
  });
}

std::string TransformerEncoder::describe() const {
  return describe_stack("TransformerEncoder", *children()[0].module);
}

TransformerDecoder::TransformerDecoder(const TransformerDecoderLayer& layer, std::int64_t count,
                                       bool norm) {
  add_child("layers", clones("TransformerDecoder", layer, count));
  if (norm) add_child("norm", layer.final_norm());
  draw_untouched(0);
}

Var TransformerDecoder::forward_all(std::span<const Var> xs) const {
  if (xs.size() != 2) {
    throw ValueError("TransformerDecoder",
                     std::to_string(xs.size()) + " inputs: it takes x and memory");
  }
  return decode(xs[0], xs[1]);
}

Var TransformerDecoder::decode(const Var& x, const Var& memory, const AttentionMasks& masks,
                               const AttentionMasks& memory_masks) const {
  return located([&] {
    Var y = x;
    for (const Child& c : children()[0].module->children()) {
      const Module& layer = *c.module;
      y = given(masks) || given(memory_masks)
              ? static_cast<const TransformerDecoderLayer&>(layer).decode(y, memory, masks,
                                                                          memory_masks)
              : layer(y, memory);
    }
    return children().size() > 1 ? (*children()[1].module)(y) : y;
  });
}

std::string TransformerDecoder::describe() const {
  return describe_stack("TransformerDecoder", *children()[0].module);
}

}  // namespace xtape::nn
