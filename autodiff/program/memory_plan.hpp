#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xtape::program {

/// A block of memory that is needed from step `first` to step `last`, both included.
struct Block {
  std::size_t bytes;
  std::uint32_t first, last;
  std::size_t offset = 0;  ///< Where plan_memory puts it: a multiple of kAlignment.
};

inline constexpr std::size_t kAlignment = 64;

/// Gives blocks offsets such that none that are needed at the same step overlap: one after the
/// other, each into the lowest gap that holds it, largest first (Pisarchyk and Lee, "Efficient
/// memory management for deep neural net inference", 2020) or in the best of some other orders.
/// @returns the bytes of the whole.
std::size_t plan_memory(std::vector<Block>& blocks);
/// The largest number of bytes needed at one step: no plan can do with less.
std::size_t live_bytes(const std::vector<Block>& blocks);

}  // namespace xtape::program
