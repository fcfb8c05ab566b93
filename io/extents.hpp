#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include <xtape/autodiff/shape.hpp>

namespace xtape::io::detail {

/// Bytes of `shape` with elements of `element` bytes; nothing when the extents are too large. Axes
/// of extent 0 count as 1 there, so that the product of any of the extents is in range.
inline std::optional<std::uint64_t> checked_bytes(const Shape& shape, std::uint64_t element) {
  constexpr auto kLimit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / 8;
  std::uint64_t n = element;
  for (const std::int64_t d : shape) {
    if (d < 0) return std::nullopt;
    const auto extent = static_cast<std::uint64_t>(std::max<std::int64_t>(d, 1));
    if (extent > kLimit / n) return std::nullopt;
    n *= extent;
  }
  return static_cast<std::uint64_t>(shape.size()) * element;
}

}  // namespace xtape::io::detail
