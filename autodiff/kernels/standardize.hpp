#pragma once

#include <algorithm>
#include <cmath>

#include <xtape/autodiff/kernels/reduce.hpp>

// y = (x − μ) s with s = 1/√(σ² + ε), where μ and σ² are the mean and the variance of a group: of
// the elements that differ in the normalized axes only. Two passes, then that of the result.
// Without `centred`, μ is 0 and σ² the mean square.
namespace xtape::kernels {

/// What a group is normalized by. The mean is kept in two parts, so that x − high − low is as good
/// as if it were taken in double.
template <class T>
struct Moments {
  T high = 0, low = 0, scale = 0;
  void mean(double m) {
    high = static_cast<T>(m);
    low = std::isfinite(high) ? static_cast<T>(m - static_cast<double>(high)) : T{0};
  }
  void variance(double v, double eps) { scale = static_cast<T>(1 / std::sqrt(v + eps)); }
};

struct SquaredDeviation {
  template <class T>
  XTAPE_INLINE T operator()(T x, T high, T low) const {
    const T d = (x - high) - low;
    return d * d;
  }
};
struct ScaledDeviation {
  template <class T>
  XTAPE_INLINE T operator()(T x, T high, T low, T scale) const {
    return ((x - high) - low) * scale;
  }
};
struct Covariation {
  template <class T>
  XTAPE_INLINE T operator()(T ct, T x, T high, T low, T scale) const {
    return ct * (((x - high) - low) * scale);
  }
};
// s (ȳ − mean ȳ − y mean ȳy)
struct StandardizeGrad {
  template <class T>
  XTAPE_INLINE T operator()(T ct, T x, T high, T low, T scale, T mean, T slope) const {
    return (ct - mean - ((x - high) - low) * scale * slope) * scale;
  }
};

/// Σ f(operands) over n elements: in parts that stay in the cache.
template <class T, class F>
double sum_run(const F& f, std::int64_t n, auto... in) {
  constexpr std::int64_t kPart = 1024;
  alignas(64) T part[kPart];
  double total = 0;
  for (std::int64_t i = 0; i < n; i += kPart) {
    const std::int64_t m = std::min(kPart, n - i);
    run(f, part, m, Operand<T>{in.p + i * in.step, in.step}...);
    total += reduce_run<Sum<T>>(part, m);
  }
  return total;
}

/// Walks the groups one after the other where each lies in contiguous runs, else in tiles of
/// neighbours.
template <class T>
class Standardizer {
 public:
  Standardizer(const Shape& shape, const Axes& axes, double eps, bool centred)
      : loops_(shape, axes), eps_(eps), centred_(centred), n_(1) {
    for (const std::int64_t a : axes) n_ *= static_cast<double>(shape[static_cast<int>(a)]);
  }

  /// out = (x − μ) s.
  void standardize(const T* x, T* out) const {
    each(
        x,
        [&](std::int64_t at, const Moments<T>& m) {
          each_run(x + at, [&](const T* p, std::int64_t n) {
            run(ScaledDeviation{}, out + (p - x), n, Run<T>{p}, same(m.high), same(m.low),
                same(m.scale));
          });
        },
        [&](std::int64_t at, std::int64_t width, const Tile& m) {
          each_row(x + at, width, [&](const T* p) {
            run(ScaledDeviation{}, out + (p - x), width, Run<T>{p}, Run<T>{m.high}, Run<T>{m.low},
                Run<T>{m.scale});
          });
        });
  }
  /// out = s, one for each group.
  void inverse_deviation(const T* x, T* out) const {
    each(
        x, [&](std::int64_t, const Moments<T>& m) { *out++ = m.scale; },
        [&](std::int64_t, std::int64_t width, const Tile& m) {
          out = std::copy_n(m.scale, width, out);
        });
  }
  /// out = s (ȳ − mean ȳ − y mean ȳy).
  void gradient(const T* ct, const T* x, T* out) const {
    each(
        x, [&](std::int64_t at, const Moments<T>& m) { group_gradient(ct, x, out, at, m); },
        [&](std::int64_t at, std::int64_t width, const Tile& m) {
          tile_gradient(ct, x, out, at, width, m);
        });
  }

 private:
  struct Tile {
    alignas(64) T high[kTile], low[kTile], scale[kTile];
  };
  static Operand<T> same(const T& x) { return {&x, 0}; }

