#include "adapters.hpp"

// Family linalg of the corpus, and what of others needs decompositions.
namespace xtape::conformance {
namespace {

using List = std::vector<Var>;

Adapter of(const char* name, Var (*f)(const Var&)) {
  return [=](const Call& c) { return List{f(c.operand(name))}; };
}

List solve_triangular_of(const Call& c) {
  return {solve_triangular(c.operand("input"), c.operand("B"),
                           {.upper = c.flag("upper"),
                            .unit_diagonal = c.flag("unitriangular"),
                            .left = c.flag("left", true)})};
}

List cov_of(const Call& c) {
  CovOptions o{.correction = c.number("correction", 1)};
  if (c.has("fweights")) o.frequencies = c.operand("fweights");
  if (c.has("aweights")) o.weights = c.operand("aweights");
  return {cov(c.operand("input"), o)};
}

MatrixNorm kind_of(const Call& c) {
  const auto& ord = c.raw("ord");
  if (ord.is_string()) return ord == "nuc" ? MatrixNorm::nuclear : MatrixNorm::frobenius;
  const double p = c.number("ord");
  if (std::isinf(p)) return p > 0 ? MatrixNorm::largest_row : MatrixNorm::smallest_row;
  if (p == 1) return MatrixNorm::largest_column;
  if (p == -1) return MatrixNorm::smallest_column;
  return p > 0 ? MatrixNorm::spectral : MatrixNorm::smallest_singular_value;
}

List matrix_norm_of(const Call& c) {
  const Axes axes = c.has("dim") ? c.axes("dim") : Axes{-2, -1};
  const MatrixNorm kind = c.has("ord") ? kind_of(c) : MatrixNorm::frobenius;
  return {matrix_norm(c.operand("input"), kind, axes, c.flag("keepdim"))};
}

// A number of dimensions, or an order, decides between vectors and matrices.
List norm_of(const Call& c) {
  const Var x = c.operand("input");
  const Axes axes = c.axes("dim");
  const bool matrix = axes.empty() ? x.rank() == 2 : axes.rank() == 2;
  if (c.has("ord") && (matrix || c.raw("ord").is_string())) return matrix_norm_of(c);
  return {vector_norm(x, c.has("ord") ? c.number("ord") : 2, axes, c.flag("keepdim"))};
}

}  // namespace

void add_linalg(Adapters& a) {
  a["linalg.inv"] = of("A", inverse);
  a["linalg.det"] = of("A", det);
  a["logdet"] = of("input", logdet);
  a["linalg.slogdet"] = [](const Call& c) {
    const SignedLog y = slogdet(c.operand("A"));
    return List{y.sign, y.log};
  };
  a["linalg.solve"] = [](const Call& c) { return List{solve(c.operand("A"), c.operand("B"))}; };
  a["linalg.solve_triangular"] = solve_triangular_of;
  a["linalg.lstsq.grad_oriented"] = [](const Call& c) {
    return List{least_squares(c.operand("A"), c.operand("B"))};
  };
  a["linalg.pinv"] = [](const Call& c) {
    return List{pseudoinverse(c.operand("input"), c.has("rtol") ? c.operand("rtol") : Var())};
  };
  a["linalg.cholesky"] = [](const Call& c) {
    return List{cholesky(c.operand("input"), c.flag("upper"))};
  };
  a["cholesky_solve"] = [](const Call& c) {
    return List{cholesky_solve(c.operand("input"), c.operand("input2"), c.flag("upper"))};
  };
  a["cholesky_inverse"] = [](const Call& c) {
    return List{cholesky_inverse(c.operand("input"), c.flag("upper"))};
  };
  a["linalg.qr"] = [](const Call& c) {
    const QR y = qr(c.operand("A"));
    return List{y.q, y.r};
  };
  a["linalg.eigvalsh"] = of("input", eigvalsh);
  a["linalg.svdvals"] = of("A", singular_values);
  a["matrix_exp"] = of("input", matrix_exp);
  a["linalg.matrix_power"] = [](const Call& c) {
    return List{matrix_power(c.operand("input"), c.integer("n"))};
  };
  a["linalg.tensorinv"] = [](const Call& c) {
    return List{tensorinv(c.operand("input"), c.integer("ind", 2))};
  };
  a["linalg.tensorsolve"] = [](const Call& c) {
    return List{tensorsolve(c.operand("input"), c.operand("other"), c.axes("dims"))};
  };
  a["linalg.vander"] = [](const Call& c) {
    const Var x = c.operand("x");
    return List{c.has("N") ? vander(x, c.integer("N")) : vander(x)};
  };
  a["cov"] = cov_of;
  a["corrcoef"] = of("input", corrcoef);
  a["linalg.matrix_norm"] = matrix_norm_of;
  a["linalg.norm"] = norm_of;
}

}  // namespace xtape::conformance
