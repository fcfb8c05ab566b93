#pragma once

namespace xtape::data::detail {

inline constexpr int kUciDigitCount = 1797;
inline constexpr int kUciDigitPixels = 64;

/// One image per row: 64 pixels row by row, '0' + level with levels 0…16, then the digit '0'…'9'
/// and a terminating zero. Source and licence: uci_digits.cpp.
extern const char kUciDigits[kUciDigitCount][kUciDigitPixels + 2];

}  // namespace xtape::data::detail
