#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/matrices.hpp>

// An op has one output: what a decomposition gives is packed into one array, a row for each vector,
// and the public functions slice it.
namespace xtape {
namespace {

using namespace rules;
using namespace matrices;
namespace lapack = kernels::lapack;

std::string gave_up(int info) {
  return info < 0 ? "has elements that are not finite"
                  : "is one for which LAPACK found no solution";
}

// --- cholesky ----------------------------------------------------------------------------------

void cholesky_kernel(const KernelArgs& a) {
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::cholesky(matrix<T>(a.in[0], i), columns(a.spec.shape), result<T>(a, i));
        },
        [](int minor) {
          return "is not positive definite: its leading minor of order " + std::to_string(minor);
        });
  });
}
// With Φ the lower triangle of Lᵀ L̄ with half the diagonal: S = L⁻ᵀ Φ L⁻¹, ā = (S + Sᵀ)/2.
Var cholesky_vjp(const Vjp& v) {
  const Var l = v.out(), p = tn(l, v.ct);
  const Var phi = 0.5 * (tril(p) + tril(p, -1));
  const TriangularOptions transposed{.transposed = true};
  const Var left = solve_triangular(l, phi, transposed);
  const Var s = solve_triangular(l, mT(left), transposed);  // Sᵀ
  return 0.5 * (s + mT(s));
}
// Symmetric and positive definite; of every x of the samples.
Var definite(const Var& x) { return nt(x, x) + identity(rows(x.shape()), x.dtype()); }
std::vector<Sample> cholesky_samples(const Sampler& s) {
  const auto call = [](Operands in) { return cholesky(definite(in[0])); };
  const auto asymmetric = [](Operands in) {
    return cholesky(in[0] + 4 * identity(rows(in[0].shape()), in[0].dtype()), true);
  };
  return cases(s, {{{{3, 3}}, call},
                   {{{3, 3}}, asymmetric},
                   {{{1, 1}}, call},
                   {{{2, 2, 2}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0, 0}}, call}});
}
constexpr Op kCholesky{
    .name = "cholesky",
    .math = "y yᵀ = (a + aᵀ)/2, y lower triangular",
    .gradient = "ā = sym(y⁻ᵀ Φ(yᵀ ȳ) y⁻¹), Φ the lower triangle, diagonal halved",
    .infer = matrices::square,
    .kernel = cholesky_kernel,
    .vjp = {{cholesky_vjp, kReadsOut}},
    .throws = true,
    .domain = {-1, 1},
    .samples = cholesky_samples};

std::vector<Sample> cholesky_solve_samples(const Sampler& s) {
  const auto upper = [](Operands in) {
    return cholesky_solve(in[1], in[0] + 3 * identity(rows(in[0].shape()), in[0].dtype()), true);
  };
  const auto lower = [](Operands in) { return cholesky_solve(in[1], cholesky(definite(in[0]))); };
  return cases(s, {{{{3, 3}, {3, 2}}, upper},
                   {{{2, 2, 2}, {2, 2, 1}}, lower},
                   {{{1, 1}, {1, 2}}, lower},
                   {{{2, 2}, {3, 2, 1}}, upper}});
}
constexpr Op kCholeskySolve =
    on(composed("cholesky_solve", {"(l lᵀ) y = b", "that of two triangular solutions"},
                cholesky_solve_samples),
       -1, 1);
std::vector<Sample> cholesky_inverse_samples(const Sampler& s) {
  const auto call = [](Operands in) { return cholesky_inverse(cholesky(definite(in[0]))); };
  const auto upper = [](Operands in) {
    return cholesky_inverse(cholesky(definite(in[0]), true), true);
  };
  return cases(s, {{{{3, 3}}, call}, {{{2, 2, 2}}, upper}, {{{1, 1}}, call}, {{{0, 2, 2}}, call}});
}
constexpr Op kCholeskyInverse =
    on(composed("cholesky_inverse", {"y = (l lᵀ)⁻¹", "that of a triangular solution"},
                cholesky_inverse_samples),
       -1, 1);

// --- qr ----------------------------------------------------------------------------------------

