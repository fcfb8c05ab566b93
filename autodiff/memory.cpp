#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/memory.hpp>

// Freed blocks are kept for the next of the same size: a step of training asks for the same ones
// again and again, and a fresh page costs more than the arithmetic on it (a libtorch step over 10^7
// elements spends two thirds of its time in page faults). Small blocks are kept by each thread for
// itself, without a lock; larger ones, rounded up to one of four sizes per power of two, in one
// pool, which is a leaked singleton, so that tensors with static storage may outlive main.
namespace xtape::memory {
namespace {

constexpr std::size_t kSmall = 1024;  // a multiple of SmallBlocks::kStep
constexpr std::size_t kAlign = 64;
constexpr std::size_t kMaxCached = std::size_t{1} << 30;

struct SizeClass {
  std::size_t index;
  std::size_t bytes;
};

SizeClass size_class(std::size_t bytes) {
  const auto log =
      static_cast<std::size_t>(std::bit_width(bytes - 1));  // 2^(log-1) < bytes <= 2^log
  const std::size_t half = std::size_t{1} << (log - 1);
  const std::size_t step = half / 4;
  const std::size_t quarter = (bytes - half + step - 1) / step;  // 1..4
  return {log * 4 + quarter - 1, half + quarter * step};
}

struct Pool {
  std::mutex mutex;
  std::array<std::vector<void*>, 65 * 4> free;
  std::size_t live = 0, peak = 0, cached = 0;
};

Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

// Freed small blocks of one thread, linked through their first words.
class SmallBlocks {
 public:
  ~SmallBlocks() {
    trim();
    gone_ = true;  // what other thread-locals give back later goes to free()
  }
  void* take(std::size_t bytes) {
    List& list = lists_[index(bytes)];
    if (Link* const block = list.first) {
      list.first = block->next;
      --list.count;
      return block;
    }
    return std::malloc(rounded(bytes));
  }
  void give(void* p, std::size_t bytes) noexcept {
    List& list = lists_[index(bytes)];
    if (gone_ || list.count * rounded(bytes) >= kMost) return std::free(p);
    list.first = new (p) Link{list.first};
    ++list.count;
  }
  void trim() noexcept {
    for (List& list : lists_) {
      while (Link* const block = list.first) {
        list.first = block->next;
        std::free(block);
      }
      list.count = 0;
    }
  }

 private:
  struct Link {
    Link* next;
  };
  struct List {
    Link* first = nullptr;
    std::size_t count = 0;
  };
  static constexpr std::size_t kStep = 32;
  static constexpr std::size_t kMost = std::size_t{4} << 20;  // bytes kept of one size
  static std::size_t index(std::size_t bytes) { return bytes ? (bytes - 1) / kStep : 0; }
  static std::size_t rounded(std::size_t bytes) { return (index(bytes) + 1) * kStep; }
  std::array<List, kSmall / kStep> lists_{};
  bool gone_ = false;
};

SmallBlocks& small_blocks() {
  static thread_local SmallBlocks blocks;
  return blocks;
}

thread_local constinit Limit* innermost = nullptr;  // of this thread

void* unlimited(std::size_t bytes) {
  if (bytes < kSmall) {
    if (void* p = small_blocks().take(bytes)) return p;
    throw std::bad_alloc();
  }
  const SizeClass c = size_class(bytes);
  Pool& p = pool();
  {
    const std::lock_guard lock(p.mutex);
    p.live += c.bytes;
    if (p.live > p.peak) p.peak = p.live;
    auto& list = p.free[c.index];
    if (!list.empty()) {
      void* block = list.back();
      list.pop_back();
      p.cached -= c.bytes;
      return block;
    }
  }
  void* block = std::aligned_alloc(kAlign, c.bytes);
  if (!block) {
    trim();
    block = std::aligned_alloc(kAlign, c.bytes);
  }
  if (!block) {
    const std::lock_guard lock(p.mutex);
    p.live -= c.bytes;
    throw std::bad_alloc();
  }
  return block;
}

}  // namespace

Limit::Limit(std::size_t bytes) noexcept : bytes_(bytes), outer_(std::exchange(innermost, this)) {}

Limit::~Limit() { innermost = outer_; }

void Limit::refuse(std::size_t bytes) const {
  const bool more = static_cast<std::ptrdiff_t>(held_) > 0;
  const std::size_t taken = more ? held_ : 0, given = more ? 0 : 0 - held_;
  if (bytes <= given || taken + bytes - given <= bytes_) return;
  throw MemoryError("memory", "a tensor of " + std::to_string(bytes) + " bytes, where " +
                                  std::to_string(taken) + " of " + std::to_string(bytes_) +
                                  " are taken: more than the limit allows");
}

void* allocate(std::size_t bytes) {
  for (const Limit* l = innermost; l; l = l->outer_) l->refuse(bytes);
  void* const block = unlimited(bytes);
  for (Limit* l = innermost; l; l = l->outer_) l->held_ += bytes;
  return block;
}

void release(void* block, std::size_t bytes) noexcept {
  for (Limit* l = innermost; l; l = l->outer_) l->held_ -= bytes;
  if (bytes < kSmall) return small_blocks().give(block, bytes);
  const SizeClass c = size_class(bytes);
  Pool& p = pool();
  {
    const std::lock_guard lock(p.mutex);
    p.live -= c.bytes;
    if (p.cached + c.bytes <= kMaxCached) {
      try {
        p.free[c.index].push_back(block);
        p.cached += c.bytes;
        return;
      } catch (const std::bad_alloc&) {  // no room for the list entry: give the block back
      }
    }
  }
  std::free(block);
}

Stats stats() noexcept {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  return {p.live, p.peak, p.cached};
}

void reset_peak() noexcept {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  p.peak = p.live;
}

void trim() noexcept {
  small_blocks().trim();
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  for (auto& list : p.free) {
    for (void* block : list) std::free(block);
    list.clear();
  }
  p.cached = 0;
}

}  // namespace xtape::memory
