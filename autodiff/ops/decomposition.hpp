#pragma once

#include <optional>

#include <xtape/autodiff/var.hpp>

// Linear algebra: systems, inverses, determinants, decompositions and functions of matrices. The
// last two axes are the matrix, leading axes a batch. All take f32 or f64 (DTypeError) of rank 2 or
// more, square where that is said (ShapeError), and throw ValueError naming the matrix of the batch
// where the result does not exist. Decompositions are LAPACK's.
namespace xtape {

// --- Systems and inverses ----------------------------------------------------------------------

/// a⁻¹ of square matrices. ā = −yᵀ ȳ yᵀ. @throws ValueError for a singular matrix.
Var inverse(const Var& a);
/// x with a x = b, for a vector b, or matrices b of which each column is one; batches broadcast. b
/// is a vector, or a batch of vectors, when its rank is one less than that of a and its shape that
/// of a without the last axis. b̄ = a⁻ᵀ x̄, ā = −b̄ xᵀ.
/// @throws ValueError for a singular matrix.
Var solve(const Var& a, const Var& b);

/// How solve_triangular() reads its matrix.
struct TriangularOptions {
  bool upper = false;          ///< The upper triangle; the other one is not read.
  bool unit_diagonal = false;  ///< The diagonal counts as ones, and is not read.
  bool transposed = false;     ///< Solves with aᵀ.
  bool left = true;            ///< a x = b; otherwise x a = b.
};
/// x with a x = b for triangular matrices a; batches broadcast. The gradient is that of the
/// triangle which is read. @throws ValueError for a 0 on the diagonal.
Var solve_triangular(const Var& a, const Var& b, const TriangularOptions& options = {});

/// The x of least norm among those with the least ‖a x − b‖₂: pseudoinverse(a) b.
Var least_squares(const Var& a, const Var& b);
/// The Moore–Penrose inverse a⁺ (n × m) of m × n matrices: singular values up to `cutoff` times the
/// largest count as 0; by default max(m, n)·ε. One cutoff for all, or one for each matrix.
/// The gradient takes the rank as constant: Golub, Pereyra, The differentiation of pseudo-inverses
/// (1973). @throws ValueError for elements that are not finite.
Var pseudoinverse(const Var& a, const Var& cutoff = {});

// --- Determinants ------------------------------------------------------------------------------

/// det a. ā = ȳ cofactors(a), also where a is singular.
Var det(const Var& a);
/// det(a) a⁻ᵀ without division: the matrix of cofactors. Its gradient exists at singular matrices,
/// too, and is right there; second order needs different singular values (det itself does not).
Var cofactors(const Var& a);
/// A determinant as sign·e^log.
struct SignedLog {
  Var sign;  ///< 1, 0 or −1; its gradient is 0.
  Var log;   ///< ln |det a|.
};
/// Determinants that neither overflow nor vanish: (0, −∞) for a singular matrix. ā of the logarithm
/// is ȳ a⁻ᵀ.
SignedLog slogdet(const Var& a);
/// ln det a; NaN where det a is negative.
Var logdet(const Var& a);

// --- Decompositions ----------------------------------------------------------------------------

/// The lower L with L Lᵀ = (a + aᵀ)/2, of positive-definite matrices (or Lᵀ with `upper`).
/// ā = sym(L⁻ᵀ Φ(Lᵀ L̄) L⁻¹), Φ the lower triangle with half the diagonal: Murray, Differentiation
/// of the Cholesky decomposition (2016). @throws ValueError unless positive definite.
Var cholesky(const Var& a, bool upper = false);
/// x with (L Lᵀ) x = b, of the factor L (or Lᵀ, with `upper`) by cholesky().
Var cholesky_solve(const Var& b, const Var& factor, bool upper = false);
/// (L Lᵀ)⁻¹, of the factor L (or Lᵀ, with `upper`) by cholesky().
Var cholesky_inverse(const Var& factor, bool upper = false);

/// The factors of qr(), k = min(m, n).
struct QR {
  Var q;  ///< m × k, with orthonormal columns.
  Var r;  ///< k × n, upper triangular.
};
/// a = q r by Householder reflections (the diagonal of r may be negative). The gradient needs the
/// first k columns to be independent: Walter, Lehmann, Algorithmic differentiation of linear
/// algebra functions (2010). Where they are not, the gradient throws ValueError or is as large as
/// rounding makes it.
QR qr(const Var& a);

/// The result of eigh().
struct Eigen {
  Var values;   ///< n, in ascending order.
  Var vectors;  ///< n × n: unit eigenvectors in its columns.
};
/// Of (a + aᵀ)/2. The gradient by the vectors is infinite where eigenvalues are equal, and without
/// meaning for functions that depend on the sign of a vector; by the values it always exists
/// at first order (at second order it is NaN there).
/// Giles, Collected matrix derivative results (2008). @throws ValueError for elements that are not
/// finite.
Eigen eigh(const Var& a);
/// The eigenvalues alone. ā = V diag(ȳ) Vᵀ.
Var eigvalsh(const Var& a);

/// The factors of svd(), k = min(m, n).
struct SVD {
  Var u;   ///< m × k, with orthonormal columns.
  Var s;   ///< k, in descending order.
  Var vh;  ///< k × n, with orthonormal rows.
};
/// a = u diag(s) vh: singular values and vectors. Gradients by u and vh as for eigh(), also
/// infinite at s = 0 where a is not square; by s they always exist at first order. @throws
/// ValueError for elements that are not finite.
SVD svd(const Var& a);
/// The singular values alone. ā = u diag(ȳ) vh.
Var singular_values(const Var& a);

// --- Functions of matrices ---------------------------------------------------------------------

/// e^a = Σ aᵏ/k! of square matrices, by scaling, squaring and a Padé approximant (Higham 2005), in
/// double. ā is the upper right block of e^[aᵀ ȳ; 0 aᵀ] (Van Loan 1978).
Var matrix_exp(const Var& a);
/// aⁿ, of the inverse for negative n, by repeated squaring.
Var matrix_power(const Var& a, std::int64_t n);
/// The inverse of x as a linear map from its last axes to its first `first` ones.
/// @throws ShapeError when these have different sizes.
Var tensorinv(const Var& x, std::int64_t first = 2);
/// x with tensordot(a, x) = b over all axes of x; `axes` of a are first moved to its end.
Var tensorsolve(const Var& a, const Var& b, const Axes& axes = {});
/// y[…, i, j] = x[…, i]ʲ for j < n, by default as many as x has elements.
Var vander(const Var& x, std::optional<std::int64_t> n = {});

// --- Statistics of several variables -----------------------------------------------------------

/// How cov() counts observations.
struct CovOptions {
  double correction = 1;  ///< Subtracted from the number of observations.
  Var frequencies = {};   ///< How often each observation was made.
  Var weights = {};       ///< How much each counts.
};
/// Covariances of variables (rows) over observations (columns); a vector is one variable, whose
/// variance has shape (). @throws ShapeError above rank 2.
Var cov(const Var& x, const CovOptions& options = {});
/// cov[i, j] / √(cov[i, i] cov[j, j]).
Var corrcoef(const Var& x);

}  // namespace xtape
