#include <algorithm>
#include <complex>
#include <limits>
#include <string>
#include <xtensor-blas/xblas_config.hpp>

// Between the includes on purpose: what cxxblas is parsed without, it silently does without.
#ifndef HAVE_CBLAS
#error "without HAVE_CBLAS xtensor-blas uses a slow generic product instead of OpenBLAS"
#endif
#include <xflens/cxxblas/cxxblas.cxx>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/kernels/gemm.hpp>

namespace xtape::kernels {
namespace {

// Below this many multiply-adds a BLAS call costs more than the work.
constexpr std::int64_t kTiny = 512;

template <class T>
void tiny(const Gemm& g, const T* a, const T* b, T* c) {
  const std::int64_t ai = g.transpose_a ? 1 : g.k, ak = g.transpose_a ? g.m : 1;
  const std::int64_t bk = g.transpose_b ? 1 : g.n, bj = g.transpose_b ? g.k : 1;
  for (std::int64_t i = 0; i < g.m; ++i) {
    for (std::int64_t j = 0; j < g.n; ++j) {
      T sum = 0;
      for (std::int64_t p = 0; p < g.k; ++p) sum += a[i * ai + p * ak] * b[p * bk + j * bj];
      T& out = c[i * g.n + j];
      out = static_cast<T>(g.alpha) * sum + (g.beta == 0 ? T{0} : static_cast<T>(g.beta) * out);
    }
  }
}

// The product of a column and a row.
template <class T>
void outer(const Gemm& g, const T* a, const T* b, T* c) {
  for (std::int64_t i = 0; i < g.m; ++i, c += g.n) {
    const T x = a[i];
    run([x](T y) { return x * y; }, c, g.n, Run<T>{b});
  }
}

template <class T>
void multiply(const Gemm& g, const T* a, const T* b, T* c) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) {
    if (g.beta == 0) std::fill_n(c, g.m * g.n, T{0});
    return;
  }
  if (g.m * g.n * g.k <= kTiny) return tiny(g, a, b, c);
  if (std::max({g.m, g.n, g.k}) > std::numeric_limits<xt::blas_index_t>::max()) {
    throw ShapeError("matmul", "an extent beyond " +
                                   std::to_string(std::numeric_limits<xt::blas_index_t>::max()) +
                                   ": the BLAS counts no further");
  }
  const auto to_int = [](std::int64_t v) { return static_cast<xt::blas_index_t>(v); };
  if (g.k == 1 && g.alpha == 1 && g.beta == 0) return outer(g, a, b, c);
  if (g.m == 1 && g.alpha == 1 && g.beta == 0) {  // a row times a matrix
    const auto rows = to_int(g.transpose_b ? g.n : g.k),
               columns = to_int(g.transpose_b ? g.k : g.n);
    return cxxblas::gemv<xt::blas_index_t>(cxxblas::RowMajor,
                                           g.transpose_b ? cxxblas::NoTrans : cxxblas::Trans, rows,
                                           columns, T{1}, b, columns, a, 1, T{0}, c, 1);
  }
  cxxblas::gemm<xt::blas_index_t>(
      cxxblas::RowMajor, g.transpose_a ? cxxblas::Trans : cxxblas::NoTrans,
      g.transpose_b ? cxxblas::Trans : cxxblas::NoTrans, to_int(g.m), to_int(g.n), to_int(g.k),
      static_cast<T>(g.alpha), a, to_int(g.transpose_a ? g.m : g.k), b,
      to_int(g.transpose_b ? g.k : g.n), static_cast<T>(g.beta), c, to_int(g.n));
}

}  // namespace

void gemm(const Gemm& g, const float* a, const float* b, float* c) { multiply(g, a, b, c); }
void gemm(const Gemm& g, const double* a, const double* b, double* c) { multiply(g, a, b, c); }

}  // namespace xtape::kernels
