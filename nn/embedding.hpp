#pragma once

#include <optional>

#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// What an embedding is made with.
struct EmbeddingLayerOptions {
  /// The row that is zeros, however the table is drawn, and gets no gradient; from the end when
  /// negative.
  std::optional<std::int64_t> padding_idx = {};
  bool scale_grad_by_freq = false;     ///< Divides gradients by the number of uses of a row.
  Initializer weight_init = normal();  ///< Of `weight`.
  DType dtype = f32;                   ///< Of `weight`.
};

/// Rows of a table: y[…, :] = weight[x[…], :], x being i64 and `weight` [rows, features].
class Embedding : public Cloneable<Embedding> {
 public:
  /// @throws ValueError unless both extents are 1 or more and the row of padding is there.
  Embedding(std::int64_t rows, std::int64_t features, const EmbeddingLayerOptions& options = {});
  Var forward(const Var& x) const override;
  std::string describe() const override;
  DType input_dtype() const override { return i64; }
  /// [rows, features].
  const Parameter& weight() const { return own_parameters()[0]; }

 private:
  EmbeddingOptions options_;
};

}  // namespace xtape::nn
