#include <cmath>
#include <limits>

#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/matrices.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace matrices;
namespace lapack = kernels::lapack;

std::string singular(int pivot) {
  return "is singular: pivot " + std::to_string(pivot) + " of its LU factorisation is 0";
}
std::string not_finite(int) { return "has elements that are not finite"; }

// Matrices for samples: well away from singular ones.
Var regular(const Var& x) {
  const std::int64_t n = columns(x.shape());
  return x + 3 * identity(n, x.dtype());
}

// --- inverse -----------------------------------------------------------------------------------

void inverse_kernel(const KernelArgs& a) {
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::inverse(matrix<T>(a.in[0], i), columns(a.spec.shape), result<T>(a, i));
        },
        singular);
  });
}
Var inverse_vjp(const Vjp& v) {
  const Var y = v.out();
  return -tn(y, nt(v.ct, y));
}
std::vector<Sample> inverse_samples(const Sampler& s) {
  const auto call = [](Operands in) { return inverse(regular(in[0])); };
  return cases(s, {{{{3, 3}}, call},
                   {{{1, 1}}, call},
                   {{{2, 1, 2, 2}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0, 0}}, call}});
}
constexpr Op kInverse{.name = "inverse",
                      .math = "y = a⁻¹",
                      .gradient = "ā = −yᵀ ȳ yᵀ",
                      .infer = matrices::square,
                      .kernel = inverse_kernel,
                      .vjp = {{inverse_vjp, kReadsOut}},
                      .throws = true,
                      .domain = {-1, 1},
                      .samples = inverse_samples};

// --- solve -------------------------------------------------------------------------------------

// a (…, n, n) and b (…, n, k) with the same leading axes.
Spec system(const InferArgs& args) {
  check_square(args);
  const Spec &a = *args.in[0], &b = *args.in[1];
  check_same_dtype(args.op, a, b);
  if (b.shape.rank() == a.shape.rank() && leading(a.shape) == leading(b.shape) &&
      rows(b.shape) == columns(a.shape)) {
    return b;
  }
  throw ShapeError(args.op.name, "shapes " + a.shape.str() + " and " + b.shape.str() +
                                     ": b must have as many rows as the matrices");
}

struct SolveAttrs {
  bool transposed;
  std::string str() const { return transposed ? "aᵀ" : "a"; }
  bool operator==(const SolveAttrs&) const = default;
};
Var solved(const Var& a, const Var& b, bool transposed);
void solve_kernel(const KernelArgs& a) {
  const bool transposed = get_attrs<SolveAttrs>(a.attrs).transposed;
  const std::int64_t n = rows(a.spec.shape), k = columns(a.spec.shape);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::solve(matrix<T>(a.in[0], i), matrix<T>(a.in[1], i), n, k, transposed,
                               result<T>(a, i));
        },
        singular);
  });
}
// op(a) x = b: the gradient of b is op(a)⁻ᵀ x̄, that of op(a) minus its product with xᵀ.
Var solve_vjp_b(const Vjp& v) { return solved(v.in(0), v.ct, !v.attrs<SolveAttrs>().transposed); }
Var solve_vjp_a(const Vjp& v) {
  const Var b = solve_vjp_b(v);
  return v.attrs<SolveAttrs>().transposed ? -nt(v.out(), b) : -nt(b, v.out());
}
std::vector<Sample> solve_samples(const Sampler& s) {
  const auto call = [](Operands in) { return solve(regular(in[0]), in[1]); };
  const auto transposed = [](Operands in) { return solved(regular(in[0]), in[1], true); };
  return cases(s, {{{{3, 3}, {3}}, call},
                   {{{3, 3}, {3, 2}}, call},
                   {{{3, 3}, {3, 2}}, transposed},
                   {{{2, 2, 2}, {2, 2}}, call},
                   {{{2, 2, 2}, {2, 3}}, call},
                   {{{2, 2}, {3, 2, 1}}, call},
                   {{{0, 2, 2}, {0, 2}}, call},
                   {{{2, 2}, {2, 0}}, call}});
}
constexpr Op kSolve{.name = "solve",
                    .math = "a y = b",
                    .gradient = "b̄ = a⁻ᵀ ȳ, ā = −b̄ yᵀ",
                    .arity = 2,
                    .infer = system,
                    .kernel = solve_kernel,
                    .vjp = {{solve_vjp_a, reads_in(0) | kReadsOut}, {solve_vjp_b, reads_in(0)}},
                    .throws = true,
                    .domain = {-1, 1},
                    .samples = solve_samples};
