// The matrix kernels, written once in the compilers' vector types. No include guard: the file of
// each instruction set defines the macros XTAPE_GEMM_* and includes this (templates cannot carry
// the instruction set as a parameter: the compilers split vectors that the function's own target
// lacks before they inline). What that file gives:
//   XTAPE_GEMM_TARGET  the attribute of every function here
//   XTAPE_GEMM_BYTES   bytes of a vector
//   XTAPE_GEMM_ROWS    rows of a register block (of two vectors)
//   multiply_add(x, y, z)  x y + z, in one instruction where there is one: the blocks of all sizes
//                      must round alike, since threads cut products as they like
//   Mask<T>, mask_of<T>(count), load_part(p, mask), store_part(p, v, mask): the first `count` lanes
// The files are compiled with -ffp-contract=fast, so that `sum += x * y` is one instruction in the
// baseline, too, where there is one.

#include <algorithm>
#include <cstdint>
#include <utility>

#include <xtape/autodiff/kernels/gemm_kernels.hpp>
#include <xtape/autodiff/memory.hpp>

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
template <class T>
XTAPE_GEMM_INLINE Vec<T> splat(T x) {
  return x - Vec<T>{};
}
// alpha sum + beta c, where beta = 0 does not read c.
template <class T, bool kPart>
XTAPE_GEMM_INLINE void write_back(T* c, const Vec<T>& sum, T alpha, T beta, Mask<T> mask) {
  Vec<T> v = alpha * sum;
  if (beta != 0) v = multiply_add(splat(beta), load_if<T, kPart>(c, mask), v);
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

// packed[p][j] = b[j][p] for p < depth and j < kLanes, 0 where there is no row j.
template <class T>
XTAPE_GEMM_TARGET void pack_lanes(const T* b, std::int64_t ldb, std::int64_t count,
                                  std::int64_t depth, T* packed, std::int64_t step) {
  constexpr std::int64_t n = kLanes<T>;
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
      for (std::int64_t j = 0; j < n; ++j) store(packed + (p + j) * step, rows[j]);
    } else {
      for (std::int64_t j = 0; j < steps; ++j) store(packed + (p + j) * step, rows[j]);
    }
  }
}

// packed[p][j] = b[j][p] for p < depth and j < count; writes whole vectors.
template <class T>
XTAPE_GEMM_TARGET void pack_transposed(const T* b, std::int64_t ldb, std::int64_t count,
                                       std::int64_t depth, T* packed, std::int64_t step) {
  for (std::int64_t j = 0; j < count; j += kLanes<T>) {
    pack_lanes(b + j * ldb, ldb, std::min(kLanes<T>, count - j), depth, packed + j, step);
  }
}

// A panel of B as it is: what lies far apart in memory costs a page and a cache way per step.
template <class T>
XTAPE_GEMM_TARGET void pack_straight(const T* b, std::int64_t ldb, std::int64_t columns,
                                     std::int64_t depth, T* packed) {
  constexpr std::int64_t lanes = kLanes<T>;
  const Mask<T> mask = mask_of<T>(columns % lanes);
  for (std::int64_t p = 0; p < depth; ++p, b += ldb, packed += kVectors * lanes) {
    std::int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) store(packed + j, load(b + j));
    if (j < columns) store(packed + j, load_part(b + j, mask));
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
  T* copy;       // where the block that copies leaves B
};

// C from the sums of a block. Adding up gets one instruction a vector: it is what every pass along
// k but the first does, and every gradient that accumulates.
template <class T, int kM, int kN, bool kPart>
XTAPE_GEMM_INLINE void finish(const Block<T>& t, const Vec<T> (&sum)[kM][kN], T* c) {
  constexpr std::int64_t lanes = kLanes<T>, last = (kN - 1) * lanes;
  const T beta = t.beta;
  const Mask<T> mask = t.mask;
  if (beta == 1) {
    const Vec<T> alpha = splat(t.alpha);
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kM; ++i, c += t.ldc) {
      XTAPE_GEMM_UNROLL
      for (int j = 0; j < kN - 1; ++j) {
        store(c + j * lanes, multiply_add(alpha, sum[i][j], load(c + j * lanes)));
      }
      const Vec<T> before = load_if<T, kPart>(c + last, mask);
      store_if<T, kPart>(c + last, multiply_add(alpha, sum[i][kN - 1], before), mask);
    }
    return;
  }
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kM; ++i, c += t.ldc) {
    XTAPE_GEMM_UNROLL
    for (int j = 0; j < kN - 1; ++j) {
      write_back<T, false>(c + j * lanes, sum[i][j], t.alpha, beta, mask);
    }
    write_back<T, kPart>(c + last, sum[i][kN - 1], t.alpha, beta, mask);
  }
}

