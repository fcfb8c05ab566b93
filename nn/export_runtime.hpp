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

/// Steps along the inner axis that kernels/gemm_tile.hpp sums before it adds to the result.
inline Index pass_depth(Index k) {
  const Index passes = (k + 255) / 256, depth = (k + passes - 1) / passes;
  return (depth + 3) / 4 * 4;
}

/// y[o, i] (+)= Σ w[o, p] x(p, i), in passes.
template <class X>
inline void product(const float* w, Index ldw, Index rows, Index n, Index k, bool add, const X& x,
                    float* y, Index ldy, Index step) {
  const Index depth = pass_depth(k);
  for (Index o = 0; o < rows; ++o) {
    for (Index i = 0; i < n; ++i) {
      float& out = y[o * ldy + i * step];
      for (Index p = 0; p < k; p += depth) {
        const Index end = p + depth < k ? p + depth : k;
        float sum = 0;
        for (Index q = p; q < end; ++q) sum += w[o * ldw + q] * x(q, i);
        out = add || p > 0 ? sum + out : sum;
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
  for (Index g = 0; g < groups; ++g) {
    for (Index part = 0; part < parts; ++part) {
      const Index first = inputs * part / parts, last = inputs * (part + 1) / parts;
      const float* from = x + (g * inputs + first) * plane;
      product(
          w + (g * outputs * inputs + first) * taps, inputs * taps, outputs, points,
          (last - first) * taps, part > 0,
          [=](Index p, Index i) {
            const Index source = at[p % taps * points + i];
            return source < 0 ? 0.0F : from[p / taps * plane + source];
          },
          y + g * outputs * points, points, 1);
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
