#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <xtape/autodiff/rng.hpp>
#include <xtape/autodiff/tensor.hpp>

namespace xtape::data {

/// The rows of one epoch, in the order in which they are shown; drawn anew for each. The same
/// generator state gives the same rows.
using Sampler = std::function<std::vector<std::int64_t>(Rng&)>;

/// Every one of `rows` rows once, in random order. @throws ValueError when negative.
Sampler shuffled(std::int64_t rows);

/// `count` rows, each draw row i with probability wᵢ / Σ w, as often as it comes: with replacement.
/// Weights of any size; a row of weight 0 is never drawn. @throws ValueError when a weight is
/// negative or not finite, none is positive, or `count` is negative.
Sampler weighted(std::vector<double> weights, std::int64_t count);
/// The same without replacement, one draw after the other from what is left. Efraimidis and
/// Spirakis, "Weighted random sampling with a reservoir", 2006. @throws ValueError as weighted(),
/// and when fewer than `count` weights are positive.
Sampler weighted_once(std::vector<double> weights, std::int64_t count);

/// `count` rows in which all classes that occur in `labels` (i64 [n]) stand equally often, give or
/// take one; the rows of a class, too, are shown equally often, give or take one. `count` 0 is n.
/// @throws DTypeError or ShapeError for other labels. @throws ValueError for a negative label or
/// count, or without rows.
Sampler balanced(const Tensor& labels, std::int64_t count = 0);

}  // namespace xtape::data
