#pragma once

#include <cstdint>

// Decompositions of one matrix by LAPACK, through the cxxlapack layer of xtensor-blas. Matrices are
// row-major; LAPACK, which reads columns, sees their transposes, and each function says how that
// comes out right. T is float or double. Called from any thread.
namespace xtape::kernels::lapack {

/// LAPACK runs in the calling thread: batches are shared out by whoever calls.
void prepare();

/// out = a⁻¹. @returns 0, or k where pivot k (from 1) of the LU factorisation is 0.
template <class T>
int inverse(const T* a, std::int64_t n, T* out);

/// x with op(a) x = b, op(a) = aᵀ where `transposed`; b and x are n × k. @returns as inverse().
template <class T>
int solve(const T* a, const T* b, std::int64_t n, std::int64_t k, bool transposed, T* x);

/// Which triangle of a matrix is read, and how.
struct Triangle {
  bool upper = false;
  bool unit_diagonal = false;  ///< The diagonal counts as ones, and is not read.
  bool transposed = false;     ///< op(a) = aᵀ.
};
/// x with op(a) x = b. @returns 0, or k where element k (from 1) of the diagonal is 0.
template <class T>
int solve_triangular(const T* a, const T* b, std::int64_t n, std::int64_t k, const Triangle& t,
                     T* x);

/// out = (sign of det a, ln |det a|): (0, −∞) where a is singular.
template <class T>
void signed_log_det(const T* a, std::int64_t n, T* out);

/// out = the lower L with L Lᵀ = (a + aᵀ)/2. @returns 0, or k where the leading minor of order k is
/// not positive.
template <class T>
int cholesky(const T* a, std::int64_t n, T* out);

/// Row i of out: eigenvalue i of (a + aᵀ)/2, in ascending order, then its unit eigenvector.
/// @returns 0, or not where LAPACK gave up (also for elements that are not finite).
template <class T>
int eigh(const T* a, std::int64_t n, T* out);

/// Row i of out: the left singular vector of m elements, the singular value i, in descending order,
/// the right singular vector of n elements. @returns as eigh().
template <class T>
int svd(const T* a, std::int64_t m, std::int64_t n, T* out);

/// Row i of out: column i of Q, m elements, then row i of R, n elements.
template <class T>
void qr(const T* a, std::int64_t m, std::int64_t n, T* out);

/// out = det(a) a⁻ᵀ, the derivative of the determinant, also where a is singular. @returns as
/// svd().
template <class T>
int cofactors(const T* a, std::int64_t n, T* out);

/// out (n × m) = the pseudoinverse: singular values up to `cutoff` times the largest count as 0.
/// @returns as svd(), or kBadCutoff for one that is negative or NaN.
constexpr int kBadCutoff = -200;
template <class T>
int pseudoinverse(const T* a, std::int64_t m, std::int64_t n, double cutoff, T* out);

/// out = e^a. NaN where an element is not finite.
template <class T>
void matrix_exp(const T* a, std::int64_t n, T* out);

}  // namespace xtape::kernels::lapack
