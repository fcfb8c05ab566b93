#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/gemm_backend.hpp>
#include <xtape/autodiff/threads.hpp>

// What shape a product has, whose kernel it gets, and how it is cut into pieces for the threads.
namespace xtape::kernels {
namespace {

// Up to this many multiply-adds setting up vectors costs more than the work.
constexpr std::int64_t kTiny = 16;

// The BLAS counts in 32 bits.
constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();

template <class T>
void tiny(const Gemm& g, const T* a, const T* b, T* c) {
  const std::int64_t ai = g.transpose_a ? 1 : g.k, ak = g.transpose_a ? g.m : 1;
  const std::int64_t bk = g.transpose_b ? 1 : g.n, bj = g.transpose_b ? g.k : 1;
  const T alpha = static_cast<T>(g.alpha), beta = static_cast<T>(g.beta);
  for (std::int64_t i = 0; i < g.m; ++i) {
    for (std::int64_t j = 0; j < g.n; ++j, ++c) {
      T sum = 0;
      for (std::int64_t p = 0; p < g.k; ++p) sum += a[i * ai + p * ak] * b[p * bk + j * bj];
      *c = beta == 0 ? alpha * sum : alpha * sum + beta * *c;
    }
  }
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// ---- matrix times vector, column times row: memory, not arithmetic, is what they cost -----------

// Elements of the matrix per piece: more than the private caches of a core hold.
constexpr std::int64_t kElementsPerPiece = std::int64_t{1} << 19;

// Calls part(first, count) for portions of `extent`, multiples of 128, of a matrix with `elements`.
template <class F>
void in_portions(std::int64_t extent, std::int64_t elements, const F& part) {
  const std::int64_t pieces = elements / kElementsPerPiece;
  if (pieces < 2) return part(0, extent);
  const std::int64_t portion = ceil_div(ceil_div(extent, pieces), 128) * 128;
  detail::parallel_for(ceil_div(extent, portion), [&](std::int64_t i) {
    part(i * portion, std::min(portion, extent - i * portion));
  });
}

template <class T>
void matrix_vector(const Gemm& g, const T* a, const T* b, T* c) {
  const bool row = g.m == 1;  // a row times a matrix, else a matrix times a column
  const bool across = row ? g.transpose_b : !g.transpose_a;  // each element from one stored row
  const std::int64_t result = row ? g.n : g.m;
  MatrixVector<T> v{across ? result : g.k,   across ? g.k : result, row ? b : a,
                    across ? g.k : result,   row ? a : b,           c,
                    static_cast<T>(g.alpha), static_cast<T>(g.beta)};
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  in_portions(result, result * g.k, [&](std::int64_t first, std::int64_t count) {
    MatrixVector<T> part = v;
    part.y += first;
    if (across) {
      part.rows = count;
      part.matrix += first * v.ld;
      return kernels.dot_rows(part);
    }
    part.columns = count;
    part.matrix += first;
    kernels.combine_rows(part);
  });
}

template <class T>
void outer(Product<T> g) {
  if (g.n == 1) {  // a column times a number is a number times a row
    std::swap(g.m, g.n);
    std::swap(g.a, g.b);
    g.ldc = g.n;
  }
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  in_portions(g.m, g.m * g.n, [&](std::int64_t first, std::int64_t count) {
    Product<T> part = g;
    part.m = count;
    part.a += first;  // packed with k = 1, transposed or not
    part.c += first * g.ldc;
    kernels.outer(part);
  });
}

// ---- pieces of a product ------------------------------------------------------------------------

// `count` parts of nearly equal size, in whole units but for the last.
struct Parts {
  std::int64_t extent, unit, count;
  static Parts at_most(std::int64_t extent, std::int64_t unit, std::int64_t size) {
    return {extent, unit, ceil_div(extent, size)};
  }
  std::int64_t first(std::int64_t i) const {
    return std::min(ceil_div(extent, unit) * i / count * unit, extent);
  }
  std::int64_t size(std::int64_t i) const { return first(i + 1) - first(i); }
  bool can_double() const { return ceil_div(extent, unit) >= 2 * count; }
};

struct Grid {
  Parts down, across;
};

constexpr std::int64_t kRowUnit = 64, kColumnUnit = 32;

// For kernels that may round a piece otherwise than the whole: sizes alone decide. Halves the
// longer side of a piece until there are enough; small pieces read their operands more often, so
// below 256 only so many are made.
Grid fixed_grid(std::int64_t m, std::int64_t n, std::int64_t k) {
  constexpr std::int64_t kMaxPieces = 64, kFew = 8;
  const std::int64_t wanted = std::min(m * n * k / kWorkPerPiece, kMaxPieces);
  Grid g{{m, kColumnUnit, 1}, {n, kColumnUnit, 1}};
  for (std::int64_t pieces = 1; pieces * 2 <= wanted; pieces = g.down.count * g.across.count) {
    Parts& side = m / g.down.count >= n / g.across.count ? g.down : g.across;
    if (side.extent / side.count < (pieces < kFew ? 64 : 512)) break;
    side.count *= 2;
  }
  return g;
}

// For our own kernels, where an element's bits do not depend on its piece. A piece of C stays in
// the L2 cache during all passes along k. Threads get up to four each, lest one that is held up
// holds up all. Columns are divided first: every piece of rows packs its part of B again.
Grid grid_for(std::int64_t m, std::int64_t n, std::int64_t k, int threads) {
  Grid g{Parts::at_most(m, kRowUnit, 256), Parts::at_most(n, kColumnUnit, 512)};
  if (threads == 1) return g;
  const std::int64_t most = std::min<std::int64_t>(m * n * k / kWorkPerPiece, 4 * threads);
  const auto count = [&] { return g.down.count * g.across.count; };
  while (2 * count() <= most && g.across.can_double()) g.across.count *= 2;
  while (2 * count() <= most && g.down.can_double()) g.down.count *= 2;
  return g;
}

template <class T>
void product(const Product<T>& g) {
  const GemmEngine engine = choose_engine(g.m, g.n, g.k, static_cast<int>(sizeof(T)));
  if (g.m * g.n * g.k < 2 * kWorkPerPiece) return compute(engine, g);
  const Grid grid = engine == GemmEngine::own ? grid_for(g.m, g.n, g.k, num_threads())
                                              : fixed_grid(g.m, g.n, g.k);
  detail::parallel_for(grid.down.count * grid.across.count, [&](std::int64_t index) {
    const std::int64_t row = index / grid.across.count, column = index % grid.across.count;
    const std::int64_t i = grid.down.first(row), j = grid.across.first(column);
    Product<T> part = g;
    part.m = grid.down.size(row);
    part.n = grid.across.size(column);
    part.a += i * (g.transpose_a ? 1 : g.lda);
    part.b += j * (g.transpose_b ? g.ldb : 1);
    part.c += i * g.ldc + j;
    compute(engine, part);
  });
}

template <class T>
void multiply(const Gemm& g, const T* a, const T* b, T* c) {
  if (g.m * g.n * g.k <= kTiny) return tiny(g, a, b, c);  // products without elements, too
  if (std::max({g.m, g.n, g.k}) > kMaxExtent) {
    throw ShapeError("matmul", "an extent beyond " + std::to_string(kMaxExtent) +
                                   ": the BLAS counts no further");
  }
  if (g.k > 1 && (g.m == 1 || g.n == 1)) return matrix_vector(g, a, b, c);
  const Product<T> p{g.m,
                     g.n,
                     g.k,
                     g.transpose_a,
                     g.transpose_b,
                     a,
                     g.transpose_a ? g.m : g.k,
                     b,
                     g.transpose_b ? g.k : g.n,
                     c,
                     g.n,
                     static_cast<T>(g.alpha),
                     static_cast<T>(g.beta)};
  if (g.k == 1) return outer(p);
  product(p);
}

}  // namespace

void gemm(const Gemm& g, const float* a, const float* b, float* c) { multiply(g, a, b, c); }
void gemm(const Gemm& g, const double* a, const double* b, double* c) { multiply(g, a, b, c); }

}  // namespace xtape::kernels
