#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace xtape {

/// Aligned, recycled memory for tensors (see memory.cpp for the policy).
namespace memory {

/// At least `bytes` bytes, aligned to 64 when large enough to be worth a cache line, else to 16.
/// @throws std::bad_alloc, and MemoryError beyond a Limit.
void* allocate(std::size_t bytes);
/// Gives back what allocate(bytes) returned.
void release(void* p, std::size_t bytes) noexcept;

/// Bytes of tensor memory of the whole process.
struct Stats {
  std::size_t live_bytes;    ///< In tensors that exist now (blocks of 1 KiB and more).
  std::size_t peak_bytes;    ///< The largest value live_bytes ever had.
  std::size_t cached_bytes;  ///< Kept for the next tensor of the same size.
};
/// The present counts.
Stats stats() noexcept;
/// Forgets the peak so far: peak_bytes counts from what lives now.
void reset_peak() noexcept;
/// Returns every cached block to the system; small ones of the calling thread only.
void trim() noexcept;

/// While it lives, tensors of the calling thread may not take more than `bytes` beyond what it held
/// at the beginning: for sizes that come from somebody else, in a file or a text. What it refuses
/// is a MemoryError, thrown before the system is asked. Limits nest, and each of them holds.
class Limit {
 public:
  /// From now on.
  explicit Limit(std::size_t bytes) noexcept;
  /// To be destroyed by the same thread, inner ones first.
  ~Limit();
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  friend void* allocate(std::size_t bytes);
  friend void release(void* p, std::size_t bytes) noexcept;
  void refuse(std::size_t bytes) const;

  std::size_t bytes_;
  std::size_t held_ = 0;  // modulo 2⁶⁴: less than nothing when more was given back than taken
  Limit* outer_;
};

/// An allocator over allocate() and release(), for containers that come and go in every step.
template <class T>
struct Recycler {
  using value_type = T;  ///< As the standard wants it.
  Recycler() noexcept = default;
  /// All are alike.
  template <class U>
  Recycler(const Recycler<U>&) noexcept {}
  /// Memory for n elements.
  T* allocate(std::size_t n) { return static_cast<T*>(memory::allocate(n * sizeof(T))); }
  /// Gives it back.
  void deallocate(T* p, std::size_t n) noexcept { release(p, n * sizeof(T)); }
  /// All are alike.
  friend bool operator==(const Recycler&, const Recycler&) noexcept { return true; }
};

}  // namespace memory

namespace detail {

/// Base of objects that share ownership through Ref: one atomic count, no weak references. The
/// compilers' atomic builtins do what std::atomic would; <atomic> would triple the memory that
/// compiling a user's file takes.
class Counted {
 public:
  Counted() noexcept = default;
  Counted(const Counted&) noexcept {}
  Counted& operator=(const Counted&) noexcept { return *this; }
  void retain() const noexcept { __atomic_fetch_add(&count_, 1, __ATOMIC_RELAXED); }
  /// True when the caller held the last reference and must destroy the object.
  bool drop() const noexcept { return __atomic_fetch_sub(&count_, 1, __ATOMIC_ACQ_REL) == 1; }
  bool unique() const noexcept { return __atomic_load_n(&count_, __ATOMIC_ACQUIRE) == 1; }

 protected:
  ~Counted() = default;

 private:
  mutable std::uint32_t count_ = 1;  // that of the Ref that takes the new object over
};

/// Shared ownership of a Counted object in the size of one pointer. `destroy(T*)`, found by
/// argument-dependent lookup, ends it.
template <class T>
class Ref {
 public:
  constexpr Ref() noexcept = default;
  /// Takes over an object just made, which begins with a count of one.
  explicit Ref(T* p) noexcept : p_(p) {}
  Ref(const Ref& o) noexcept : p_(o.p_) {
    if (p_) p_->retain();
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_ && p_->drop()) destroy(p_);
  }
  T* get() const noexcept { return p_; }
  T* operator->() const noexcept { return p_; }
  T& operator*() const noexcept { return *p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.p_ == b.p_; }

 private:
  T* p_ = nullptr;
};

}  // namespace detail
}  // namespace xtape