Var solved(const Var& a, const Var& b, bool transposed) {
  return apply(kSolve, {&a, &b}, make_attrs(SolveAttrs{transposed}));
}

// --- solve_triangular --------------------------------------------------------------------------

struct TriangularAttrs {
  lapack::Triangle t;
  std::string str() const {
    return std::string(t.upper ? "upper" : "lower") + (t.unit_diagonal ? ", unit diagonal" : "") +
           (t.transposed ? ", transposed" : "");
  }
  bool operator==(const TriangularAttrs& o) const {
    return t.upper == o.t.upper && t.unit_diagonal == o.t.unit_diagonal &&
           t.transposed == o.t.transposed;
  }
};
Var triangular(const Var& a, const Var& b, const lapack::Triangle& t);
void triangular_kernel(const KernelArgs& a) {
  const auto& t = get_attrs<TriangularAttrs>(a.attrs).t;
  const std::int64_t n = rows(a.spec.shape), k = columns(a.spec.shape);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::solve_triangular(matrix<T>(a.in[0], i), matrix<T>(a.in[1], i), n, k, t,
                                          result<T>(a, i));
        },
        [](int k0) {
          return "is singular: element " + std::to_string(k0) + " of its diagonal is 0";
        });
  });
}
Var triangular_vjp_b(const Vjp& v) {
  lapack::Triangle t = v.attrs<TriangularAttrs>().t;
  t.transposed = !t.transposed;
  return triangular(v.in(0), v.ct, t);
}
Var triangular_vjp_a(const Vjp& v) {
  const lapack::Triangle& t = v.attrs<TriangularAttrs>().t;
  const Var b = triangular_vjp_b(v);
  const Var whole = t.transposed ? -nt(v.out(), b) : -nt(b, v.out());
  const std::int64_t k = t.unit_diagonal ? 1 : 0;
  return t.upper ? triu(whole, k) : tril(whole, -k);
}
std::vector<Sample> triangular_samples(const Sampler& s) {
  const auto with = [](TriangularOptions o) {
    return [o](Operands in) { return solve_triangular(regular(in[0]), in[1], o); };
  };
  return cases(s, {{{{3, 3}, {3, 2}}, with({})},
                   {{{3, 3}, {3, 2}}, with({.upper = true})},
                   {{{3, 3}, {3, 2}}, with({.upper = true, .transposed = true})},
                   {{{3, 3}, {3, 2}}, with({.unit_diagonal = true, .transposed = true})},
                   {{{3, 3}, {2, 3}}, with({.upper = true, .unit_diagonal = true, .left = false})},
                   {{{2, 2}, {2, 3, 2}}, with({.left = false})},
                   {{{2, 2, 2}, {2, 1}}, with({})},
                   {{{2, 2}, {2, 0}}, with({})}});
}
constexpr Op kSolveTriangular{
    .name = "solve_triangular",
    .math = "a y = b, a triangular",
    .gradient = "b̄ = a⁻ᵀ ȳ, ā = −b̄ yᵀ in the triangle that is read",
    .arity = 2,
    .infer = system,
    .kernel = triangular_kernel,
    .vjp = {{triangular_vjp_a, reads_in(0) | kReadsOut}, {triangular_vjp_b, reads_in(0)}},
    .throws = true,
    .domain = {-1, 1},
    .samples = triangular_samples};
Var triangular(const Var& a, const Var& b, const lapack::Triangle& t) {
  return apply(kSolveTriangular, {&a, &b}, make_attrs(TriangularAttrs{t}));
}

// --- determinants ------------------------------------------------------------------------------

