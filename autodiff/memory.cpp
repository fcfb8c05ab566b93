#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include <xtape/autodiff/memory.hpp>

// Small blocks come from malloc, whose per-thread cache is hard to beat. Larger ones are rounded up
// to one of four sizes per power of two and kept for reuse when freed: a fresh page costs more than
// the arithmetic on it (a libtorch step over 10^7 elements spends two thirds of its time in page
// faults). The pool is a leaked singleton, so that tensors with static storage may outlive main.
namespace xtape::memory {
namespace {

constexpr std::size_t kSmall = 1024;
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

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes < kSmall) {
    if (void* p = std::malloc(bytes)) return p;
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

void release(void* block, std::size_t bytes) noexcept {
  if (bytes < kSmall) return std::free(block);
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

void trim() noexcept {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  for (auto& list : p.free) {
    for (void* block : list) std::free(block);
    list.clear();
  }
  p.cached = 0;
}

}  // namespace xtape::memory
