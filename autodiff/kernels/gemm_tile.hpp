// The matrix kernels, written once in the compilers' vector types. No include guard: the file of
// each instruction set defines the macros XTAPE_GEMM_* and includes this (templates cannot carry the
// instruction set as a parameter: the compilers split vectors that the function's own target lacks
// before they inline). What that file gives:
//   XTAPE_GEMM_TARGET  the attribute of every function here
//   XTAPE_GEMM_BYTES   bytes of a vector
//   XTAPE_GEMM_ROWS    rows of a register block (of two vectors)
//   Mask<T>, mask_of<T>(count), load_part(p, mask), store_part(p, v, mask): the first `count` lanes
// The files are compiled with -ffp-contract=fast, so that `sum += x * y` is one instruction.

#include <algorithm>
#include <cstdint>
#include <utility>

#include <xtape/autodiff/kernels/gemm_kernels.hpp>

#define XTAPE_GEMM_INLINE XTAPE_GEMM_TARGET __attribute__((always_inline)) inline
#if defined(__clang__)
#define XTAPE_GEMM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define XTAPE_GEMM_UNROLL _Pragma("GCC unroll 16")
#endif

namespace xtape::kernels {
namespace {

constexpr int kRows = XTAPE_GEMM_ROWS;
constexpr int kVectors = 2;
constexpr std::int64_t kDepth = 256;  // steps along k per pass: a panel of B stays in the L1 cache
template <class T>
constexpr std::int64_t kLanes = XTAPE_GEMM_BYTES / sizeof(T);

template <class T>
XTAPE_GEMM_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
XTAPE_GEMM_INLINE void store(T* p, const Vec<T>& v) {
  __builtin_memcpy(p, &v, sizeof v);
}
template <class T, bool kPart>
XTAPE_GEMM_INLINE Vec<T> load_if(const T* p, Mask<T> mask) {
  if constexpr (kPart) return load_part(p, mask);
  return load(p);
}
template <class T, bool kPart>
XTAPE_GEMM_INLINE void store_if(T* p, const Vec<T>& v, Mask<T> mask) {
  if constexpr (kPart) {
    store_part(p, v, mask);
  } else {
    store(p, v);
  }
}
// alpha sum + beta c, where beta = 0 does not read c.
template <class T, bool kPart>
XTAPE_GEMM_INLINE void write_back(T* c, const Vec<T>& sum, T alpha, T beta, Mask<T> mask) {
  Vec<T> v = alpha * sum;
  if (beta != 0) v += beta * load_if<T, kPart>(c, mask);
  store_if<T, kPart>(c, v, mask);
}

// ---- transposing a panel of B ----------------------------------------------------------------

template <class V, int... I>
XTAPE_GEMM_INLINE V interleave_low(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (I / 2 + I % 2 * n)...);
}
template <class V, int... I>
XTAPE_GEMM_INLINE V interleave_high(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (n / 2 + I / 2 + I % 2 * n)...);
}

// rows[i][j] becomes rows[j][i]: as many perfect shuffles of all the elements as a row index has
// bits.
template <class T>
XTAPE_GEMM_INLINE void transpose(Vec<T> (&rows)[kLanes<T>]) {
  constexpr int n = kLanes<T>;
  constexpr std::make_integer_sequence<int, n> lanes{};
  XTAPE_GEMM_UNROLL
  for (int step = 1; step < n; step *= 2) {
    Vec<T> next[n];
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < n / 2; ++i) {
      next[2 * i] = interleave_low(rows[i], rows[i + n / 2], lanes);
      next[2 * i + 1] = interleave_high(rows[i], rows[i + n / 2], lanes);
    }
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < n; ++i) rows[i] = next[i];
  }
}

// panel[p][j] = b[j][p] for p < depth and j < kLanes, 0 where there is no row j.
template <class T>
XTAPE_GEMM_TARGET void pack_lanes(const T* b, std::int64_t ldb, std::int64_t count,
                                  std::int64_t depth, T* panel) {
  constexpr std::int64_t n = kLanes<T>, step = kVectors * n;
  for (std::int64_t p = 0; p < depth; p += n) {
    const std::int64_t steps = std::min(n, depth - p);
    Vec<T> rows[n];
    if (steps == n && count == n) {
      XTAPE_GEMM_UNROLL
      for (std::int64_t j = 0; j < n; ++j) rows[j] = load(b + j * ldb + p);
    } else {
      const Mask<T> mask = mask_of<T>(steps);
      for (std::int64_t j = 0; j < n; ++j) {
        rows[j] = j < count ? load_part(b + j * ldb + p, mask) : Vec<T>{};
      }
    }
    transpose<T>(rows);
    if (steps == n) {
      XTAPE_GEMM_UNROLL
      for (std::int64_t j = 0; j < n; ++j) store(panel + (p + j) * step, rows[j]);
    } else {
      for (std::int64_t j = 0; j < steps; ++j) store(panel + (p + j) * step, rows[j]);
    }
  }
}