// Row i of the packed output: column i of q, row i of r.
QR unpack_qr(const Var& packed, std::int64_t m) {
  return {mT(slice(packed, -1, {0, m})), slice(packed, -1, {m, {}})};
}
Spec qr_infer(const InferArgs& args) {
  check_matrices(args);
  const Spec& a = *args.in[0];
  const std::int64_t m = rows(a.shape), n = columns(a.shape);
  return {with(leading(a.shape), std::min(m, n), m + n), a.dtype};
}
void qr_kernel(const KernelArgs& a) {
  const Shape& s = a.in[0].spec->shape;
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(a, [&](std::int64_t i) {
      lapack::qr(matrix<T>(a.in[0], i), rows(s), columns(s), result<T>(a, i));
    });
  });
}
// For the square part U of r = (U W): M = U Ūᵀ − q̄ᵀ q, its lower triangle mirrored;
// x̄ = (q̄ + q M) U⁻ᵀ; the columns beyond count as part of q̄: q̄ + X W̄ᵀ, and get q W̄.
Var qr_vjp(const Vjp& v) {
  const Shape s = v.in_spec().shape;
  const std::int64_t m = rows(s), n = columns(s), k = std::min(m, n);
  const QR y = unpack_qr(v.out(), m), ct = unpack_qr(v.ct, m);
  const auto square_part = [k](const Var& r) { return slice(r, -1, {0, k}); };
  const auto beyond = [k](const Var& r) { return slice(r, -1, {k, {}}); };
  const Var u = square_part(y.r), u_ct = square_part(ct.r);
  Var q_ct = ct.q;
  if (n > k) q_ct = q_ct + nt(matmul(y.q, beyond(y.r)), beyond(ct.r));
  const Var product = nt(u, u_ct) - tn(q_ct, y.q);
  const Var mirrored = tril(product) + mT(tril(product, -1));
  const Var x = mT(solve_triangular(u, mT(q_ct + matmul(y.q, mirrored)), {.upper = true}));
  return n > k ? concat({x, matmul(y.q, beyond(ct.r))}, -1) : x;
}
std::vector<Sample> qr_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    const std::int64_t m = rows(in[0].shape()), n = columns(in[0].shape());
    const Var eye = identity(std::max(m, n), in[0].dtype());
    const QR y = qr(in[0] + 3 * slice(eye, {{0, m}, {0, n}}));
    return joined({y.q, y.r});
  };
  return cases(s, {{{{3, 3}}, call},
                   {{{3, 2}}, call},
                   {{{2, 3}}, call},
                   {{{2, 2, 2}}, call},
                   {{{0, 3, 2}}, call},
                   {{{0, 2}}, call}});
}
constexpr Op kQr{.name = "qr",
                 .math = "a = q r",
                 .gradient = "ā = (q̄ + q M) r⁻ᵀ, M = r r̄ᵀ − q̄ᵀ q with its lower triangle mirrored",
                 .infer = qr_infer,
                 .kernel = qr_kernel,
                 .vjp = {{qr_vjp, kReadsOut}},
                 .domain = {-1, 1},
                 .samples = qr_samples};

// --- eigh --------------------------------------------------------------------------------------

// Row i of the packed output: eigenvalue i, then its vector.
Eigen unpack_eigen(const Var& packed) {
  return {select(packed, -1, 0), mT(slice(packed, -1, {1, {}}))};
}
Spec eigh_infer(const InferArgs& a) {
  check_square(a);
  const Shape& s = a.in[0]->shape;
  return {with(leading(s), rows(s), rows(s) + 1), a.in[0]->dtype};
}
void eigh_kernel(const KernelArgs& a) {
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::eigh(matrix<T>(a.in[0], i), rows(a.spec.shape), result<T>(a, i));
        },
        gave_up);
  });
}
// x / (value[j] − value[i]), 0 where x is: so must be its diagonal.
Var over_gaps(const Var& x, const Var& values) {
  const Var gap = unsqueeze(values, -2) - unsqueeze(values, -1);
  return chain(x, 1 / (gap + identity(columns(x.shape()), x.dtype())));
}
Var eigh_vjp(const Vjp& v) {
  const Eigen y = unpack_eigen(v.out()), ct = unpack_eigen(v.ct);
  const Var beside = 1 - Var(identity(columns(y.vectors.shape()), v.ct.dtype()));
  const Var turned = over_gaps(tn(y.vectors, ct.vectors) * beside, y.values);
  const Var inner = turned + diag_embed(ct.values);
  const Var whole = matmul(y.vectors, nt(inner, y.vectors));
  return 0.5 * (whole + mT(whole));
}
// Far from equal eigenvalues.
Var spread(const Var& x) {
  const std::int64_t n = columns(x.shape());
  return x + diag_embed(3 * Tensor::arange(n).to(x.dtype()));
}
std::vector<Sample> eigh_samples(const Sampler& s) {
  // Squares: what does not depend on the signs of the vectors.
  const auto call = [](Operands in) {
    const Eigen y = eigh(spread(in[0]));
    return joined({y.values, square(y.vectors)});
  };
  return cases(s, {{{{3, 3}}, call},
                   {{{1, 1}}, call},
                   {{{2, 2, 2}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0, 0}}, call}});
}
Var larger_eigenvalue(std::span<const Var> in) {
  const Var m = reshape(stack({in[0], in[1], in[1], in[0]}), {2, 2});
  return select(eigvalsh(m), -1, 1);
}
constexpr Edge kEighEdges[] = {
    {"equal eigenvalues, their sum",
     [](std::span<const Var> in) {
       return sum(eigvalsh(reshape(stack({in[0], in[1], in[1], in[2]}), {2, 2})));
     },
     3,
     {2, 0, 2},
     4,
     {1, 0, 1}},
    {"(2, 1; 1, 2), the larger one", larger_eigenvalue, 2, {2, 1}, 3, {1, 1}}};