// One number for each matrix, then `more` axes.
Spec of_each(const InferArgs& a) {
  check_square(a);
  return {leading(a.in[0]->shape), a.in[0]->dtype};
}
Spec pair_of_each(const InferArgs& a) {
  Spec s = of_each(a);
  s.shape.push_back(2);
  return s;
}
template <class F>
void determinant_kernel(const KernelArgs& a, const F& store) {
  const std::int64_t n = columns(a.in[0].spec->shape);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(a, [&](std::int64_t i) {
      T pair[2];
      lapack::signed_log_det(matrix<T>(a.in[0], i), n, pair);
      store(static_cast<T*>(a.out), i, pair);
    });
  });
}
void slogdet_kernel(const KernelArgs& a) {
  determinant_kernel(a, [](auto* out, std::int64_t i, const auto* pair) {
    out[2 * i] = pair[0];
    out[2 * i + 1] = pair[1];
  });
}
Var per_matrix(const Var& x) { return unsqueeze(unsqueeze(x, -1), -1); }
Var slogdet_vjp(const Vjp& v) { return mT(per_matrix(select(v.ct, -1, 1)) * inverse(v.in(0))); }
std::vector<Sample> determinant_samples(const Sampler& s, Var (*f)(const Var&)) {
  const auto call = [f](Operands in) { return f(regular(in[0])); };
  return cases(s, {{{{3, 3}}, call},
                   {{{1, 1}}, call},
                   {{{2, 2, 2}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0, 0}}, call}});
}
std::vector<Sample> slogdet_samples(const Sampler& s) {
  return determinant_samples(s, [](const Var& x) {
    const SignedLog parts = slogdet(x);
    return joined({parts.sign, parts.log});
  });
}
constexpr Op kSlogdet{.name = "slogdet",
                      .math = "y = (sign det a, ln |det a|)",
                      .gradient = "ā = ȳ₁ a⁻ᵀ",
                      .infer = pair_of_each,
                      .kernel = slogdet_kernel,
                      .vjp = {{slogdet_vjp, reads_in(0)}},
                      .domain = {-1, 1},
                      .samples = slogdet_samples};

void det_kernel(const KernelArgs& a) {
  determinant_kernel(
      a, [](auto* out, std::int64_t i, const auto* pair) { out[i] = pair[0] * std::exp(pair[1]); });
}
Var det_vjp(const Vjp& v) { return per_matrix(v.ct) * cofactors(v.in(0)); }
std::vector<Sample> det_samples(const Sampler& s) { return determinant_samples(s, det); }
Var det_of_rank_1(std::span<const Var> in) {
  return det(reshape(stack({in[0], in[1], in[2], Tensor::scalar(4)}), {2, 2}));
}
constexpr Edge kDetEdges[] = {
    {"a singular matrix, (1, 2; 2, 4)", det_of_rank_1, 3, {1, 2, 2}, 0, {4, -2, -2}}};
constexpr Op kDet = with_edges({.name = "det",
                                .math = "y = det a",
                                .gradient = "ā = ȳ det(a) a⁻ᵀ, the cofactors",
                                .infer = of_each,
                                .kernel = det_kernel,
                                .vjp = {{det_vjp, reads_in(0)}},
                                .domain = {-1, 1},
                                .samples = det_samples},
                               kDetEdges);

void cofactors_kernel(const KernelArgs& a) {
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::cofactors(matrix<T>(a.in[0], i), columns(a.spec.shape), result<T>(a, i));
        },
        not_finite);
  });
}

// Products of all of s[…, :] but two: y[…, i, j] = Πₘ≠ᵢ,ⱼ sₘ, and 0 for i = j.
Var products_without_two(const Var& s) {
  const std::int64_t n = s.shape()[s.rank() - 1];
  const Tensor one = identity(n, s.dtype());
  const Var taken = unsqueeze(one, 1) + unsqueeze(one, 0);  // [i, j, m]: m is i or j
  const Var factors = where(taken > 0, 1, unsqueeze(unsqueeze(s, -2), -2));
  return prod(factors, -1) * (1 - one);
}

