#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include <xtape/autodiff/error.hpp>
#include <xtape/data/sampler.hpp>

namespace xtape::data {
namespace {

void check_count(const char* where, std::int64_t count) {
  if (count >= 0) return;
  throw ValueError(where, std::to_string(count) + " rows: must be 0 or more");
}

void check_weights(const char* where, const std::vector<double>& weights, std::int64_t count,
                   std::int64_t least_positive) {
  check_count(where, count);
  std::int64_t positive = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] >= 0) || !std::isfinite(weights[i])) {
      throw ValueError(where, "weight " + detail::text(weights[i]) + " of row " +
                                  std::to_string(i) + ": must be finite and not negative");
    }
    positive += weights[i] > 0;
  }
  if (positive < least_positive) {
    throw ValueError(where, std::to_string(positive) + " weights are positive: needs " +
                                std::to_string(least_positive) + " or more");
  }
}

std::vector<std::vector<std::int64_t>> rows_by_class(const Tensor& labels) {
  if (labels.dtype() != i64) {
    throw DTypeError("balanced",
                     std::string("labels are ") + name(labels.dtype()) + ": must be i64");
  }
  if (labels.rank() != 1) {
    throw ShapeError("balanced", "labels " + labels.shape().str() + ": must be [n]");
  }
  std::map<std::int64_t, std::vector<std::int64_t>> found;
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels.data<std::int64_t>()[i];
    if (label < 0) {
      throw ValueError("balanced", "label " + std::to_string(label) + " of row " +
                                       std::to_string(i) + ": must be 0 or more");
    }
    found[label].push_back(i);
  }
  if (found.empty()) throw ValueError("balanced", "there are no rows");
  std::vector<std::vector<std::int64_t>> rows;
  for (auto& [label, list] : found) rows.push_back(std::move(list));
  return rows;
}

template <class T>
void shuffle(std::vector<T>& v, Rng& rng) {
  const std::vector<std::int64_t> order = rng.permutation(static_cast<std::int64_t>(v.size()));
  std::vector<T> out;
  for (const std::int64_t i : order) out.push_back(v[static_cast<std::size_t>(i)]);
  v = std::move(out);
}

}  // namespace

Sampler shuffled(std::int64_t rows) {
  check_count("shuffled", rows);
  return [rows](Rng& rng) { return rng.permutation(rows); };
}

Sampler weighted(std::vector<double> weights, std::int64_t count) {
  check_weights("weighted", weights, count, 1);
  // Of the largest weight, so that no sum overflows and tiny weights keep their digits.
  const double largest = *std::max_element(weights.begin(), weights.end());
  for (double& w : weights) w /= largest;
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  return [sums = std::move(weights), count](Rng& rng) {
    std::vector<std::int64_t> rows;
    for (std::int64_t k = 0; k < count; ++k) {
      // The first sum above the number: rows of weight 0 never are. Rounding may reach the total.
      const double at = std::min(rng.uniform() * sums.back(), std::nextafter(sums.back(), 0.0));
      rows.push_back(std::upper_bound(sums.begin(), sums.end(), at) - sums.begin());
    }
    return rows;
  };
}

Sampler weighted_once(std::vector<double> weights, std::int64_t count) {
  check_weights("weighted_once", weights, count, std::max<std::int64_t>(count, 1));
  return [weights = std::move(weights), count](Rng& rng) {
    // log u / w: the largest are drawn. As log(−log u) − log w, which overflows for no weight.
    std::vector<std::pair<double, std::int64_t>> keys;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double u = 1 - rng.uniform();  // (0, 1]
      if (weights[i] > 0) keys.emplace_back(std::log(-std::log(u)) - std::log(weights[i]), i);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<std::int64_t> rows;
    for (std::int64_t k = 0; k < count; ++k) {
      rows.push_back(keys[static_cast<std::size_t>(k)].second);
    }
    return rows;
  };
}

Sampler balanced(const Tensor& labels, std::int64_t count) {
  check_count("balanced", count);
  if (count == 0) count = labels.size();
  return [classes = rows_by_class(labels), count](Rng& rng) {
    std::vector<std::vector<std::int64_t>> lists = classes;
    shuffle(lists, rng);  // which classes get one more
    std::vector<std::int64_t> rows;
    for (std::size_t c = 0; c < lists.size(); ++c) {
      const auto n = static_cast<std::int64_t>(lists.size());
      const std::int64_t share = count / n + (static_cast<std::int64_t>(c) < count % n);
      const std::size_t size = lists[c].size();
      for (std::size_t k = 0; k < static_cast<std::size_t>(share); ++k) {
        if (k % size == 0) shuffle(lists[c], rng);
        rows.push_back(lists[c][k % size]);
      }
    }
    shuffle(rows, rng);
    return rows;
  };
}

}  // namespace xtape::data