template <class T>
XTAPE_GEMM_TARGET void pack_transposed(const T* b, std::int64_t ldb, std::int64_t columns,
                                       std::int64_t depth, T* panel) {
  for (std::int64_t j = 0; j < columns; j += kLanes<T>) {
    pack_lanes(b + j * ldb, ldb, std::min(kLanes<T>, columns - j), depth, panel + j);
  }
}

// ---- the register block -------------------------------------------------------------------------

template <class T>
struct Block {
  std::int64_t depth;
  std::int64_t a_row, a_step;  // element i, p of op(A) is at i a_row + p a_step
  std::int64_t ldb, ldc;
  T alpha, beta;
  Mask<T> mask;  // of the last vector of a row
};

// A kM × (kN vectors) block of C in registers; the last vector of a row may be partial.
template <class T, int kM, int kN, bool kPart>
XTAPE_GEMM_TARGET void tile(const Block<T>& t, const T* a, const T* b, T* c) {
  constexpr std::int64_t lanes = kLanes<T>;
  Vec<T> sum[kM][kN] = {};
  const T* row[kM];
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kM; ++i) row[i] = a + i * t.a_row;
  const std::int64_t a_step = t.a_step, ldb = t.ldb;
  const Mask<T> mask = t.mask;
  std::int64_t at = 0;
  for (std::int64_t p = t.depth; p > 0; --p) {
    Vec<T> y[kN];
    XTAPE_GEMM_UNROLL
    for (int j = 0; j < kN - 1; ++j) y[j] = load(b + j * lanes);
    y[kN - 1] = load_if<T, kPart>(b + (kN - 1) * lanes, mask);
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kM; ++i) {
      const T x = row[i][at];
      XTAPE_GEMM_UNROLL
      for (int j = 0; j < kN; ++j) sum[i][j] += x * y[j];
    }
    at += a_step;
    b += ldb;
  }
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kM; ++i, c += t.ldc) {
    XTAPE_GEMM_UNROLL
    for (int j = 0; j < kN - 1; ++j) {
      write_back<T, false>(c + j * lanes, sum[i][j], t.alpha, t.beta, mask);
    }
    write_back<T, kPart>(c + (kN - 1) * lanes, sum[i][kN - 1], t.alpha, t.beta, mask);
  }
}

template <class T>
using Tile = void (*)(const Block<T>&, const T*, const T*, T*);

template <class T, int kN, bool kPart, int... I>
constexpr auto tiles_of(std::integer_sequence<int, I...>) {
  struct Table {
    Tile<T> by_rows[sizeof...(I)];
  };
  return Table{{tile<T, I + 1, kN, kPart>...}};
}
template <class T, int kN, bool kPart>
constexpr auto kTiles = tiles_of<T, kN, kPart>(std::make_integer_sequence<int, kRows>{});

// A panel of columns: m rows, split into blocks of nearly equal height.
template <class T>
XTAPE_GEMM_TARGET void panel_product(const Block<T>& t, const Tile<T>* tiles, std::int64_t m,
                                     const T* a, const T* b, T* c) {
  const std::int64_t blocks = (m + kRows - 1) / kRows, low = m / blocks;
  std::int64_t taller = m - low * blocks;
  for (std::int64_t left = m; left > 0;) {
    const std::int64_t rows = low + (taller-- > 0);
    tiles[rows - 1](t, a, b, c);
    a += rows * t.a_row;
    c += rows * t.ldc;
    left -= rows;
  }
}

