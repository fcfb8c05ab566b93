#pragma once

#include <cstdint>

namespace xtape {

/// The number of threads that kernels of the whole process share, the caller's included. At first
/// XTAPE_NUM_THREADS from the environment, else OMP_NUM_THREADS, else the number of processors that
/// the process may use. Results do not depend on it.
int num_threads();

/// Sets it; work that runs is not disturbed.
/// @throws ValueError when `n` is less than 1
void set_num_threads(int n);

namespace detail {

/// Calls `body(context, piece)` for every piece below `pieces`, from the caller and from the
/// threads of one pool, and returns when all are done. An exception is thrown on in the caller:
/// that of the first piece, where several throw. While another call runs (from another thread, or
/// from within a body) the pieces are done in order by the caller: nothing ever waits for the pool.
/// Allocates nothing but for the threads, which are started when first needed.
void parallel_for(std::int64_t pieces, void (*body)(void* context, std::int64_t piece),
                  void* context);

/// The same with a function object, which is not copied.
template <class F>
void parallel_for(std::int64_t pieces, const F& body) {
  parallel_for(
      pieces, [](void* f, std::int64_t piece) { (*static_cast<const F*>(f))(piece); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace detail
}  // namespace xtape
