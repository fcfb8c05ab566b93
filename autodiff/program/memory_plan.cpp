#include <algorithm>
#include <numeric>

#include <xtape/autodiff/program/memory_plan.hpp>

namespace xtape::program {
namespace {

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool together(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

std::size_t plan_memory(std::vector<Block>& blocks) {
  std::vector<std::size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<std::size_t> placed;  // by offset
  std::size_t total = 0;
  for (const std::size_t k : order) {
    Block& block = blocks[k];
    const std::size_t bytes = aligned(block.bytes);
    std::size_t at = 0;
    for (const std::size_t p : placed) {
      const Block& other = blocks[p];
      if (!together(block, other)) continue;
      if (at + bytes <= other.offset) break;
      at = std::max(at, other.offset + aligned(other.bytes));
    }
    block.offset = at;
    total = std::max(total, at + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), k,
                                   [&](std::size_t a, std::size_t b) {
                                     return blocks[a].offset < blocks[b].offset;
                                   }),
                  k);
  }
  return total;
}

std::size_t live_bytes(const std::vector<Block>& blocks) {
  std::uint32_t steps = 0;
  for (const Block& b : blocks) steps = std::max(steps, b.last + 1);
  std::vector<std::ptrdiff_t> change(steps + 1);
  for (const Block& b : blocks) {
    change[b.first] += static_cast<std::ptrdiff_t>(aligned(b.bytes));
    change[b.last + 1] -= static_cast<std::ptrdiff_t>(aligned(b.bytes));
  }
  std::ptrdiff_t live = 0, most = 0;
  for (const std::ptrdiff_t c : change) most = std::max(most, live += c);
  return static_cast<std::size_t>(most);
}

}  // namespace xtape::program