// A kM × (kN vectors) block of C in registers; the last vector of a row may be partial. With kCopy
// it leaves what it read of B as a packed panel.
template <class T, int kM, int kN, bool kPart, bool kCopy = false>
XTAPE_GEMM_TARGET void tile(const Block<T>& t, const T* a, const T* b, T* c) {
  constexpr std::int64_t lanes = kLanes<T>;
  Vec<T> sum[kM][kN] = {};
  const T* row[kM];
  XTAPE_GEMM_UNROLL
  for (int i = 0; i < kM; ++i) row[i] = a + i * t.a_row;
  const std::int64_t a_step = t.a_step, ldb = t.ldb;
  const Mask<T> mask = t.mask;
  T* copy = t.copy;
  std::int64_t at = 0;
  for (std::int64_t p = t.depth; p > 0; --p) {
    Vec<T> y[kN];
    XTAPE_GEMM_UNROLL
    for (int j = 0; j < kN - 1; ++j) y[j] = load(b + j * lanes);
    y[kN - 1] = load_if<T, kPart>(b + (kN - 1) * lanes, mask);
    if constexpr (kCopy) {
      XTAPE_GEMM_UNROLL
      for (int j = 0; j < kN; ++j) store(copy + j * lanes, y[j]);
      copy += kN * lanes;
    }
    XTAPE_GEMM_UNROLL
    for (int i = 0; i < kM; ++i) {
      const Vec<T> x = splat(row[i][at]);
      XTAPE_GEMM_UNROLL
      for (int j = 0; j < kN; ++j) sum[i][j] = multiply_add(x, y[j], sum[i][j]);
    }
    at += a_step;
    b += ldb;
  }
  finish<T, kM, kN, kPart>(t, sum, c);
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
const Tile<T>* tiles_for(std::int64_t columns) {
  const bool part = columns % kLanes<T> != 0;
  if (columns > kLanes<T>) return part ? kTiles<T, 2, true>.by_rows : kTiles<T, 2, false>.by_rows;
  return part ? kTiles<T, 1, true>.by_rows : kTiles<T, 1, false>.by_rows;
}

// A panel of columns of C, from a panel of B whose rows lie far apart: packed on the way by the
// first block, whose multiplications hide that.
template <class T>
XTAPE_GEMM_TARGET void far_panel(Block<T>& t, std::int64_t columns, std::int64_t m, const T* a,
                                 const T* b, std::int64_t ldb, T* c) {
  constexpr std::int64_t width = kVectors * kLanes<T>;
  if (columns == width) {
    t.ldb = ldb;
    tile<T, kRows, kVectors, false, true>(t, a, b, c);
    a += kRows * t.a_row;
    c += kRows * t.ldc;
    m -= kRows;
  } else {
    pack_straight(b, ldb, columns, t.depth, t.copy);
  }
  t.ldb = width;
  panel_product(t, tiles_for<T>(columns), m, a, t.copy, c);
}

// `rows` rows of C, and the `t.depth` steps from step `p` on.
template <class T>
XTAPE_GEMM_TARGET void strip(const Product<T>& g, Block<T>& t, std::int64_t rows, const T* a,
                             std::int64_t p, T* c) {
  constexpr std::int64_t lanes = kLanes<T>, width = kVectors * lanes;
  const bool far = rows >= 64 && g.ldb * static_cast<std::int64_t>(sizeof(T)) >= 2048;
  for (std::int64_t j = 0; j < g.n; j += width) {
    const std::int64_t columns = std::min(width, g.n - j);
    t.mask = mask_of<T>(columns % lanes);
    if (g.transpose_b) {
      pack_transposed(g.b + j * g.ldb + p, g.ldb, columns, t.depth, t.copy, width);
      t.ldb = width;
      panel_product<T>(t, tiles_for<T>(columns), rows, a, t.copy, c + j);
    } else if (far) {
      far_panel(t, columns, rows, a, g.b + p * g.ldb + j, g.ldb, c + j);
    } else {
      t.ldb = g.ldb;
      panel_product(t, tiles_for<T>(columns), rows, a, g.b + p * g.ldb + j, c + j);
    }
  }
}

// Rows of A that a strip takes: with kDepth columns they fill half of an L2 cache.
template <class T>
constexpr std::int64_t kStrip = 1024 / static_cast<std::int64_t>(sizeof(T));

// A strip of A as rows, of kDepth elements and a cache line more, lest all begin in the same sets.
template <class T>
class PackedA {
 public:
  static constexpr std::int64_t ld = kDepth + 64 / static_cast<std::int64_t>(sizeof(T));
  PackedA() = default;
  PackedA(const PackedA&) = delete;
  PackedA& operator=(const PackedA&) = delete;
  ~PackedA() {
    if (data_) memory::release(data_, kBytes);
  }
  T* data() {
    if (!data_) data_ = static_cast<T*>(memory::allocate(kBytes));
    return data_;
  }

 private:
  static constexpr std::size_t kBytes = static_cast<std::size_t>(ld * kStrip<T>) * sizeof(T);
  T* data_ = nullptr;
};

// Steps along k per pass, nearly equal: a short last pass would read and write C for little.
template <class T>
std::int64_t pass_depth(std::int64_t k) {
  const std::int64_t passes = (k + kDepth - 1) / kDepth, depth = (k + passes - 1) / passes;
  return (depth + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

template <class T>
XTAPE_GEMM_TARGET void product(const Product<T>& g) {
  alignas(64) T panel[kDepth * kVectors * kLanes<T>];
  PackedA<T> packed;
  const bool pack =
      g.transpose_a && g.n >= 128 && g.lda * static_cast<std::int64_t>(sizeof(T)) >= 4096;
  const std::int64_t row = g.transpose_a ? 1 : g.lda, step = g.transpose_a ? g.lda : 1;
  Block<T> t{0,    pack ? PackedA<T>::ld : row, pack ? 1 : step, g.ldb, g.ldc, g.alpha, g.beta, {},
             panel};
  const std::int64_t depth = pass_depth<T>(g.k);
  for (std::int64_t p = 0; p < g.k; p += depth, t.beta = 1) {
    t.depth = std::min(depth, g.k - p);
    for (std::int64_t i = 0; i < g.m; i += kStrip<T>) {
      const std::int64_t rows = std::min(kStrip<T>, g.m - i);
      const T* a = g.a + i * row + p * step;
      if (pack) {
        pack_transposed(a, g.lda, t.depth, rows, packed.data(), t.a_row);
        a = packed.data();
      }
      strip(g, t, rows, a, p, g.c + i * g.ldc);
    }
  }
}

}  // namespace
}  // namespace xtape::kernels

#include <xtape/autodiff/kernels/gemm_vector.hpp>

namespace xtape::kernels {

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
