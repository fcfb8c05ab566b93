#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <vector>
#include <xtensor-blas/xblas_config.hpp>

// After the line above, which says that there is a CBLAS. (The first of these has the ASSERT of the
// second.)
#include <xflens/cxxblas/cxxblas.cxx>
#include <xflens/cxxlapack/cxxlapack.cxx>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/kernels/gemm_backend.hpp>
#include <xtape/autodiff/kernels/lapack.hpp>
#include <xtape/autodiff/kernels/scratch.hpp>

namespace xtape::kernels::lapack {
namespace {

using Int = int;  // LAPACK's INTEGER

Int extent(std::int64_t n) {
  if (n <= std::numeric_limits<Int>::max()) return static_cast<Int>(n);
  throw ValueError("LAPACK", "a matrix with an axis of " + std::to_string(n) +
                                 " elements: it counts with 32 bits");
}

// LAPACK refuses a leading dimension of 0.
Int leading(std::int64_t n) { return std::max<Int>(1, extent(n)); }

template <class T>
void copy(const T* a, std::int64_t n, T* out) {
  if (n > 0) std::memcpy(out, a, static_cast<std::size_t>(n) * sizeof(T));
}

// out (n × m) = aᵀ.
template <class T>
void transposed_copy(const T* a, std::int64_t m, std::int64_t n, T* out) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) out[j * m + i] = a[i * n + j];
  }
}

template <class T>
bool symmetric_part(const T* a, std::int64_t n, T* out) {
  bool finite = true;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const T mean = a[i * n + j] / 2 + a[j * n + i] / 2;
      out[i * n + j] = out[j * n + i] = mean;
      finite = finite && std::isfinite(mean);
    }
  }
  return finite;
}

template <class T>
bool all_finite(const T* a, std::int64_t n) {
  return std::all_of(a, a + n, [](T x) { return std::isfinite(x); });
}

// Calls f(work, size) twice: with size −1, to hear how much memory it wants, and with that.
template <class T, class F>
Int with_workspace(const F& f) {
  T wish = 0;
  f(&wish, Int{-1});
  // f32 rounds large sizes: up.
  const auto size = std::max<Int>(1, static_cast<Int>(std::nextafter(wish, wish + wish)));
  const Scratch<T> work(size);
  return f(work.data(), size);
}

constexpr Int kNotFinite = -100;

}  // namespace

void prepare() { prepare_blas(); }

// LAPACK inverts aᵀ; the inverse of the transpose is the transpose of the inverse.
template <class T>
int inverse(const T* a, std::int64_t n, T* out) {
  copy(a, n * n, out);
  const Scratch<Int> pivots(n);
  const Int info = cxxlapack::getrf<Int>(extent(n), extent(n), out, leading(n), pivots.data());
  if (info != 0) return info;
  return with_workspace<T>([&](T* work, Int size) {
    return cxxlapack::getri<Int>(extent(n), out, leading(n), pivots.data(), work, size);
  });
}

template <class T>
int solve(const T* a, const T* b, std::int64_t n, std::int64_t k, bool transposed, T* x) {
  const Scratch<T> lu(n * n), columns(n * k);
  const Scratch<Int> pivots(n);
  copy(a, n * n, lu.data());
  transposed_copy(b, n, k, columns.data());
  const Int info =
      cxxlapack::getrf<Int>(extent(n), extent(n), lu.data(), leading(n), pivots.data());
  if (info != 0) return info;
  cxxlapack::getrs<Int>(transposed ? 'N' : 'T', extent(n), extent(k), lu.data(), leading(n),
                        pivots.data(), columns.data(), leading(n));
  transposed_copy(columns.data(), k, n, x);
  return 0;
}

// In columns: xᵀ op(a)ᵀ = bᵀ, with a as its transpose and so with the other triangle.
template <class T>
int solve_triangular(const T* a, const T* b, std::int64_t n, std::int64_t k, const Triangle& t,
                     T* x) {
  for (std::int64_t i = 0; i < n && !t.unit_diagonal; ++i) {
    if (a[i * n + i] == 0) return static_cast<int>(i + 1);
  }
  copy(b, n * k, x);
  if (n == 0 || k == 0) return 0;
  cxxblas::trsm<Int>(cxxblas::ColMajor, cxxblas::Right, t.upper ? cxxblas::Lower : cxxblas::Upper,
                     t.transposed ? cxxblas::Trans : cxxblas::NoTrans,
                     t.unit_diagonal ? cxxblas::Unit : cxxblas::NonUnit, extent(k), extent(n), T(1),
                     a, leading(n), x, leading(k));
  return 0;
}

