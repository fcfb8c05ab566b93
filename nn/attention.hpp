#pragma once

#include <xtape/nn/dense.hpp>

namespace xtape::nn {

/// What a multi-head attention is made with.
struct MultiheadAttentionOptions {
  double dropout = 0;  ///< Of the weights, in training.
  bool bias = true;    ///< Whether the projections have biases.
  bool batch_first =
      false;              ///< Sequences are [batch, time, features], not [time, batch, features].
  bool causal = false;    ///< Step i attends to the steps 0, …, i only.
  std::int64_t kdim = 0;  ///< Features of keys, where they are others than those of queries.
  std::int64_t vdim = 0;  ///< Features of values, likewise.
  Initializer weight_init = xavier_uniform();  ///< Of all weights.
  DType dtype = f32;                           ///< Of all parameters.
};

/// What may attend to what, see MultiheadAttention::attend.
struct AttentionMasks {
  /// Broadcasts to [batch, heads, queries, keys]: boolean, true where a query may attend to a key;
  /// or numbers that are added to the products.
  Var mask = {};
  /// Boolean [batch, keys] ([keys] without a batch): true where there is a key, false for padding.
  Var keys = {};
};

/// Concat(head₁, …) W_oᵀ + b_o, each head scaled_dot_product_attention of its own columns of q, k
/// and v after linear projections. Vaswani et al., "Attention is all you need", 2017, 3.2.2.
/// Parameters in PyTorch's layout: `in_proj_weight` [3·features, features] (rows for q, k, v) or,
/// with other kdim or vdim, `q_proj_weight`, `k_proj_weight`, `v_proj_weight`; `in_proj_bias`
/// [3·features]; `out_proj.weight`, `out_proj.bias`.
///
/// As a module it takes x (attends to itself), q and what keys and values are made of, or q, k, v.
class MultiheadAttention : public Cloneable<MultiheadAttention> {
 public:
  /// @throws ValueError unless the features divide into the heads and dropout is in [0, 1).
  MultiheadAttention(std::int64_t features, std::int64_t heads,
                     const MultiheadAttentionOptions& options = {});
  Var forward(const Var& x) const override { return attend(x, x, x).output; }
  Var forward_all(std::span<const Var> xs) const override;
  std::string describe() const override;
  /// Output, of the shape of q, and weights [batch, heads, queries, keys]. Sequences without the
  /// batch axis are one of them. Masks say what MAY attend, unlike PyTorch's boolean ones.
  /// @throws ShapeError, DTypeError.
  Attention attend(const Var& q, const Var& k, const Var& v,
                   const AttentionMasks& masks = {}) const;

 private:
  std::vector<Var> project(const Var& q, const Var& k, const Var& v, bool same) const;
  Var heads(const Var& x) const;
  void check(const Var& x, std::int64_t features, const char* what) const;
  void check_keys(const Var& there, const Var& k) const;

  std::int64_t features_, heads_;
  MultiheadAttentionOptions options_;
};

}  // namespace xtape::nn
