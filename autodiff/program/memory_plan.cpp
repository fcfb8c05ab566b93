#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <set>

#include <xtape/autodiff/program/memory_plan.hpp>

namespace xtape::program {
namespace {

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr int kRepairs = 32;
constexpr std::size_t kRepairable = 512;
// The orders below take time that grows as the square of the number of blocks.
constexpr std::size_t kMany = 512;

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

// Memory that is free at one time: pieces by offset and by size, and all above `top`.
class Free {
 public:
  std::size_t top = 0;

  // From the smallest piece that holds it.
  std::size_t take(std::size_t bytes) {
    if (const auto it = sizes_.lower_bound({bytes, 0}); it != sizes_.end()) {
      const auto [size, at] = *it;
      remove(pieces_.find(at));
      if (size > bytes) add(at + bytes, size - bytes);
      return at;
    }
    std::size_t at = top;  // of the piece that ends there, if there is one
    if (!pieces_.empty() && pieces_.rbegin()->first + pieces_.rbegin()->second == top) {
      at = pieces_.rbegin()->first;
      remove(std::prev(pieces_.end()));
    }
    top = at + bytes;
    return at;
  }
  // Joins the pieces beside it.
  void give(std::size_t at, std::size_t bytes) {
    if (const auto next = pieces_.find(at + bytes); next != pieces_.end()) {
      bytes += next->second;
      remove(next);
    }
    const auto next = pieces_.lower_bound(at);
    if (next != pieces_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == at) {
        at = before->first;
        bytes += before->second;
        remove(before);
      }
    }
    add(at, bytes);
  }

 private:
  using Pieces = std::map<std::size_t, std::size_t>;
  void add(std::size_t at, std::size_t bytes) {
    pieces_.emplace(at, bytes);
    sizes_.emplace(bytes, at);
  }
  void remove(Pieces::iterator it) {
    sizes_.erase({it->second, it->first});
    pieces_.erase(it);
  }
  Pieces pieces_;
  std::set<std::pair<std::size_t, std::size_t>> sizes_;
};

// Offsets as an allocator would give them, step by step: n log n.
std::size_t place_in_time(std::vector<Block>& blocks) {
  std::vector<std::size_t> begins(blocks.size()), ends(blocks.size());
  std::iota(begins.begin(), begins.end(), std::size_t{0});
  ends = begins;
  const auto first = [&](std::size_t k) { return std::pair(blocks[k].first, ~blocks[k].bytes); };
  const auto last = [&](std::size_t k) { return blocks[k].last; };
  std::stable_sort(begins.begin(), begins.end(),
                   [&](auto a, auto b) { return first(a) < first(b); });
  std::stable_sort(ends.begin(), ends.end(), [&](auto a, auto b) { return last(a) < last(b); });
  Free free;
  auto over = ends.begin();
  for (const std::size_t k : begins) {
    for (; blocks[*over].last < blocks[k].first; ++over) {
      free.give(blocks[*over].offset, aligned(blocks[*over].bytes));
    }
    blocks[k].offset = free.take(aligned(blocks[k].bytes));
  }
  return free.top;
}

}  // namespace

std::size_t plan_memory(std::vector<Block>& blocks) {
  const std::size_t least = live_bytes(blocks);
  if (blocks.size() > kMany) {
    const std::size_t total = place_in_time(blocks);
    if (total <= least + least / 16) return total;
  }
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
