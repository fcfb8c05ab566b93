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
        [](int info) {
          return info == lapack::kBadCutoff ? std::string("has a cutoff that is negative or NaN")
                                            : not_finite(info);
        });
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
  return cases(s, {{{{3, 2}, {3}}, call},
                   {{{2, 3}, {2, 2}}, call},
                   {{{2, 3, 2}, {2, 3, 1}}, call},
                   {{{3, 2}, {2, 3, 1}}, call}});
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
  if (is_vector(a, b)) return squeeze(solve(a, unsqueeze(beside(b, a), -1)), -1);
  const System s = broadcast_system("solve", a, b);
  return solved(s.a, s.b, false);
}

Var solve_triangular(const Var& a, const Var& b, const TriangularOptions& o) {
  if (!o.left) {
    TriangularOptions of_transpose = o;
    of_transpose.left = true;
    of_transpose.transposed = !o.transposed;
    return mT(solve_triangular(a, mT(beside(b, a)), of_transpose));
  }
  const System s = broadcast_system("solve_triangular", a, b);
  return triangular(s.a, s.b, {o.upper, o.unit_diagonal, o.transposed});
}

Var least_squares(const Var& a, const Var& b) {
  if (is_vector(a, b)) return squeeze(least_squares(a, unsqueeze(beside(b, a), -1)), -1);
  if (a.rank() >= 2 && rows(b.shape()) != rows(a.shape())) {
    throw ShapeError("least_squares", "shapes " + a.shape().str() + " and " + b.shape().str() +
                                          ": b must have as many rows as a");
  }
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

namespace families {
Family linear_systems() {
  return {&kInverse, &kSolve, &kSolveTriangular, &kPseudoinverse, &kLeastSquares};
}
}  // namespace families

}  // namespace xtape