constexpr Op kEigh = with_edges({.name = "eigh",
                                 .math = "(a + aᵀ)/2 = V diag(w) Vᵀ",
                                 .gradient = "ā = sym(V (diag(w̄) + (Vᵀ V̄)ᵢⱼ / (wⱼ − wᵢ)) Vᵀ)",
                                 .infer = eigh_infer,
                                 .kernel = eigh_kernel,
                                 .vjp = {{eigh_vjp, kReadsOut}},
                                 .throws = true,
                                 .domain = {-0.5, 0.5},
                                 .samples = eigh_samples},
                                kEighEdges);
std::vector<Sample> eigvalsh_samples(const Sampler& s) {
  const auto call = [](Operands in) { return eigvalsh(spread(in[0])); };
  return cases(s, {{{{3, 3}}, call}, {{{2, 2, 2}}, call}, {{{1, 1}}, call}, {{{0, 2, 2}}, call}});
}
constexpr Op kEigvalsh =
    on(composed("eigvalsh", {"y = w of eigh", "ā = V diag(ȳ) Vᵀ"}, eigvalsh_samples), -0.5, 0.5);

// --- svd ---------------------------------------------------------------------------------------

// Row i of the packed output: column i of u, singular value i, row i of vh.
SVD unpack_svd(const Var& packed, std::int64_t m) {
  return {mT(slice(packed, -1, {0, m})), select(packed, -1, m), slice(packed, -1, {m + 1, {}})};
}
Spec svd_infer(const InferArgs& args) {
  check_matrices(args);
  const Spec& a = *args.in[0];
  const std::int64_t m = rows(a.shape), n = columns(a.shape);
  return {with(leading(a.shape), std::min(m, n), m + 1 + n), a.dtype};
}
void svd_kernel(const KernelArgs& a) {
  const Shape& s = a.in[0].spec->shape;
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::svd(matrix<T>(a.in[0], i), rows(s), columns(s), result<T>(a, i));
        },
        gave_up);
  });
}
Var antisymmetric(const Var& x) { return x - mT(x); }
// ā = u [(K(uᵀ ū) s + s K(vᵀ v̄)) + diag(s̄)] vᵀ and, where u or v is not square, what leaves its
// span; K(x)ᵢⱼ = (x − xᵀ)ᵢⱼ / (sⱼ² − sᵢ²). Townsend, Differentiating the singular value
// decomposition (2016).
Var svd_vjp(const Vjp& v) {
  const Shape shape = v.in_spec().shape;
  const std::int64_t m = rows(shape), n = columns(shape), k = std::min(m, n);
  const SVD y = unpack_svd(v.out(), m), ct = unpack_svd(v.ct, m);
  const Var row = unsqueeze(y.s, -2), column = unsqueeze(y.s, -1), squares = square(y.s);
  const Var left = over_gaps(antisymmetric(tn(y.u, ct.u)), squares) * row;
  const Var right = column * over_gaps(antisymmetric(nt(y.vh, ct.vh)), squares);
  Var whole = matmul(y.u, matmul(left + right + diag_embed(ct.s), y.vh));
  if (m > k) {
    const Var outside = ct.u - matmul(y.u, tn(y.u, ct.u));
    whole = whole + matmul(chain(outside, 1 / row), y.vh);
  }
  if (n > k) {
    const Var outside = ct.vh - matmul(nt(ct.vh, y.vh), y.vh);
    whole = whole + matmul(y.u, chain(outside, 1 / column));
  }
  return whole;
}
Var spread_rectangle(const Var& x) {
  const std::int64_t m = rows(x.shape()), n = columns(x.shape());
  const Var wide = diag_embed(1 + 2 * Tensor::arange(std::max(m, n)).to(x.dtype()));
  return x + slice(wide, {{0, m}, {0, n}});
}
std::vector<Sample> svd_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    const SVD y = svd(spread_rectangle(in[0]));
    return joined({y.s, square(y.u), square(y.vh), matmul(y.u, y.vh)});
  };
  return cases(s, {{{{3, 3}}, call},
                   {{{3, 2}}, call},
                   {{{2, 3}}, call},
                   {{{2, 2, 1}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0}}, call}});
}
constexpr Edge kSvdEdges[] = {{"equal singular values, their sum",
                               [](std::span<const Var> in) {
                                 return sum(singular_values(diag_embed(stack({in[0], in[1]}))));
                               },
                               2,
                               {2, 2},
                               4,
                               {1, 1}}};
