// Matrix times vector, column times row: the part of gemm_tile.hpp that is about them, and included
// by it only (no include guard, as there).

namespace xtape::kernels {
namespace {

template <int kBy, class V, int... I>
XTAPE_GEMM_INLINE V rotated(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, ((I + kBy) % static_cast<int>(sizeof...(I)))...);
}

template <class T, int kBy = kLanes<T> / 2>
XTAPE_GEMM_INLINE T sum_lanes(Vec<T> v) {
  v += rotated<kBy>(v, std::make_integer_sequence<int, kLanes<T>>{});
  if constexpr (kBy > 1) return sum_lanes<T, kBy / 2>(v);
  return v[0];
}

// kR rows at once: each element of x is read once for all of them.
template <class T, int kR, int kN>
XTAPE_GEMM_TARGET void dot_block(const MatrixVector<T>& g, const T* matrix, T* y) {
  constexpr std::int64_t lanes = kLanes<T>;
  const std::int64_t ld = g.ld, n = g.columns;
  const T* x = g.x;
  Vec<T> sum[kR][kN] = {};
  std::int64_t j = 0;
  for (; j + kN * lanes <= n; j += kN * lanes) {
    XTAPE_GEMM_UNROLL
    for (int v = 0; v < kN; ++v) {
      const Vec<T> part = load(x + j + v * lanes);
      XTAPE_GEMM_UNROLL
      for (int i = 0; i < kR; ++i) sum[i][v] += part * load(matrix + i * ld + j + v * lanes);
    }
  }
  for (; j < n; j += lanes) {
    const Mask<T> mask = mask_of<T>(std::min(lanes, n - j));
    const Vec<T> part = load_part(x + j, mask);
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kR; ++i) sum[i][0] += part * load_part(matrix + i * ld + j, mask);
  }
  T value[kR];
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) {
    XTAPE_GEMM_UNROLL
    for (int v = 1; v < kN; ++v) sum[i][0] += sum[i][v];
    value[i] = g.alpha * sum_lanes<T>(sum[i][0]);
  }
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) y[i] = g.beta == 0 ? value[i] : value[i] + g.beta * y[i];
}

template <class T>
XTAPE_GEMM_TARGET void dot_rows(const MatrixVector<T>& g) {
  std::int64_t i = 0;
  for (; i + 8 <= g.rows; i += 8) dot_block<T, 8, 1>(g, g.matrix + i * g.ld, g.y + i);
  if (i + 4 <= g.rows) {
    dot_block<T, 4, 2>(g, g.matrix + i * g.ld, g.y + i);
    i += 4;
  }
  for (; i < g.rows; ++i) dot_block<T, 1, 4>(g, g.matrix + i * g.ld, g.y + i);
}

// kN vectors of y in registers while all rows pass; kU rows at once, with sums of their own where
// kN is too small to hide the latency of the additions.
template <class T, int kN, int kU, bool kPart>
XTAPE_GEMM_TARGET void combine_block(const MatrixVector<T>& g, const T* matrix, T* y,
                                     Mask<T> mask) {
  constexpr std::int64_t lanes = kLanes<T>;
  Vec<T> sum[kU][kN] = {};
  std::int64_t i = 0;
  for (; i + kU <= g.rows; i += kU) {
    XTAPE_GEMM_UNROLL
    for (int u = 0; u < kU; ++u) {
      const T x = g.x[i + u];
      const T* row = matrix + (i + u) * g.ld;
      XTAPE_GEMM_UNROLL
      for (int j = 0; j < kN - 1; ++j) sum[u][j] += x * load(row + j * lanes);
      sum[u][kN - 1] += x * load_if<T, kPart>(row + (kN - 1) * lanes, mask);
    }
  }
  for (; i < g.rows; ++i) {
    const T x = g.x[i];
    const T* row = matrix + i * g.ld;
    XTAPE_GEMM_UNROLL
    for (int j = 0; j < kN - 1; ++j) sum[0][j] += x * load(row + j * lanes);
    sum[0][kN - 1] += x * load_if<T, kPart>(row + (kN - 1) * lanes, mask);
  }
  XTAPE_GEMM_UNROLL
  for (int u = 1; u < kU; ++u) {
    XTAPE_GEMM_UNROLL
    for (int j = 0; j < kN; ++j) sum[0][j] += sum[u][j];
  }
  XTAPE_GEMM_UNROLL
  for (int j = 0; j < kN - 1; ++j) {
    write_back<T, false>(y + j * lanes, sum[0][j], g.alpha, g.beta, mask);
  }
  write_back<T, kPart>(y + (kN - 1) * lanes, sum[0][kN - 1], g.alpha, g.beta, mask);
}

