#pragma once

#include <cmath>

#include <xtape/xtape.hpp>

#include "catch.hpp"

// What several tests need.
namespace xtape::test {

/// The largest |a − b| over the largest |b|, 0 for empty tensors. NaN anywhere gives NaN; shapes
/// must be equal.
inline double relative_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0, size = 1e-300;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (a.flat(i) == b.flat(i)) continue;  // infinities, too
    const double d = std::abs(a.flat(i) - b.flat(i));
    if (std::isnan(d)) return d;
    worst = std::max(worst, d);
    size = std::max(size, std::abs(b.flat(i)));
  }
  return worst == 0 ? 0 : worst / size;
}

#define REQUIRE_ERROR(expression, Type, text) \
  REQUIRE_THROWS_AS(expression, Type);        \
  REQUIRE_THROWS_WITH(expression, ContainsSubstring(text))

}  // namespace xtape::test
