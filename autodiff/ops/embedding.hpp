#pragma once

#include <optional>

#include <xtape/autodiff/var.hpp>

// Rows of a table, chosen by i64 indices.
namespace xtape {

/// Of embedding().
struct EmbeddingOptions {
  /// The row that gets no gradient; from the end when negative.
  std::optional<std::int64_t> padding_idx = {};
  /// Divides the gradient of each row by the number of its uses.
  bool scale_grad_by_freq = false;
};
/// y[…, :] = weight[indices[…], :]. Both options change the gradient only, which then is another
/// than that of the values.
/// @throws ShapeError unless `weight` is [rows, features]; DTypeError unless indices are i64;
/// ValueError naming an index outside [0, rows).
Var embedding(const Var& indices, const Var& weight, const EmbeddingOptions& options = {});

/// What embedding_bag() makes of the rows of a bag; of none of them 0.
enum class Bag : std::uint8_t { mean, sum, max };
/// Of embedding_bag().
struct EmbeddingBagOptions {
  Bag mode = Bag::mean;         ///< See Bag.
  Var offsets = {};             ///< For a list of indices: where each bag begins, the first at 0.
  Var per_sample_weights = {};  ///< Factors of the shape of indices; Bag::sum only.
  /// The row that does not count; from the end when negative.
  std::optional<std::int64_t> padding_idx = {};
  bool include_last_offset = false;  ///< The last offset is no bag, but the end of the one before.
};
/// The rows of each bag of indices, [bags, length] or a list with offsets, joined: [bags,
/// features]. Bag::max of a list takes memory for each index and bag; elements that tie share the
/// gradient.
/// @throws as embedding(); ValueError for weights without Bag::sum, or offsets that do not begin
/// at 0.
Var embedding_bag(const Var& indices, const Var& weight, const EmbeddingBagOptions& options = {});

}  // namespace xtape
