#include <xtape/nn/embedding.hpp>

namespace xtape::nn {

Embedding::Embedding(std::int64_t rows, std::int64_t features, const EmbeddingLayerOptions& o)
    : options_{o.padding_idx, o.scale_grad_by_freq} {
  if (rows < 1 || features < 1) {
    throw ValueError("Embedding", std::to_string(rows) + " × " + std::to_string(features) +
                                      ": both extents must be 1 or more");
  }
  ParameterTraits traits;
  if (o.padding_idx) {
    const std::int64_t row = *o.padding_idx < 0 ? *o.padding_idx + rows : *o.padding_idx;
    if (row < 0 || row >= rows) {
      throw ValueError("Embedding", "padding_idx " + std::to_string(*o.padding_idx) +
                                        ": there are " + std::to_string(rows) + " rows");
    }
    traits.zero_row = row;
  }
  add_parameter("weight", {rows, features}, o.weight_init, {rows, features}, o.dtype, traits);
}

Var Embedding::forward(const Var& x) const { return embedding(x, weight(), options_); }

std::string Embedding::describe() const {
  return "Embedding(" + std::to_string(weight().shape()[0]) + " × " +
         std::to_string(weight().shape()[1]) + ")";
}

}  // namespace xtape::nn
