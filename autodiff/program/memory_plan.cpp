#include <algorithm>
#include <numeric>

#include <xtape/autodiff/program/memory_plan.hpp>

namespace xtape::program {
namespace {

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr int kRepairs = 32;
constexpr std::size_t kRepairable = 512;

bool together(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

// Offsets for blocks placed one after the other in `order`, each into the lowest gap that holds it.
std::size_t place(std::vector<Block>& blocks, const std::vector<std::size_t>& order) {
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
    const auto below = [&](std::size_t a, std::size_t b) {
      return blocks[a].offset < blocks[b].offset;
    };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), k, below), k);
  }
  return total;
}

}  // namespace

std::size_t plan_memory(std::vector<Block>& blocks) {
  const std::size_t least = live_bytes(blocks);
  std::vector<std::size_t> order(blocks.size());
  std::vector<std::size_t> best_order;
  std::vector<Block> best;
  std::size_t best_total = ~std::size_t{0};
  const auto keep_best = [&] {
    const std::size_t total = place(blocks, order);
    if (total >= best_total) return;
    best_total = total;
    best = blocks;
    best_order = order;
  };
  const auto attempt = [&](auto key) {
    if (best_total <= least) return;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return key(blocks[a]) > key(blocks[b]); });
    keep_best();
  };
  const auto steps = [](const Block& b) { return std::size_t{b.last - b.first + 1}; };
  // No order is best for all; these miss the bound in different places.
  attempt([](const Block& b) { return b.bytes; });
  attempt([&](const Block& b) { return b.bytes * steps(b); });
  attempt([&](const Block& b) { return steps(b); });
  attempt([](const Block& b) { return ~std::size_t{b.first}; });
  attempt([](const Block& b) { return std::size_t{b.last}; });
  // What ends highest goes first, a few times over.
  order = best_order;
  for (int k = 0; k < kRepairs && blocks.size() <= kRepairable && best_total > least; ++k) {
    const auto top = std::max_element(order.begin(), order.end(), [&](auto a, auto b) {
      return blocks[a].offset + blocks[a].bytes < blocks[b].offset + blocks[b].bytes;
    });
    std::rotate(order.begin(), top, top + 1);
    keep_best();
  }
  blocks = best;
  return blocks.empty() ? 0 : best_total;
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