template <class T>
XTAPE_GEMM_TARGET void product(const Product<T>& g) {
  constexpr std::int64_t lanes = kLanes<T>, width = kVectors * lanes;
  alignas(64) T panel[kDepth * width];
  Block<T> t{0,     g.transpose_a ? 1 : g.lda, g.transpose_a ? g.lda : 1,
             g.ldb, g.ldc, g.alpha,
             g.beta, {}};
  for (std::int64_t p = 0; p < g.k; p += kDepth, t.beta = 1) {
    t.depth = std::min(kDepth, g.k - p);
    const T* a = g.a + p * t.a_step;
    for (std::int64_t j = 0; j < g.n; j += width) {
      const std::int64_t columns = std::min(width, g.n - j), rest = columns % lanes;
      const T* b = g.b + p * g.ldb + j;
      if (g.transpose_b) {
        pack_transposed(g.b + j * g.ldb + p, g.ldb, columns, t.depth, panel);
        t.ldb = width;
        b = panel;
      }
      t.mask = mask_of<T>(rest);
      const Tile<T>* tiles = columns > lanes ? (rest ? kTiles<T, 2, true>.by_rows
                                                     : kTiles<T, 2, false>.by_rows)
                                             : (rest ? kTiles<T, 1, true>.by_rows
                                                     : kTiles<T, 1, false>.by_rows);
      panel_product(t, tiles, g.m, a, b, g.c + j);
    }
  }
}

// ---- matrix times vector ------------------------------------------------------------------------

template <class V, int... I>
XTAPE_GEMM_INLINE V rotate(V v, std::integer_sequence<int, I...>, int) {
  return v;
}

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
template <class T, int kR>
XTAPE_GEMM_TARGET void dot_block(const MatrixVector<T>& g, const T* matrix, T* y) {
  constexpr std::int64_t lanes = kLanes<T>;
  Vec<T> sum[kR][2] = {};
  std::int64_t j = 0;
  for (; j + 2 * lanes <= g.columns; j += 2 * lanes) {
    const Vec<T> x0 = load(g.x + j), x1 = load(g.x + j + lanes);
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kR; ++i) {
      sum[i][0] += x0 * load(matrix + i * g.ld + j);
      sum[i][1] += x1 * load(matrix + i * g.ld + j + lanes);
    }
  }
  for (; j < g.columns; j += lanes) {
    const Mask<T> mask = mask_of<T>(std::min(lanes, g.columns - j));
    const Vec<T> x = load_part(g.x + j, mask);
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kR; ++i) sum[i][0] += x * load_part(matrix + i * g.ld + j, mask);
  }
  T value[kR];
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) value[i] = g.alpha * sum_lanes<T>(sum[i][0] + sum[i][1]);
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kR; ++i) y[i] = g.beta == 0 ? value[i] : value[i] + g.beta * y[i];
}

template <class T>
XTAPE_GEMM_TARGET void dot_rows(const MatrixVector<T>& g) {
  std::int64_t i = 0;
  for (; i + 4 <= g.rows; i += 4) dot_block<T, 4>(g, g.matrix + i * g.ld, g.y + i);
  if (i + 2 <= g.rows) {
    dot_block<T, 2>(g, g.matrix + i * g.ld, g.y + i);
    i += 2;
  }
  if (i < g.rows) dot_block<T, 1>(g, g.matrix + i * g.ld, g.y + i);
}

// kN vectors of y in registers while all rows pass; kU rows at once, with sums of their own where kN
// is too small to hide the latency of the additions.
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

template <class T>
XTAPE_GEMM_TARGET void combine_rows(const MatrixVector<T>& g) {
  constexpr std::int64_t lanes = kLanes<T>;
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

// The product of a column and a row, in one pass over C.
template <class T>
XTAPE_GEMM_TARGET void outer(const Product<T>& g) {
  constexpr std::int64_t lanes = kLanes<T>;
  const std::int64_t a_row = g.transpose_a ? 1 : g.lda, b_column = g.transpose_b ? g.ldb : 1;
  if (b_column != 1 && g.n > 1) return product(g);
  const std::int64_t full = g.n / lanes * lanes;
  const Mask<T> mask = mask_of<T>(g.n - full);
  for (std::int64_t i = 0; i < g.m; ++i) {
    const T x = g.a[i * a_row];
    T* c = g.c + i * g.ldc;
    for (std::int64_t j = 0; j < full; j += lanes) {
      write_back<T, false>(c + j, x * load(g.b + j), g.alpha, g.beta, mask);
    }
    if (full < g.n) {
      write_back<T, true>(c + full, x * load_part(g.b + full, mask), g.alpha, g.beta, mask);
    }
  }
}

}  // namespace

template <>
const GemmKernels<float>& XTAPE_GEMM_TABLE<float>() {
  static constexpr GemmKernels<float> kernels{product<float>, dot_rows<float>, combine_rows<float>,
                                              outer<float>};
  return kernels;
}
template <>
const GemmKernels<double>& XTAPE_GEMM_TABLE<double>() {
  static constexpr GemmKernels<double> kernels{product<double>, dot_rows<double>,
                                               combine_rows<double>, outer<double>};
  return kernels;
}

}  // namespace xtape::kernels