  template <class F>
  void each_run(const T* x, F&& f) const {
    loops_.template output<Sum<T>>(x, [&](const T* p, std::int64_t n) { return (f(p, n), 0.0); });
  }
  template <class F>
  void each_row(const T* x, std::int64_t width, F&& f) const {
    double ignored[kTile];
    loops_.template tile<Sum<T>>(x, width, ignored, [&](double*, const T* p) { f(p); });
  }
  // Σ term(row) for the groups of a tile; `term` fills `width` elements.
  template <class F>
  void tile_sums(const T* x, std::int64_t width, double* total, F&& term) const {
    alignas(64) T part[kTile];
    loops_.template tile<Sum<T>>(x, width, total, [&](double* acc, const T* p) {
      term(p, part);
      add_row<Sum<T>>(acc, part, width);
    });
  }

  template <class Group, class Tiles>
  void each(const T* x, Group&& group, Tiles&& tiles) const {
    if (loops_.by_runs()) {
      loops_.each_output([&](std::int64_t at) { group(at, moments(x + at)); });
      return;
    }
    loops_.each_tile([&](std::int64_t at, std::int64_t width) {
      Tile m;
      moments(x + at, width, m);
      tiles(at, width, m);
    });
  }

  Moments<T> moments(const T* x) const {
    Moments<T> m;
    if (centred_) m.mean(loops_.template output<Sum<T>>(x, reduce_run<Sum<T>, T>) / n_);
    const double squares = loops_.template output<Sum<T>>(x, [&](const T* p, std::int64_t n) {
      return sum_run<T>(SquaredDeviation{}, n, Run<T>{p}, same(m.high), same(m.low));
    });
    m.variance(squares / n_, eps_);
    return m;
  }
  void moments(const T* x, std::int64_t width, Tile& tile) const {
    double total[kTile];
    std::fill_n(total, width, 0.0);
    if (centred_) {
      loops_.template tile<Sum<T>>(
          x, width, total, [&](double* acc, const T* p) { add_row<Sum<T>>(acc, p, width); });
    }
    Moments<T> m;
    for (std::int64_t k = 0; k < width; ++k) {
      if (centred_) m.mean(total[k] / n_);
      tile.high[k] = m.high, tile.low[k] = m.low;
    }
    tile_sums(x, width, total, [&](const T* p, T* part) {
      run(SquaredDeviation{}, part, width, Run<T>{p}, Run<T>{tile.high}, Run<T>{tile.low});
    });
    for (std::int64_t k = 0; k < width; ++k) {
      m.variance(total[k] / n_, eps_);
      tile.scale[k] = m.scale;
    }
  }

  void group_gradient(const T* ct, const T* x, T* out, std::int64_t at, const Moments<T>& m) const {
    const double sum =
        centred_ ? loops_.template output<Sum<T>>(ct + at, reduce_run<Sum<T>, T>) : 0;
    const double product = loops_.template output<Sum<T>>(x + at, [&](const T* p, std::int64_t n) {
      return sum_run<T>(Covariation{}, n, Run<T>{ct + (p - x)}, Run<T>{p}, same(m.high),
                        same(m.low), same(m.scale));
    });
    const T mean = static_cast<T>(sum / n_), slope = static_cast<T>(product / n_);
    each_run(x + at, [&](const T* p, std::int64_t n) {
      run(StandardizeGrad{}, out + (p - x), n, Run<T>{ct + (p - x)}, Run<T>{p}, same(m.high),
          same(m.low), same(m.scale), same(mean), same(slope));
    });
  }
  void tile_gradient(const T* ct, const T* x, T* out, std::int64_t at, std::int64_t width,
                     const Tile& m) const {
    double sum[kTile], product[kTile];
    alignas(64) T mean[kTile], slope[kTile];
    std::fill_n(sum, width, 0.0);
    if (centred_) {
      loops_.template tile<Sum<T>>(
          ct + at, width, sum, [&](double* acc, const T* p) { add_row<Sum<T>>(acc, p, width); });
    }
    tile_sums(x + at, width, product, [&](const T* p, T* part) {
      run(Covariation{}, part, width, Run<T>{ct + (p - x)}, Run<T>{p}, Run<T>{m.high},
          Run<T>{m.low}, Run<T>{m.scale});
    });
    for (std::int64_t k = 0; k < width; ++k) {
      mean[k] = static_cast<T>(sum[k] / n_);
      slope[k] = static_cast<T>(product[k] / n_);
    }
    each_row(x + at, width, [&](const T* p) {
      run(StandardizeGrad{}, out + (p - x), width, Run<T>{ct + (p - x)}, Run<T>{p}, Run<T>{m.high},
          Run<T>{m.low}, Run<T>{m.scale}, Run<T>{mean}, Run<T>{slope});
    });
  }

  ReduceLoops loops_;
  double eps_;
  bool centred_;
  double n_;
};

}  // namespace xtape::kernels