// y += kR rows weighted by x: y stays in the L1 cache while the matrix passes as kR streams.
template <class T, int kR, bool kPart>
XTAPE_GEMM_INLINE void add_rows_at(const T* matrix, std::int64_t ld, const T (&x)[kR], T beta, T* y,
                                   Mask<T> mask) {
  Vec<T> sum{};
  if (beta != 0) sum = beta * load_if<T, kPart>(y, mask);
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) sum += x[i] * load_if<T, kPart>(matrix + i * ld, mask);
  store_if<T, kPart>(y, sum, mask);
}
template <class T, int kR>
XTAPE_GEMM_TARGET void add_rows(const MatrixVector<T>& g, std::int64_t first, T beta) {
  constexpr std::int64_t lanes = kLanes<T>;
  const std::int64_t ld = g.ld, n = g.columns;
  const T* matrix = g.matrix + first * ld;
  T* y = g.y;
  T x[kR];
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) x[i] = g.alpha * g.x[first + i];
  std::int64_t j = 0;
  for (; j + lanes <= n; j += lanes)
    add_rows_at<T, kR, false>(matrix + j, ld, x, beta, y + j, Mask<T>{});
  if (j < n) add_rows_at<T, kR, true>(matrix + j, ld, x, beta, y + j, mask_of<T>(n - j));
}

template <class T>
XTAPE_GEMM_TARGET void combine_wide(const MatrixVector<T>& g) {
  T beta = g.beta;
  std::int64_t i = 0;
  for (; i + 4 <= g.rows; i += 4, beta = 1) add_rows<T, 4>(g, i, beta);
  for (; i < g.rows; ++i, beta = 1) add_rows<T, 1>(g, i, beta);
}

template <class T>
XTAPE_GEMM_TARGET void combine_rows(const MatrixVector<T>& g) {
  constexpr std::int64_t lanes = kLanes<T>;
  if (g.columns > 16 * lanes) return combine_wide(g);
  std::int64_t j = 0;
  const auto left = [&] { return g.columns - j; };
  const Mask<T> none{};
  for (; left() >= 8 * lanes; j += 8 * lanes) {
    combine_block<T, 8, 1, false>(g, g.matrix + j, g.y + j, none);
  }
  for (; left() >= 4 * lanes; j += 4 * lanes) {
    combine_block<T, 4, 2, false>(g, g.matrix + j, g.y + j, none);
  }
  for (; left() >= lanes; j += lanes) {
    combine_block<T, 1, 8, false>(g, g.matrix + j, g.y + j, none);
  }
  if (left() > 0) {
    combine_block<T, 1, 8, true>(g, g.matrix + j, g.y + j, mask_of<T>(left()));
  }
}

// kR rows of the product of a column and a row. What the loop needs lies in locals: C could alias
// the fields of g.
template <class T, int kR, bool kAdd>
XTAPE_GEMM_TARGET void outer_rows(const Product<T>& g, const T* a, T* c) {
  constexpr std::int64_t lanes = kLanes<T>;
  const std::int64_t ldc = g.ldc, n = g.n;
  const T* b = g.b;
  const T beta = g.beta;
  T x[kR];
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) x[i] = g.alpha * a[i];
  std::int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    const Vec<T> y = load(b + j);
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kR; ++i) {
      Vec<T> v = x[i] * y;
      if constexpr (kAdd) v += beta * load(c + i * ldc + j);
      store(c + i * ldc + j, v);
    }
  }
  if (j == n) return;
  const Mask<T> mask = mask_of<T>(n - j);
  const Vec<T> y = load_part(b + j, mask);
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) {
    Vec<T> v = x[i] * y;
    if constexpr (kAdd) v += beta * load_part(c + i * ldc + j, mask);
    store_part(c + i * ldc + j, v, mask);
  }
}

template <class T, bool kAdd>
XTAPE_GEMM_TARGET void outer_all(const Product<T>& g) {
  std::int64_t i = 0;
  for (; i + 4 <= g.m; i += 4) outer_rows<T, 4, kAdd>(g, g.a + i, g.c + i * g.ldc);
  for (; i < g.m; ++i) outer_rows<T, 1, kAdd>(g, g.a + i, g.c + i * g.ldc);
}

// The product of a column and a row, both without gaps, in one pass over C.
template <class T>
XTAPE_GEMM_TARGET void outer(const Product<T>& g) {
  if (g.beta == 0) return outer_all<T, false>(g);
  outer_all<T, true>(g);
}

}  // namespace
}  // namespace xtape::kernels
