#pragma once

#include <algorithm>
#include <cmath>

#include <xtape/autodiff/kernels/math.hpp>
#include <xtape/autodiff/kernels/reduce.hpp>

// Σ e^(x − m), m the maximum: what softmax, log_softmax and logsumexp have in common.
namespace xtape::kernels {

template <class T>
struct ExpDifference {
  XTAPE_INLINE T operator()(T x, T m) const { return math::exp(x - m); }
};

/// out = e^(x − m) for n contiguous elements, and their sum.
template <class T>
double exp_run(const T* x, T* out, T m, std::int64_t n) {
  run(ExpDifference<T>{}, out, n, Run<T>{x}, Operand<T>{&m, 0});
  return reduce_run<Sum<T>>(out, n);
}

/// Σ e^(x − m) over n contiguous elements.
template <class T>
double exp_sum(const T* x, T m, std::int64_t n) {
  constexpr std::int64_t kPart = 1024;  // stays in the cache
  alignas(64) T part[kPart];
  double total = 0;
  for (std::int64_t i = 0; i < n; i += kPart) {
    total += exp_run(x + i, part, m, std::min(kPart, n - i));
  }
  return total;
}

template <class T>
T log_sum(T max, double sum) {
  return std::isfinite(max) ? static_cast<T>(static_cast<double>(max) + std::log(sum)) : max;
}

/// out = ln Σ eˣ over `axes`: the maximum, then the sum, of what is in the cache by then.
template <class T>
void logsumexp(const T* x, T* out, const Shape& shape, const Axes& axes) {
  const ReduceLoops loops(shape, axes);
  if (loops.by_runs()) {
    loops.each_output([&](std::int64_t at) {
      const T max = loops.output<Largest<T>>(x + at, reduce_run<Largest<T>, T>);
      *out++ = log_sum(max, loops.output<Sum<T>>(x + at, [&](const T* p, std::int64_t n) {
        return exp_sum(p, max, n);
      }));
    });
    return;
  }
  loops.each_tile([&](std::int64_t at, std::int64_t width) {
    T max[kTile], term[kTile];
    double sum[kTile];
    loops.tile<Largest<T>>(x + at, width, max,
                           [&](T* acc, const T* row) { add_row<Largest<T>>(acc, row, width); });
    loops.tile<Sum<T>>(x + at, width, sum, [&](double* acc, const T* row) {
      run(ExpDifference<T>{}, term, width, Run<T>{row}, Run<T>{max});
      add_row<Sum<T>>(acc, term, width);
    });
    for (std::int64_t k = 0; k < width; ++k) *out++ = log_sum(max[k], sum[k]);
  });
}

}  // namespace xtape::kernels