// The second derivative of det at U diag(s) Vᵀ, in the basis of U and V: with G = Uᵀ c̄ V its
// diagonal is Σⱼ Gⱼⱼ Πₘ≠ᵢ,ⱼ sₘ, the rest −Gⱼᵢ Πₘ≠ᵢ,ⱼ sₘ; all times the sign of det(U Vᵀ).
Var cofactors_vjp(const Vjp& v) {
  const SVD a = svd(v.in(0));
  const Var g = matmul(tn(a.u, v.ct), mT(a.vh)), p = products_without_two(a.s);
  const Var diagonal_of_g = diagonal(g, 0, -2, -1);
  const Var h = diag_embed(sum(p * unsqueeze(diagonal_of_g, -2), -1)) - p * mT(g);
  const Var orientation = sign(det(matmul(a.u, a.vh)));
  return per_matrix(orientation) * matmul(a.u, matmul(h, a.vh));
}
std::vector<Sample> cofactors_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    const std::int64_t n = columns(in[0].shape());
    return cofactors(in[0] + diag_embed(1 + Tensor::arange(n).to(in[0].dtype())));
  };
  return cases(s, {{{{3, 3}}, call},
                   {{{1, 1}}, call},
                   {{{2, 2, 2}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0, 0}}, call}});
}
constexpr Op kCofactors = on({.name = "cofactors",
                              .math = "y = det(a) a⁻ᵀ",
                              .gradient = "the second derivative of det along ȳ, by a = U S Vᵀ",
                              .infer = matrices::square,
                              .kernel = cofactors_kernel,
                              .vjp = {{cofactors_vjp, reads_in(0)}},
                              .throws = true,
                              .samples = cofactors_samples},
                             -0.3, 0.3);

std::vector<Sample> logdet_samples(const Sampler& s) { return determinant_samples(s, logdet); }
constexpr Op kLogdet = on(composed("logdet", {"y = ln det a", "ā = ȳ a⁻ᵀ"}, logdet_samples), -1, 1);

// --- pseudoinverse -----------------------------------------------------------------------------

Spec pseudoinverse_infer(const InferArgs& args) {
  check_matrices(args);
  const Spec &a = *args.in[0], &cutoff = *args.in[1];
  const Shape batch = leading(a.shape);
  if (cutoff.dtype != f64 || cutoff.shape != batch) {
    throw ShapeError(args.op.name, "cutoffs of shape " + cutoff.shape.str() +
                                       " for matrices of shape " + a.shape.str() +
                                       ": one for all, or one for each matrix");
  }
  return {with(batch, columns(a.shape), rows(a.shape)), a.dtype};
}
void pseudoinverse_kernel(const KernelArgs& a) {
  const Shape& s = a.in[0].spec->shape;
  const auto* cutoff = static_cast<const double*>(a.in[1].data);
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(
        a,
        [&](std::int64_t i) {
          return lapack::pseudoinverse(matrix<T>(a.in[0], i), rows(s), columns(s), cutoff[i],
                                       result<T>(a, i));
        },
        not_finite);
  });
}
// With y = a⁺: dy = −y da y + y yᵀ daᵀ (1 − a y) + (1 − y a) daᵀ yᵀ y.
Var pseudoinverse_vjp(const Vjp& v) {
  const Var a = v.in(0), y = v.out(), ct = mT(v.ct);
  const Var second = matmul(ct, nt(y, y)), third = matmul(tn(y, y), ct);
  return (second - matmul(a, matmul(y, second))) + (third - matmul(matmul(third, y), a)) -
         tn(y, matmul(v.ct, mT(y)));
}
std::vector<Sample> pseudoinverse_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    const std::int64_t m = rows(in[0].shape()), n = columns(in[0].shape());
    return pseudoinverse(in[0] +
                         slice(3 * identity(std::max(m, n), in[0].dtype()), {{0, m}, {0, n}}));
  };
  // Of rank 1 on the whole neighbourhood.
  const auto thin = [](Operands in) {
    return pseudoinverse(outer(in[0] + 2, in[1] + 2), Tensor::scalar(1e-3));
  };
  return cases(s, {{{{3, 3}}, call},
                   {{{3, 2}}, call},
                   {{{2, 3}}, call},
                   {{{2, 2, 1}}, call},
                   {{{3}, {2}}, thin},
                   {{{0, 2, 3}}, call},
                   {{{2, 0}}, call}});
}
constexpr Op kPseudoinverse{.name = "pseudoinverse",
                            .math = "y = a⁺",
                            .gradient = "ā = −yᵀ ȳ yᵀ + (1 − a y) ȳᵀ y yᵀ + yᵀ y ȳᵀ (1 − y a)",
                            .arity = 2,
                            .infer = pseudoinverse_infer,
                            .kernel = pseudoinverse_kernel,
                            .vjp = {{pseudoinverse_vjp, reads_in(0) | kReadsOut}, {}},
                            .throws = true,
                            .domain = {-1, 1},
                            .samples = pseudoinverse_samples};

