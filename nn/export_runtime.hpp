#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

// What exported predictors are made of, in C++17: each function sums in the order of the library's
// kernel of the same name at the level Simd::baseline. The text of this file, from the namespace
// on, stands in every exported header (nn/export.cpp), behind that of autodiff/kernels/math.hpp.
namespace xtape::predictor {

using Index = std::int64_t;

/// A row of a matrix times a vector as kernels/gemm_vector.hpp does it: kN vectors of four lanes.
template <int kN>
inline float dot(const float* w, const float* x, Index n) {
  float sum[kN][4] = {};
  Index j = 0;
  for (; j + kN * 4 <= n; j += kN * 4) {
    for (int v = 0; v < kN; ++v) {
      for (int l = 0; l < 4; ++l) sum[v][l] += x[j + v * 4 + l] * w[j + v * 4 + l];
    }
  }
  for (; j < n; j += 4) {
    for (int l = 0; l < 4 && j + l < n; ++l) sum[0][l] += x[j + l] * w[j + l];
  }
  for (int v = 1; v < kN; ++v) {
    for (int l = 0; l < 4; ++l) sum[0][l] += sum[v][l];
  }
  return (sum[0][0] + sum[0][2]) + (sum[0][1] + sum[0][3]);
}

/// y = W x: eight rows at once, then four, then one.
inline void matrix_vector(const float* w, const float* x, Index rows, Index n, float* y) {
  Index i = 0;
  for (const Index end = rows / 8 * 8; i < end; ++i) y[i] = dot<1>(w + i * n, x, n);
  if (i + 4 <= rows) {
    for (const Index end = i + 4; i < end; ++i) y[i] = dot<2>(w + i * n, x, n);
  }
  for (; i < rows; ++i) y[i] = dot<4>(w + i * n, x, n);
}

/// y = Wᵀ x for rows of W weighted by x: the result lies across the rows, so columns are summed in
/// parts by how many are left of them, see kernels/gemm_vector.hpp.
inline void combine_rows(const float* w, const float* x, Index rows, Index ld, Index columns,
                         float* y) {
  if (columns > 64) {
    for (Index j = 0; j < columns; ++j) y[j] = 0;
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < columns; ++j) y[j] += x[i] * w[i * ld + j];
    }
    return;
  }
  for (Index j = 0; j < columns; ++j) {
    const Index sums = j < columns / 32 * 32 ? 1 : j < columns / 16 * 16 ? 2 : 8;
    float sum[8] = {};
    Index i = 0;
    for (; i + sums <= rows; i += sums) {
      for (Index u = 0; u < sums; ++u) sum[u] += x[i + u] * w[(i + u) * ld + j];
    }
    for (; i < rows; ++i) sum[0] += x[i] * w[i * ld + j];
    for (Index u = 1; u < sums; ++u) sum[0] += sum[u];
    y[j] = sum[0];
  }
}
/// The same in the portions that threads would get (kernels/gemm.cpp).
inline void combine_rows(const float* w, const float* x, Index rows, Index columns, float* y) {
  const Index pieces = columns * rows / (Index{1} << 19);
  Index portion = columns;
  if (pieces >= 2) portion = ((columns + pieces - 1) / pieces + 127) / 128 * 128;
  for (Index j = 0; j < columns; j += portion) {
    const Index count = columns - j < portion ? columns - j : portion;
    combine_rows(w + j, x, rows, columns, count, y + j);
  }
}

/// Σ term(p) for p < k, in passes as kernels/gemm_tile.hpp makes them, behind `before` unless it is
/// null.
template <class Term>
inline float sum_passes(Index k, const float* before, const Term& term) {
  const Index passes = (k + 255) / 256, steps = passes > 0 ? (k + passes - 1) / passes : 1;
  const Index depth = (steps + 3) / 4 * 4;
  float out = before ? *before : 0.0F;
  for (Index p = 0; p < k; p += depth) {
    const Index end = p + depth < k ? p + depth : k;
    float sum = 0;
    for (Index q = p; q < end; ++q) sum += term(q);
    out = before || p > 0 ? sum + out : sum;
  }
  return out;
}

/// y = op(a) op(b), m × n, both transposed where told: kernels/gemm.cpp.
inline void matmul(const float* a, const float* b, Index m, Index n, Index k, bool ta, bool tb,
                   float* y) {
  const bool tiny = m * n * k <= 16, row = m == 1;
  if (!tiny && k > 1 && (row || n == 1)) {
    const float *w = row ? b : a, *x = row ? a : b;
    if (row ? tb : !ta) return matrix_vector(w, x, row ? n : m, k, y);
    return combine_rows(w, x, k, row ? n : m, y);
  }
  const Index ai = ta ? 1 : k, ap = ta ? m : 1, bp = tb ? 1 : n, bj = tb ? k : 1;
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      const float *u = a + i * ai, *v = b + j * bj;
      *y++ = !tiny && k == 1
                 ? *u * *v
                 : sum_passes(k, nullptr, [=](Index p) { return u[p * ap] * v[p * bp]; });
    }
  }
}