template <class T>
void signed_log_det(const T* a, std::int64_t n, T* out) {
  const Scratch<T> lu(n * n);
  const Scratch<Int> pivots(n);
  copy(a, n * n, lu.data());
  const Int info =
      cxxlapack::getrf<Int>(extent(n), extent(n), lu.data(), leading(n), pivots.data());
  double sign = 1, log = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto u = static_cast<double>(lu.data()[i * n + i]);
    if ((u < 0) != (pivots.data()[i] != i + 1)) sign = -sign;
    log += std::log(std::abs(u));
  }
  out[0] = info > 0 ? T(0) : static_cast<T>(std::isnan(log) ? log : sign);
  out[1] = info > 0 ? -std::numeric_limits<T>::infinity() : static_cast<T>(log);
}

// The upper triangle in columns is the lower one in rows.
template <class T>
int cholesky(const T* a, std::int64_t n, T* out) {
  symmetric_part(a, n, out);
  Int info = cxxlapack::potrf<Int>('U', extent(n), out, leading(n));
  for (Int i = 0; info == 0 && i < n; ++i) {  // OpenBLAS takes the root of NaN
    if (!std::isfinite(out[i * n + i])) info = i + 1;
  }
  for (std::int64_t i = 0; i < n; ++i) std::fill(out + i * n + i + 1, out + (i + 1) * n, T(0));
  return info;
}

template <class T>
int eigh(const T* a, std::int64_t n, T* out) {
  const Scratch<T> vectors(n * n), values(n);
  if (!symmetric_part(a, n, vectors.data())) return kNotFinite;
  const Scratch<Int> integers(5 * n + 3);
  const Int info = with_workspace<T>([&](T* work, Int size) {
    return cxxlapack::syevd<Int>('V', 'U', extent(n), vectors.data(), leading(n), values.data(),
                                 work, size, integers.data(), size < 0 ? size : extent(5 * n + 3));
  });
  for (std::int64_t i = 0; i < n; ++i) {
    out[i * (n + 1)] = values.data()[i];
    copy(vectors.data() + i * n, n, out + i * (n + 1) + 1);
  }
  return info;
}

// In columns aᵀ = V S Uᵀ: LAPACK's left vectors are the right ones of a, one after the other; its
// right ones are the rows of U.
template <class T>
int svd(const T* a, std::int64_t m, std::int64_t n, T* out) {
  const std::int64_t k = std::min(m, n), row = m + 1 + n;
  if (k == 0) return 0;
  if (!all_finite(a, m * n)) return kNotFinite;
  const Scratch<T> input(m * n), right(n * k), left(m * k), values(k);
  const Scratch<Int> integers(8 * k);
  copy(a, m * n, input.data());
  const Int info = with_workspace<T>([&](T* work, Int size) {
    return cxxlapack::gesdd<Int>('S', extent(n), extent(m), input.data(), leading(n), values.data(),
                                 right.data(), leading(n), left.data(), leading(k), work, size,
                                 integers.data());
  });
  for (std::int64_t i = 0; i < k; ++i) {
    for (std::int64_t j = 0; j < m; ++j) out[i * row + j] = left.data()[j * k + i];
    out[i * row + m] = values.data()[i];
    copy(right.data() + i * n, n, out + i * row + m + 1);
  }
  return info;
}

template <class T>
void qr(const T* a, std::int64_t m, std::int64_t n, T* out) {
  const std::int64_t k = std::min(m, n), row = m + n;
  if (k == 0) return;
  const Scratch<T> columns(m * n), tau(k);
  transposed_copy(a, m, n, columns.data());
  with_workspace<T>([&](T* work, Int size) {
    return cxxlapack::geqrf<Int>(extent(m), extent(n), columns.data(), leading(m), tau.data(), work,
                                 size);
  });
  for (std::int64_t i = 0; i < k; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      out[i * row + m + j] = j < i ? T(0) : columns.data()[j * m + i];
    }
  }
  with_workspace<T>([&](T* work, Int size) {
    return cxxlapack::orgqr<Int>(extent(m), extent(k), extent(k), columns.data(), leading(m),
                                 tau.data(), work, size);
  });
  for (std::int64_t i = 0; i < k; ++i) copy(columns.data() + i * m, m, out + i * row);
}

#define XTAPE_LAPACK(T)                                                                          \
  template int inverse(const T*, std::int64_t, T*);                                              \
  template int solve(const T*, const T*, std::int64_t, std::int64_t, bool, T*);                  \
  template int solve_triangular(const T*, const T*, std::int64_t, std::int64_t, const Triangle&, \
                                T*);                                                             \
  template void signed_log_det(const T*, std::int64_t, T*);                                      \
  template int cholesky(const T*, std::int64_t, T*);                                             \
  template int eigh(const T*, std::int64_t, T*);                                                 \
  template int svd(const T*, std::int64_t, std::int64_t, T*);                                    \
  template void qr(const T*, std::int64_t, std::int64_t, T*);
XTAPE_LAPACK(float)
XTAPE_LAPACK(double)
#undef XTAPE_LAPACK

}  // namespace xtape::kernels::lapack