std::vector<Sample> least_squares_samples(const Sampler& s) {
  const auto call = [](Operands in) { return least_squares(in[0], in[1]); };
  return cases(s,
               {{{{3, 2}, {3}}, call}, {{{2, 3}, {2, 2}}, call}, {{{2, 3, 2}, {2, 3, 1}}, call}});
}
constexpr Op kLeastSquares =
    composed("least_squares", {"y = a⁺ b", "b̄ = a⁺ᵀ ȳ, ā by pseudoinverse"}, least_squares_samples);

// a and b with leading axes of their own broadcast to the same.
struct System {
  Var a, b;
};
System broadcast_system(const char* op, const Var& a, const Var& b) {
  if (a.rank() < 2 || b.rank() < 2) return {a, b};  // refused by the op
  const Shape batch = broadcast(op, leading(a.shape()), leading(b.shape()));
  const auto to = [&](const Var& x) {
    const Shape whole = with(batch, rows(x.shape()), columns(x.shape()));
    return whole == x.shape() ? x : expand(x, whole);
  };
  const std::vector<Var> x = beside_each_other({a, b});
  return {to(x[0]), to(x[1])};
}

// Whether b is a vector for each matrix of a.
bool is_vector(const Var& a, const Var& b) {
  return b.rank() == 1 || (a.rank() >= 2 && b.rank() == a.rank() - 1 &&
                           b.shape() == Shape(a.shape().begin(), a.shape().end() - 1));
}

}  // namespace

Var inverse(const Var& a) { return apply(kInverse, {&a}); }

Var solve(const Var& a, const Var& b) {
  if (is_vector(a, b)) return squeeze(solve(a, unsqueeze(b, -1)), -1);
  const System s = broadcast_system("solve", a, b);
  return solved(s.a, s.b, false);
}

Var solve_triangular(const Var& a, const Var& b, const TriangularOptions& o) {
  if (!o.left) {
    TriangularOptions of_transpose = o;
    of_transpose.left = true;
    of_transpose.transposed = !o.transposed;
    return mT(solve_triangular(a, mT(b), of_transpose));
  }
  const System s = broadcast_system("solve_triangular", a, b);
  return triangular(s.a, s.b, {o.upper, o.unit_diagonal, o.transposed});
}

Var least_squares(const Var& a, const Var& b) {
  if (is_vector(a, b)) return squeeze(least_squares(a, unsqueeze(b, -1)), -1);
  const std::vector<Var> x = beside_each_other({a, b});
  return matmul(pseudoinverse(x[0]), x[1]);
}

Var pseudoinverse(const Var& a, const Var& cutoff) {
  if (a.rank() < 2) {
    throw ShapeError("pseudoinverse",
                     "shape " + a.shape().str() + ": takes matrices, of rank 2 or more");
  }
  const double epsilon = a.dtype() == f32 ? std::numeric_limits<float>::epsilon()
                                          : std::numeric_limits<double>::epsilon();
  const auto extent = static_cast<double>(std::max(rows(a.shape()), columns(a.shape())));
  Var c = cutoff.defined() ? cast(cutoff, f64) : Var(Tensor::scalar(extent * epsilon));
  if (c.rank() == 0) c = expand(c, leading(a.shape()));
  return apply(kPseudoinverse, {&a, &c});
}

Var det(const Var& a) { return apply(kDet, {&a}); }
Var cofactors(const Var& a) { return apply(kCofactors, {&a}); }

SignedLog slogdet(const Var& a) {
  const Var both = apply(kSlogdet, {&a});
  return {select(both, -1, 0), select(both, -1, 1)};
}

Var logdet(const Var& a) {
  const SignedLog y = slogdet(a);
  return where(y.sign < 0, std::numeric_limits<double>::quiet_NaN(), y.log);
}

namespace families {
Family linear_systems() {
  return {&kInverse,   &kSolve,  &kSolveTriangular, &kSlogdet,     &kDet,
          &kCofactors, &kLogdet, &kPseudoinverse,   &kLeastSquares};
}
}  // namespace families

}  // namespace xtape
