#pragma once

#include <omp.h>

#include "../harness/harness.hpp"
#include "gemm.hpp"

namespace hand {

/// f(begin, end) over 0 … n in equal parts, by OpenMP's threads.
template <class F>
void in_threads(std::int64_t n, F f) {
  const int parts = bench::threads();
  if (parts == 1) return f(std::int64_t{0}, n);
#pragma omp parallel num_threads(parts)
  {
    const int i = omp_get_thread_num();
    f(n * i / parts, n * (i + 1) / parts);
  }
}

/// The same beside GEMMs, of n pieces of work for `each` elements: where they share one pool of
/// threads and the work is worth waking it.
template <class F>
void in_parallel(int n, int each, F f) {
  constexpr std::int64_t kWorthIt = 1 << 15;
  if (!kOpenMpGemm || std::int64_t{n} * each < kWorthIt) return f(0, n);
  in_threads(n, [&](std::int64_t begin, std::int64_t end) {
    f(static_cast<int>(begin), static_cast<int>(end));
  });
}

}  // namespace hand