/// A convolution of one sample with windows of one element: a product over all channels at once.
inline void pointwise(const float* x, const float* w, Index groups, Index inputs, Index outputs,
                      Index plane, float* y) {
  for (Index g = 0; g < groups; ++g, x += inputs * plane) {
    for (Index o = 0; o < outputs; ++o, w += inputs) {
      for (Index i = 0; i < plane; ++i) {
        *y++ = sum_passes(inputs, nullptr, [=](Index p) { return w[p] * x[p * plane + i]; });
      }
    }
  }
}

/// A convolution of one sample; at[tap, point] is the position in a channel of the input, or −1.
/// Channels come in parts that fill a pass (kernels/convolution_plan.hpp).
inline void convolution(const float* x, const float* w, const std::int32_t* at, Index groups,
                        Index inputs, Index outputs, Index taps, Index points, Index plane,
                        float* y) {
  const Index most = 256 / taps > 1 ? 256 / taps : 1, parts = (inputs + most - 1) / most;
  for (Index g = 0; g < groups; ++g, x += inputs * plane) {
    for (Index o = 0; o < outputs; ++o, w += inputs * taps) {
      for (Index i = 0; i < points; ++i, ++y) {
        for (Index part = 0; part < parts; ++part) {
          const Index first = inputs * part / parts, last = inputs * (part + 1) / parts;
          const float *from = x + first * plane, *weight = w + first * taps;
          const auto term = [=](Index p) {
            const Index source = at[p % taps * points + i];
            return weight[p] * (source < 0 ? 0.0F : from[p / taps * plane + source]);
          };
          *y = sum_passes((last - first) * taps, part > 0 ? y : nullptr, term);
        }
      }
    }
  }
}

/// A transposed convolution of one sample, y spread over the windows of x: panels of 32 points, in
/// each tap by tap (kernels/convolution.cpp). `at` as in convolution.
inline void convolution_input(const float* y, const float* w, const std::int32_t* at, Index groups,
                              Index inputs, Index outputs, Index taps, Index points, Index plane,
                              float* x) {
  for (Index i = 0; i < groups * inputs * plane; ++i) x[i] = 0;
  for (Index g = 0; g < groups; ++g, y += outputs * points, w += outputs * inputs * taps) {
    for (Index c = 0; c < inputs; ++c, x += plane) {
      for (Index first = 0; first < points; first += 32) {
        const Index end = first + 32 < points ? first + 32 : points;
        for (Index tap = 0; tap < taps; ++tap) {
          for (Index i = first; i < end; ++i) {
            const Index to = at[tap * points + i];
            if (to < 0) continue;
            const float* weight = w + c * taps + tap;
            x[to] += sum_passes(outputs, nullptr, [=](Index o) {
              return weight[o * inputs * taps] * y[o * points + i];
            });
          }
        }
      }
    }
  }
}

/// The largest of `taps` elements for each point of each channel; at as in convolution.
inline void max_pool(const float* x, const std::int32_t* at, Index channels, Index taps,
                     Index points, Index plane, float* y) {
  for (Index c = 0; c < channels; ++c, x += plane) {
    for (Index i = 0; i < points; ++i) {
      bool any = false;
      float best = 0;
      for (Index k = 0; k < taps; ++k) {
        const Index source = at[k * points + i];
        if (source < 0) continue;
        const float v = x[source];
        if (!any || v > best || v != v) best = v;
        any = true;
      }
      *y++ = best;
    }
  }
}

/// A sparse map along an axis, in double: see AxisMap.
inline void map_axis(const float* x, const std::int32_t* first, const std::int32_t* position,
                     const double* weight, Index outer, Index from, Index to, Index inner,
                     float* y) {
  for (Index o = 0; o < outer; ++o, x += from * inner) {
    for (Index i = 0; i < to; ++i) {
      for (Index e = 0; e < inner; ++e) {
        double sum = 0;
        for (Index k = first[i]; k < first[i + 1]; ++k) {
          sum += weight[k] * static_cast<double>(x[position[k] * inner + e]);
        }
        *y++ = static_cast<float>(sum);
      }
    }
  }
}

/// Σ x in double, in sixteen lanes (kernels/reduce.hpp).
template <class X>
inline double sum_run(const X& x, Index n) {
  double total = 0;
  if (n < 16) {
    for (Index i = 0; i < n; ++i) total += static_cast<double>(x(i));
    return total;
  }
  for (Index start = 0; start < n; start += 512 * 16) {
    const Index end = start + 512 * 16 < n ? start + 512 * 16 : n;
    double lane[16] = {};
    Index i = start;
    for (; i + 16 <= end; i += 16) {
      for (int k = 0; k < 16; ++k) lane[k] += static_cast<double>(x(i + k));
    }
    for (int k = 0; i < end; ++i, ++k) lane[k] += static_cast<double>(x(i));
    for (int width = 8; width > 0; width /= 2) {
      for (int k = 0; k < width; ++k) lane[k] += lane[k + width];
    }
    total += lane[0];
  }
  return total;
}
/// The same in parts of 1024, each summed by itself.
template <class X>
inline double sum_parts(const X& x, Index n) {
  double total = 0;
  for (Index i = 0; i < n; i += 1024) {
    const Index count = n - i < 1024 ? n - i : 1024;
    total += sum_run([&](Index k) { return x(i + k); }, count);
  }
  return total;
}

