#include <cmath>

#include "support.hpp"

// Linear algebra beyond what the registry's samples and the conformance corpus show: the values
// that define a decomposition, singular cases, and errors.
namespace xtape {
namespace {

Tensor drawn(const Shape& shape, std::uint64_t seed) {
  Rng rng(seed);
  return rng.uniform(shape, -1, 1, f64);
}

double distance(const Var& a, const Var& b) { return max(abs(a - b)).item(); }

Var eye(std::int64_t n) { return diag_embed(Tensor::ones({n}, f64)); }
Var transposed(const Var& x) { return swapaxes(x, -2, -1); }

}  // namespace

TEST_CASE("decompositions put together are the matrix", "[linalg]") {
  for (const Shape& shape : {Shape{5, 5}, Shape{7, 4}, Shape{4, 7}, Shape{3, 1, 6, 5}}) {
    const Var a = drawn(shape, 1);
    CAPTURE(shape.str());
    const QR f = qr(a);
    CHECK(distance(matmul(f.q, f.r), a) < 1e-14);
    CHECK(distance(f.r, triu(f.r)) == 0);
    const std::int64_t k = std::min(shape[shape.rank() - 1], shape[shape.rank() - 2]);
    CHECK(distance(matmul(transposed(f.q), f.q), eye(k)) < 1e-14);
    const SVD s = svd(a);
    CHECK(distance(matmul(s.u * unsqueeze(s.s, -2), s.vh), a) < 1e-14);
    CHECK(distance(matmul(transposed(s.u), s.u), eye(k)) < 1e-14);
    CHECK(distance(s.s, sort(s.s, -1, true).values) == 0);
    const Var y = pseudoinverse(a);
    CHECK(distance(matmul(matmul(a, y), a), a) < 1e-13);
    CHECK(distance(matmul(matmul(y, a), y), y) < 1e-12);
  }
  const Var a = drawn({3, 40, 40}, 2);
  const Var symmetric = a + transposed(a), definite = matmul(a, transposed(a)) + eye(40);
  const Eigen e = eigh(symmetric);
  CHECK(distance(matmul(symmetric, e.vectors), e.vectors * unsqueeze(e.values, -2)) < 1e-12);
  CHECK(distance(e.values, sort(e.values).values) == 0);
  CHECK(distance(eigvalsh(symmetric), e.values) == 0);
  const Var l = cholesky(definite);
  CHECK(distance(matmul(l, transposed(l)), definite) < 1e-12);
  CHECK(distance(l, tril(l)) == 0);
  CHECK(distance(cholesky(definite, true), transposed(l)) == 0);
  CHECK(distance(matmul(definite, cholesky_inverse(l)), eye(40)) < 1e-12);
  CHECK(distance(matmul(a, inverse(a)), eye(40)) < 1e-10);
  CHECK(distance(matmul(a, solve(a, a)), a) < 1e-10);
  CHECK(distance(log(det(definite)), slogdet(definite).log) < 1e-12);
}

TEST_CASE("triangular systems by every option", "[linalg]") {
  const Var a = drawn({4, 4}, 3) + 2 * eye(4), b = drawn({4, 4}, 4);
  for (const bool upper : {false, true}) {
    for (const bool unit : {false, true}) {
      for (const bool transpose : {false, true}) {
        for (const bool left : {false, true}) {
          Var whole = upper ? triu(a) : tril(a);
          if (unit) whole = whole - diag_embed(diagonal(whole)) + eye(4);
          if (transpose) whole = transposed(whole);
          const Var x = solve_triangular(a, b, {upper, unit, transpose, left});
          CHECK(distance(left ? matmul(whole, x) : matmul(x, whole), b) < 1e-13);
        }
      }
    }
  }
}

TEST_CASE("the determinant is a polynomial, at singular matrices, too", "[linalg][kinks]") {
  // Rank 2 of 3: the gradient is the matrix of cofactors, the second derivatives theirs.
  const Tensor singular{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
  Tape tape;
  const Var a = tape.variable(singular);
  const Tensor g = tape.gradient(det(a), a);
  CHECK(distance(g, Tensor{{-3, 6, -3}, {6, -12, 6}, {-3, 6, -3}}) < 1e-12);
  CHECK(gradcheck([](const Var& x) { return det(x); }, {singular}, {.order = 2}).ok());
  // Rank 1: the gradient is 0, its derivative not.
  const Tensor rank1{{1, 2, 3}, {2, 4, 6}, {3, 6, 9.}};
  CHECK(distance(cofactors(rank1), Tensor::zeros({3, 3}, f64)) < 1e-12);
  const GradcheckReport r = gradcheck([](const Var& x) { return cofactors(x); },
                                      {Tensor{{1, 0, 0}, {0, 2, 0}, {0, 0, 0.}}});
  CHECK(r.ok());
  const Tensor large = drawn({30, 30}, 5);
  CHECK(distance(cofactors(large) / det(large), transposed(inverse(large))) < 1e-9);
  // Overflow is what slogdet is for.
  CHECK(slogdet(-1e200 * eye(3)).log.item() == Approx(3 * 200 * std::log(10.)));
  CHECK(slogdet(-1e200 * eye(3)).sign.item() == -1);
  CHECK(slogdet(Tensor::zeros({2, 2}, f64)).sign.item() == 0);
  CHECK(slogdet(Tensor::zeros({2, 2}, f64)).log.item() == -HUGE_VAL);
  CHECK(std::isnan(logdet(-1 * eye(3)).item()));
  CHECK(det(Tensor::zeros({0, 0}, f64)).item() == 1);
}

TEST_CASE("eigenvalues and singular values that are equal have gradients", "[linalg][kinks]") {
  Tape tape;
  const Var a = tape.variable((2 * eye(3)).value());
  const Tensor g = tape.gradient(sum(square(eigvalsh(a))), a, {.keep_tape = true});
  CHECK(distance(g, 4 * eye(3)) < 1e-14);
  CHECK(distance(tape.gradient(sum(singular_values(a)), a), eye(3)) < 1e-14);
  // By the vectors there is none, and that is not hidden.
  Tape another;
  const Var b = another.variable((2 * eye(2)).value());
  const Var w = Tensor{{1, 2}, {3, 4}};
  const Tensor none = another.gradient(sum(eigh(b).vectors * w), b);
  CHECK_FALSE(std::isfinite(none.at({0, 1})));
  // What does not depend on the triangle that LAPACK reads.
  const Tensor skewed{{2, 1}, {0, 2.}}, even{{2, 0.5}, {0.5, 2}};
  CHECK(distance(eigvalsh(skewed), eigvalsh(even)) == 0);
  CHECK(distance(cholesky(skewed), cholesky(even)) == 0);
}

TEST_CASE("functions of matrices against known values", "[linalg]") {
  const double t = 0.7;
  const Tensor rotation = matrix_exp(Tensor{{0, -t}, {t, 0}}).value();
  CHECK(distance(rotation, Tensor{{std::cos(t), -std::sin(t)}, {std::sin(t), std::cos(t)}}) <
        1e-15);
  const Tensor nilpotent{{0, 1e3, 0}, {0, 0, 1e3}, {0, 0, 0.}};
  CHECK(distance(matrix_exp(nilpotent), Tensor{{1, 1e3, 5e5}, {0, 1, 1e3}, {0, 0, 1}}) <
        1e-11 * 5e5);
  CHECK(distance(matrix_exp(diag_embed(Tensor{-30, 1, 3})),
                 diag_embed(Tensor{std::exp(-30), std::exp(1), std::exp(3)})) < 1e-13);
  CHECK(std::isnan(matrix_exp(Tensor{{NAN, 0}, {0, 0}}).value().at({0, 0})));
  const Var a = drawn({3, 3}, 6) + 2 * eye(3);
  CHECK(distance(matrix_power(a, 5), matmul(a, matmul(a, matmul(a, matmul(a, a))))) < 1e-11);
  CHECK(distance(matmul(matrix_power(a, -2), matmul(a, a)), eye(3)) < 1e-13);
  const Tensor m{{3, 0}, {0, -4}};
  CHECK(matrix_norm(m, MatrixNorm::nuclear).item() == Approx(7));
  CHECK(matrix_norm(m, MatrixNorm::spectral).item() == Approx(4));
  CHECK(matrix_norm(m, MatrixNorm::smallest_singular_value).item() == Approx(3));
  CHECK(distance(vander(Tensor{2, 3}, 3), Tensor{{1, 2, 4}, {1, 3, 9}}) == 0);
  CHECK(distance(cov(Tensor{{1, 2, 3}, {1, 2, 6}}), Tensor{{1, 2.5}, {2.5, 7}}) < 1e-14);
  // An overdetermined and an underdetermined system.
  CHECK(distance(least_squares(Tensor{{1, 0}, {1, 1}, {1, 2}}, Tensor{1, 2, 3}), Tensor{1, 1}) <
        1e-14);
  CHECK(distance(least_squares(Tensor{{3, 4.}}, Tensor{{5.}}), Tensor{{0.6}, {0.8}}) < 1e-14);
}

TEST_CASE("linear algebra refuses by place and shape", "[linalg]") {
  Tensor batch = drawn({2, 3, 2, 2}, 7);
  std::fill_n(batch.mutable_data<double>() + 4 * 4, 4, 0.);
  REQUIRE_ERROR(inverse(batch), ValueError,
                "[inverse] matrix (1, 1) of shape (2, 3, 2, 2) is singular");
  REQUIRE_ERROR(solve(batch, batch), ValueError, "[solve] matrix (1, 1)");
  REQUIRE_ERROR(solve_triangular(batch, batch), ValueError, "element 1 of its diagonal is 0");
  REQUIRE_ERROR(cholesky(-1 * eye(2)), ValueError,
                "[cholesky] the matrix of shape (2, 2) is not positive definite: its leading minor "
                "of order 1");
  REQUIRE_ERROR(eigh(Tensor{{1, NAN}, {NAN, 1}}), ValueError, "not finite");
  REQUIRE_ERROR(svd(Tensor{{1, INFINITY}}), ValueError, "not finite");
  REQUIRE_ERROR(pseudoinverse(Tensor{{1, NAN}}), ValueError, "not finite");
  REQUIRE_ERROR(inverse(Tensor{1, 2}), ShapeError, "[inverse] shape (2,): takes matrices");
  REQUIRE_ERROR(det(drawn({2, 3}, 1)), ShapeError,
                "[det] shape (2, 3): takes square matrices, 2 ≠ 3");
  REQUIRE_ERROR(solve(eye(2), drawn({3, 1}, 1)), ShapeError, "[solve] shapes (2, 2) and (3, 1)");
  REQUIRE_ERROR(inverse(Tensor::arange(4).reshape({2, 2})), DTypeError,
                "[inverse] operand i64(2, 2)");
  REQUIRE_ERROR(solve(eye(2), Tensor({1, 2}, f32)), DTypeError, "f64(2, 2) and f32(2, 1)");
  REQUIRE_ERROR(matrix_power(drawn({2, 3}, 1), 2), ShapeError, "[matrix_power]");
  REQUIRE_ERROR(pseudoinverse(batch, Tensor{1, 2}), ShapeError, "one for all, or one for each");
  REQUIRE_ERROR(tensorinv(drawn({2, 3}, 1), 1), ShapeError, "a map of 3 elements to 2");
  REQUIRE_ERROR(tensorsolve(eye(2), eye(2)), ShapeError, "more axes than b");
  REQUIRE_ERROR(cov(drawn({2, 2, 2}, 1)), ShapeError, "[cov]");
  REQUIRE_ERROR(cov(drawn({2, 3}, 1), {.weights = Tensor{1, 2}}), ShapeError,
                "weights of shape (2,)");
}

TEST_CASE("batches of matrices do not depend on the number of threads", "[linalg][threads]") {
  const Tensor a = drawn({64, 40, 40}, 8);
  const int before = num_threads();
  set_num_threads(1);
  const Tensor one = inverse(a).value(), values = singular_values(a).value();
  set_num_threads(4);
  CHECK(identical(inverse(a).value(), one));
  CHECK(identical(singular_values(a).value(), values));
  set_num_threads(before);
}

}  // namespace xtape
