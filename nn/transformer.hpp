#pragma once

#include <xtape/nn/attention.hpp>
#include <xtape/nn/dropout.hpp>
#include <xtape/nn/normalization.hpp>

// Blocks of a transformer. Vaswani et al., "Attention is all you need", 2017; with norm_first,
// Xiong et al., "On layer normalization in the transformer architecture", 2020. Names of parameters
// as in PyTorch.
namespace xtape::nn {

/// What a transformer's layers are made with.
struct TransformerOptions {
  std::int64_t feedforward = 2048;             ///< Extent between linear1 and linear2.
  double dropout = 0.1;                        ///< In training.
  Activation activation = ReLU();              ///< Between linear1 and linear2.
  double eps = 1e-5;                           ///< Of the normalizations.
  bool batch_first = false;                    ///< See MultiheadAttentionOptions.
  bool norm_first = false;                     ///< x + f(norm x), not norm(x + f(x)).
  bool causal = false;                         ///< Of the self-attention.
  Initializer weight_init = xavier_uniform();  ///< Of all weights.
  DType dtype = f32;                           ///< Of all parameters.
};

/// What TransformerEncoderLayer and TransformerDecoderLayer have in common: residual blocks around
/// attentions and a feed-forward network.
class TransformerLayer : public Module {
 public:
  /// A LayerNorm as the layer's own ones, to stand behind the last of several layers.
  std::shared_ptr<Module> final_norm() const;

 protected:
  /// Makes self_attn, multihead_attn where `memory`, and the rest.
  TransformerLayer(std::int64_t features, std::int64_t heads, const TransformerOptions& options,
                   bool memory);
  /// The child of that name.
  const Module& child(std::string_view name) const;
  /// x after block `number` (from 1), whose function is f: x + dropout(f(x)), normalized first or
  /// last.
  Var block(int number, const Var& x, const std::function<Var(const Var&)>& f) const;
  /// self_attn of x.
  Var attend(const Var& x, const AttentionMasks& masks) const;
  /// linear2(dropout(activation(linear1(x)))).
  Var feed(const Var& x) const;

 private:
  bool norm_first_;
};

/// y = block(block(x, self_attn), feed-forward).
class TransformerEncoderLayer : public Cloneable<TransformerEncoderLayer, TransformerLayer> {
 public:
  /// @throws ValueError as MultiheadAttention and Dense.
  TransformerEncoderLayer(std::int64_t features, std::int64_t heads,
                          const TransformerOptions& options = {})
      : Cloneable(features, heads, options, false) {}
  Var forward(const Var& x) const override { return encode(x); }
  std::string describe() const override;
  /// The same with masks.
  Var encode(const Var& x, const AttentionMasks& masks = {}) const;
};

/// y = block(block(block(x, self_attn), multihead_attn to memory), feed-forward); takes x and
/// memory.
class TransformerDecoderLayer : public Cloneable<TransformerDecoderLayer, TransformerLayer> {
 public:
  /// @throws ValueError as MultiheadAttention and Dense.
  TransformerDecoderLayer(std::int64_t features, std::int64_t heads,
                          const TransformerOptions& options = {})
      : Cloneable(features, heads, options, true) {}
  Var forward(const Var& x) const override { return forward_all({&x, 1}); }
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;
  /// The same with masks for what is decoded and for the memory.
  Var decode(const Var& x, const Var& memory, const AttentionMasks& masks = {},
             const AttentionMasks& memory_masks = {}) const;
};

/// Encoder layers one after the other: `layers.0`, `layers.1`, …, and `norm` behind them where it
/// is wanted.
class TransformerEncoder : public Cloneable<TransformerEncoder> {
 public:
  /// `count` clones of `layer`; weights that nobody set are drawn by their place, so that no two
  /// layers begin alike. @throws ValueError unless count is 1 or more.
  TransformerEncoder(const TransformerEncoderLayer& layer, std::int64_t count, bool norm = false);
  Var forward(const Var& x) const override { return encode(x); }
  std::string describe() const override;
  /// The same with masks, which each layer gets.
  Var encode(const Var& x, const AttentionMasks& masks = {}) const;
};

/// Decoder layers one after the other, each with the same memory; takes x and memory. Children as
/// those of TransformerEncoder.
class TransformerDecoder : public Joining<TransformerDecoder> {
 public:
  /// As TransformerEncoder.
  TransformerDecoder(const TransformerDecoderLayer& layer, std::int64_t count, bool norm = false);
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;
  /// The same with masks for what is decoded and for the memory.
  Var decode(const Var& x, const Var& memory, const AttentionMasks& masks = {},
             const AttentionMasks& memory_masks = {}) const;
};

}  // namespace xtape::nn