inline void softmax(const float* x, Index rows, Index n, bool log, float* y) {
  for (Index r = 0; r < rows; ++r, x += n, y += n) {
    float m = -std::numeric_limits<float>::infinity();
    for (Index i = 0; i < n; ++i) m = x[i] > m || x[i] != x[i] ? x[i] : m;
    const auto term = [&](Index i) { return math::exp(x[i] - m); };
    if (log) {
      const float total = static_cast<float>(std::log(sum_parts(term, n)));
      for (Index i = 0; i < n; ++i) y[i] = (x[i] - m) - total;
    } else {
      const float scale = static_cast<float>(1 / sum_run(term, n));
      for (Index i = 0; i < n; ++i) y[i] = math::exp(x[i] - m) * scale;
    }
  }
}

/// The same along an axis that others follow.
inline void softmax_across(const float* x, Index outer, Index n, Index inner, bool log, float* y) {
  for (Index o = 0; o < outer; ++o, x += n * inner, y += n * inner) {
    for (Index e = 0; e < inner; ++e) {
      float m = -std::numeric_limits<float>::infinity();
      for (Index i = 0; i < n; ++i) m = x[i * inner + e] > m ? x[i * inner + e] : m;
      double total = 0;
      for (Index i = 0; i < n; ++i) {
        const float v = math::exp(x[i * inner + e] - m);
        y[i * inner + e] = log ? x[i * inner + e] - m : v;
        total += static_cast<double>(v);
      }
      const float shift = static_cast<float>(std::log(total));
      const float scale = static_cast<float>(1 / total);
      for (Index i = 0; i < n; ++i) {
        y[i * inner + e] = log ? y[i * inner + e] - shift : y[i * inner + e] * scale;
      }
    }
  }
}

/// Σ x over axes, the last of which ends in contiguous runs; the outputs begin at `at`, the runs of
/// each at `run` behind that.
inline void sum_runs(const float* x, const std::int32_t* at, Index outputs, const std::int32_t* run,
                     Index runs, Index length, float* y) {
  for (Index i = 0; i < outputs; ++i) {
    double total = 0;
    for (Index r = 0; r < runs; ++r) {
      const float* from = x + at[i] + run[r];
      total += sum_run([=](Index k) { return from[k]; }, length);
    }
    y[i] = static_cast<float>(total);
  }
}
/// The same where neighbours are summed side by side: element by element, in parts of 512.
inline void sum_across(const float* x, const std::int32_t* at, Index outputs,
                       const std::int32_t* element, Index elements, float* y) {
  for (Index i = 0; i < outputs; ++i) {
    double total = 0;
    for (Index first = 0; first < elements; first += 512) {
      const Index end = first + 512 < elements ? first + 512 : elements;
      double part = 0;
      for (Index k = first; k < end; ++k) part += static_cast<double>(x[at[i] + element[k]]);
      total += part;
    }
    y[i] = static_cast<float>(total);
  }
}

/// Rows of a table; NaN for an index that is none of its rows.
inline void embedding(const float* table, Index rows, Index features, const std::int64_t* index,
                      Index n, float* y) {
  for (Index i = 0; i < n; ++i) {
    const bool there = index[i] >= 0 && index[i] < rows;
    for (Index k = 0; k < features; ++k) {
      *y++ = there ? table[index[i] * features + k] : std::numeric_limits<float>::quiet_NaN();
    }
  }
}

/// (x − μ)/√(σ² + ε) of each row (kernels/standardize.hpp).
inline void standardize(const float* x, Index rows, Index n, double eps, bool centred, float* y) {
  for (Index r = 0; r < rows; ++r, x += n, y += n) {
    float high = 0, low = 0;
    if (centred) {
      const double mean = sum_run([&](Index i) { return x[i]; }, n) / static_cast<double>(n);
      high = static_cast<float>(mean);
      low = std::isfinite(high) ? static_cast<float>(mean - static_cast<double>(high)) : 0.0F;
    }
    const auto square = [&](Index i) {
      const float d = (x[i] - high) - low;
      return d * d;
    };
    const double variance = sum_parts(square, n) / static_cast<double>(n);
    const float scale = static_cast<float>(1 / std::sqrt(variance + eps));
    for (Index i = 0; i < n; ++i) y[i] = ((x[i] - high) - low) * scale;
  }
}

}  // namespace xtape::predictor
