#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace xtape::io::detail {

/// The value of an IEEE 754 binary16, exactly.
inline float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000) << 16;
  const std::uint32_t exponent = h >> 10 & 0x1f, fraction = h & 0x3ff;
  if (exponent == 0) {  // zero, subnormal
    const float v = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -v : v;
  }
  const std::uint32_t wide = exponent == 0x1f ? 0xff : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

/// The value of a bfloat16: the upper half of a binary32.
inline float bfloat_to_float(std::uint16_t h) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16);
}

}  // namespace xtape::io::detail