constexpr Op kSvd =
    with_edges({.name = "svd",
                .math = "a = u diag(s) vh",
                .gradient = "ā = u (K(uᵀ ū) s + s K(vᵀ v̄) + diag(s̄)) vᵀ + what leaves the spans, "
                            "K(x)ᵢⱼ = (x − xᵀ)ᵢⱼ / (sⱼ² − sᵢ²)",
                .infer = svd_infer,
                .kernel = svd_kernel,
                .vjp = {{svd_vjp, kReadsOut}},
                .throws = true,
                .domain = {-0.4, 0.4},
                .samples = svd_samples},
               kSvdEdges);
std::vector<Sample> singular_values_samples(const Sampler& s) {
  const auto call = [](Operands in) { return singular_values(spread_rectangle(in[0])); };
  return cases(s, {{{{3, 2}}, call}, {{{2, 2, 2}}, call}, {{{1, 3}}, call}, {{{0, 2, 2}}, call}});
}
constexpr Op kSingularValues =
    on(composed("singular_values", {"y = s of svd", "ā = u diag(ȳ) vh"}, singular_values_samples),
       -0.4, 0.4);

}  // namespace

Var cholesky(const Var& a, bool upper) {
  const Var l = apply(kCholesky, {&a});
  return upper ? mT(l) : l;
}

Var cholesky_solve(const Var& b, const Var& factor, bool upper) {
  const std::vector<Var> x = beside_each_other({b, factor});
  const Var half = solve_triangular(x[1], x[0], {.upper = upper, .transposed = upper});
  return solve_triangular(x[1], half, {.upper = upper, .transposed = !upper});
}

Var cholesky_inverse(const Var& factor, bool upper) {
  if (factor.rank() < 2) {
    throw ShapeError("cholesky_inverse",
                     "shape " + factor.shape().str() + ": takes matrices, of rank 2 or more");
  }
  const Tensor eye = identity(rows(factor.shape()), factor.dtype());
  return cholesky_solve(eye, factor, upper);
}

QR qr(const Var& a) {
  const Var packed = apply(kQr, {&a});
  return unpack_qr(packed, rows(a.shape()));
}

Eigen eigh(const Var& a) { return unpack_eigen(apply(kEigh, {&a})); }
Var eigvalsh(const Var& a) { return select(apply(kEigh, {&a}), -1, 0); }

SVD svd(const Var& a) {
  const Var packed = apply(kSvd, {&a});
  return unpack_svd(packed, rows(a.shape()));
}
Var singular_values(const Var& a) {
  const Var packed = apply(kSvd, {&a});
  return select(packed, -1, rows(a.shape()));
}

namespace families {
Family decomposition() {
  return {&kCholesky, &kCholeskySolve, &kCholeskyInverse, &kQr, &kEigh,
          &kEigvalsh, &kSvd,           &kSingularValues};
}
}  // namespace families

}  // namespace xtape
