#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#if defined(__linux__)
#include <sched.h>
#endif

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/threads.hpp>

// One pool for the process. A call publishes its job by opening a gate; workers enter it, claim
// pieces and leave; when no piece is left the caller closes the gate and waits for those inside. So
// the caller never waits for a worker that still sleeps, and a worker that wakes late finds the
// gate closed and touches nothing. The pool is leaked and its threads detached: a process may end,
// or destroy its statics, while they sleep.
namespace xtape {
namespace {

constexpr int kMaxThreads = 1024;

// How long a thread looks for what it waits for again and again, at first without giving up its
// processor. Waking a sleeping thread takes as long as a product of 256×256 matrices and more where
// the processors are busy: a thread that sleeps between the jobs of a training step takes part in
// none of them, and its own next place is the processor of who wakes it.
constexpr std::chrono::microseconds kSpin{30}, kStayAwake{2000};

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The processor that the calling thread runs on, -1 where nobody knows.
int this_processor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// While it lives the calling thread does not run on one processor, unless it has no other. A thread
// falls asleep with it lest it wakes in the queue of its waker's processor: where all processors
// are busy the system puts it there, and there it stays until the waker's time is over.
class Elsewhere {
 public:
  explicit Elsewhere(int processor) {
#if defined(__linux__)
    if (processor < 0 || processor >= CPU_SETSIZE) return;
    if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t others = before_;
    CPU_CLR(static_cast<std::size_t>(processor), &others);
    if (CPU_COUNT(&others) == 0 || CPU_EQUAL(&others, &before_)) return;
    changed_ = sched_setaffinity(0, sizeof others, &others) == 0;
#else
    static_cast<void>(processor);
#endif
  }
  ~Elsewhere() {
#if defined(__linux__)
    if (changed_) sched_setaffinity(0, sizeof before_, &before_);
#endif
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;

 private:
#if defined(__linux__)
  cpu_set_t before_;
#endif
  bool changed_ = false;
};

// Waits, first awake and then by calling `sleep`, until the atomic is no longer `old`.
template <class T, class Sleep>
void wait_while(const std::atomic<T>& value, T old, const Sleep& sleep) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  for (auto waited = Clock::duration::zero(); waited < kStayAwake; waited = Clock::now() - begin) {
    if (waited >= kSpin) std::this_thread::yield();
    for (int i = 0; i < 32; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  }
  sleep();
}

class Pool {
 public:
  // False when the pool is taken.
  bool run(std::int64_t pieces, void (*body)(void*, std::int64_t), void* context, int threads) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    start_workers(threads - 1);
    body_ = body;
    context_ = context;
    pieces_ = pieces;
    next_.store(0, std::memory_order_relaxed);
    failed_piece_ = pieces;
    error_ = nullptr;
    seats_.store(static_cast<std::uint32_t>(threads - 1), std::memory_order_relaxed);
    caller_processor_.store(this_processor(), std::memory_order_relaxed);
    gate_.store(kOpen, std::memory_order_release);
    wake(static_cast<int>(pieces < threads ? pieces : threads) - 1);
    work();
    close();
    const std::exception_ptr error = std::move(error_);
    busy_.store(false, std::memory_order_release);
    if (error) std::rethrow_exception(error);
    return true;
  }

 private:
  static constexpr std::uint32_t kOpen = std::uint32_t{1} << 31;  // the rest counts who is inside

  void start_workers(int wanted) {
    try {
      for (; workers_ < wanted; ++workers_) {
        std::thread([this] { live(); }).detach();
      }
    } catch (const std::system_error&) {  // the system gives no more: those there are do the work
    }
  }

  void wake(int needed) {
    generation_.fetch_add(1);
    if (needed >= workers_) return generation_.notify_all();
    for (int i = 0; i < needed; ++i) generation_.notify_one();
  }

  void work() {
    for (;;) {
      const std::int64_t piece = next_.fetch_add(1, std::memory_order_relaxed);
      if (piece >= pieces_) return;
      try {
        body_(context_, piece);
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (piece < failed_piece_) {
          failed_piece_ = piece;
          error_ = std::current_exception();
        }
      }
    }
  }

  void close() {
    std::uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    while (inside != 0) {
      wait_while(gate_, inside, [&] { gate_.wait(inside, std::memory_order_acquire); });
      inside = gate_.load(std::memory_order_acquire);
    }
  }

  // There may be more workers than seats, and any of them may be the one that woke.
  bool enter() {
    const std::uint32_t full = kOpen + seats_.load(std::memory_order_relaxed);
    std::uint32_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kOpen) && gate < full) {
      if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  // What a worker does all its life.
  void live() {
    std::uint32_t seen = 0;
    for (;;) {
      wait_while(generation_, seen, [&] {
        const Elsewhere elsewhere(caller_processor_.load(std::memory_order_relaxed));
        generation_.wait(seen, std::memory_order_acquire);
      });
      seen = generation_.load(std::memory_order_acquire);
      if (!enter()) continue;
      work();
      gate_.fetch_sub(1, std::memory_order_acq_rel);
      gate_.notify_one();
    }
  }

  // Apart from each other: callers and workers write them at different times.
  alignas(64) std::atomic<std::uint32_t> generation_{0};
  alignas(64) std::atomic<std::uint32_t> gate_{0};
  alignas(64) std::atomic<std::int64_t> next_{0};
  alignas(64) std::atomic<bool> busy_{false};
  std::atomic<std::uint32_t> seats_{0};
  std::atomic<int> caller_processor_{-1};
  int workers_ = 0;  // what follows is written by the holder of busy_ before the gate opens
  void (*body_)(void*, std::int64_t) = nullptr;
  void* context_ = nullptr;
  std::int64_t pieces_ = 0;
  std::mutex error_mutex_;
  std::int64_t failed_piece_ = 0;
  std::exception_ptr error_;
};

Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

// The number that a variable of the environment begins with, 0 where there is none in range.
int from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return 0;
  const long n = std::strtol(text, nullptr, 10);
  return n >= 1 && n <= kMaxThreads ? static_cast<int>(n) : 0;
}

int processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int n = CPU_COUNT(&set);
    if (n >= 1 && n <= kMaxThreads) return n;
  }
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n >= 1 && n <= kMaxThreads ? static_cast<int>(n) : 1;
}

int default_threads() {
  if (const int n = from_environment("XTAPE_NUM_THREADS")) return n;
  if (const int n = from_environment("OMP_NUM_THREADS")) return n;
  return processors();
}

std::atomic<int>& threads() {
  static std::atomic<int> n{default_threads()};
  return n;
}

}  // namespace

int num_threads() { return threads().load(std::memory_order_relaxed); }

void set_num_threads(int n) {
  if (n < 1) throw ValueError("set_num_threads", std::to_string(n) + ": at least one thread works");
  threads().store(n < kMaxThreads ? n : kMaxThreads, std::memory_order_relaxed);
}

void detail::parallel_for(std::int64_t pieces, void (*body)(void* context, std::int64_t piece),
                          void* context) {
  const int n = num_threads();
  if (n > 1 && pieces > 1 && pool().run(pieces, body, context, n)) return;
  for (std::int64_t piece = 0; piece < pieces; ++piece) body(context, piece);
}

}  // namespace xtape
