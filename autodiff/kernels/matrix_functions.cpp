#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/lapack.hpp>
#include <xtape/autodiff/kernels/scratch.hpp>

// Functions of one matrix, from its decompositions.
namespace xtape::kernels::lapack {
namespace {

// The rows of svd().
template <class T>
struct Triples {
  std::int64_t m, n, k;
  Scratch<T> rows;
  int info;
  Triples(const T* a, std::int64_t m_, std::int64_t n_)
      : m(m_),
        n(n_),
        k(std::min(m_, n_)),
        rows(k * (m_ + 1 + n_)),
        info(svd(a, m_, n_, rows.data())) {}
  const T* left(std::int64_t i) const { return rows.data() + i * (m + 1 + n); }
  T value(std::int64_t i) const { return left(i)[m]; }
  const T* right(std::int64_t i) const { return left(i) + m + 1; }
};

// out += w x yᵀ.
template <class T>
void add_outer(T w, const T* x, std::int64_t m, const T* y, std::int64_t n, T* out) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) out[i * n + j] += w * x[i] * y[j];
  }
}

// The sign of the determinant of U Vᵀ, both orthogonal.
template <class T>
T orientation(const Triples<T>& t) {
  const std::int64_t n = t.n;
  const Scratch<T> product(n * n);
  std::fill_n(product.data(), n * n, T(0));
  for (std::int64_t i = 0; i < n; ++i) add_outer(T(1), t.left(i), n, t.right(i), n, product.data());
  T sign[2];
  signed_log_det(product.data(), n, sign);
  return sign[0];
}

// y (n × n) = α a + β y, and the product of two such matrices.
void scale_add(double alpha, const double* a, double beta, double* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n * n; ++i) y[i] = alpha * a[i] + beta * y[i];
}
void multiply(const double* a, const double* b, double* c, std::int64_t n) {
  gemm({n, n, n, false, false}, a, b, c);
}
void add_identity(double alpha, double* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i * n + i] += alpha;
}

double one_norm(const double* a, std::int64_t n) {
  double norm = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::abs(a[i * n + j]);
    if (!(sum <= norm)) norm = sum;  // also NaN
  }
  return norm;
}

// The [13/13] Padé approximant p(a)/p(−a), exact to double precision for ‖a‖₁ ≤ 5.37.
// Higham, The scaling and squaring method for the matrix exponential revisited (2005), table 2.3.
void pade13(const double* a, std::int64_t n, double* out) {
  static constexpr double b[] = {64764752532480000.,
                                 32382376266240000.,
                                 7771770303897600.,
                                 1187353796428800.,
                                 129060195264000.,
                                 10559470521600.,
                                 670442572800.,
                                 33522128640.,
                                 1323241920.,
                                 40840800.,
                                 960960.,
                                 16380.,
                                 182.,
                                 1.};
  const std::int64_t size = n * n;
  const Scratch<double> a2(size), a4(size), a6(size), u(size), v(size), t(size);
  multiply(a, a, a2.data(), n);
  multiply(a2.data(), a2.data(), a4.data(), n);
  multiply(a4.data(), a2.data(), a6.data(), n);
  // Σ of even (at 0) or odd (at 1) powers of a, without the last factor a of the odd ones.
  const auto half = [&](int at, double* sum) {
    for (std::int64_t i = 0; i < size; ++i) {
      t.data()[i] =
          b[12 + at] * a6.data()[i] + b[10 + at] * a4.data()[i] + b[8 + at] * a2.data()[i];
    }
    multiply(a6.data(), t.data(), sum, n);
    for (std::int64_t i = 0; i < size; ++i) {
      sum[i] += b[6 + at] * a6.data()[i] + b[4 + at] * a4.data()[i] + b[2 + at] * a2.data()[i];
    }
    add_identity(b[at], sum, n);
  };
  half(1, out);
  multiply(a, out, u.data(), n);
  half(0, v.data());
  scale_add(1, v.data(), 0, t.data(), n);
  scale_add(1, u.data(), 1, t.data(), n);   // v + u
  scale_add(-1, u.data(), 1, v.data(), n);  // v − u
  solve(v.data(), t.data(), n, n, false, out);
}

void exponential(double* a, std::int64_t n, double* out) {
  const double norm = one_norm(a, n);
  if (!std::isfinite(norm)) {
    std::fill_n(out, n * n, std::numeric_limits<double>::quiet_NaN());
    return;
  }
  int squarings = 0;
  std::frexp(norm / 5.371920351148152, &squarings);
  squarings = std::max(0, squarings);
  scale_add(std::ldexp(1., -squarings), a, 0, a, n);
  pade13(a, n, out);
  const Scratch<double> t(n * n);
  for (int i = 0; i < squarings; ++i) {
    multiply(out, out, t.data(), n);
    std::copy_n(t.data(), n * n, out);
  }
}

}  // namespace

// det(a) a⁻ᵀ = σ Σᵢ (Πⱼ≠ᵢ sⱼ) uᵢ vᵢᵀ, σ the sign of det(U Vᵀ): no division by what may be 0.
template <class T>
int cofactors(const T* a, std::int64_t n, T* out) {
  std::fill_n(out, n * n, T(0));
  const Triples<T> t(a, n, n);
  if (t.info != 0) return t.info;
  const T sign = orientation(t);
  for (std::int64_t i = 0; i < n; ++i) {
    T others = sign;
    for (std::int64_t j = 0; j < n; ++j) others *= j == i ? T(1) : t.value(j);
    add_outer(others, t.left(i), n, t.right(i), n, out);
  }
  return 0;
}

template <class T>
int pseudoinverse(const T* a, std::int64_t m, std::int64_t n, double cutoff, T* out) {
  std::fill_n(out, n * m, T(0));
  if (!(cutoff >= 0)) return kBadCutoff;
  const Triples<T> t(a, m, n);
  if (t.info != 0) return t.info;
  for (std::int64_t i = 0; i < t.k; ++i) {
    if (static_cast<double>(t.value(i)) <= cutoff * static_cast<double>(t.value(0))) continue;
    add_outer(1 / t.value(i), t.right(i), n, t.left(i), m, out);
  }
  return 0;
}

template <class T>
void matrix_exp(const T* a, std::int64_t n, T* out) {
  const Scratch<double> input(n * n);
  std::copy_n(a, n * n, input.data());
  if constexpr (std::is_same_v<T, double>) {
    exponential(input.data(), n, out);
  } else {
    const Scratch<double> wide(n * n);
    exponential(input.data(), n, wide.data());
    std::transform(wide.data(), wide.data() + n * n, out,
                   [](double x) { return static_cast<T>(x); });
  }
}

#define XTAPE_MATRIX_FUNCTIONS(T)                                               \
  template int cofactors(const T*, std::int64_t, T*);                           \
  template int pseudoinverse(const T*, std::int64_t, std::int64_t, double, T*); \
  template void matrix_exp(const T*, std::int64_t, T*);
XTAPE_MATRIX_FUNCTIONS(float)
XTAPE_MATRIX_FUNCTIONS(double)
#undef XTAPE_MATRIX_FUNCTIONS

}  // namespace xtape::kernels::lapack
