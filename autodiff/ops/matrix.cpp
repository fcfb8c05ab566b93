#include <cmath>

#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/matrices.hpp>

// Functions of matrices, and what is a few operations on them.
namespace xtape {
namespace {

using namespace rules;
using namespace matrices;

// --- matrix_exp --------------------------------------------------------------------------------

void matrix_exp_kernel(const KernelArgs& a) {
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_each(a, [&](std::int64_t i) {
      kernels::lapack::matrix_exp(matrix<T>(a.in[0], i), columns(a.spec.shape), result<T>(a, i));
    });
  });
}
// e^[x e; 0 x] has the derivative of e^x along e in its upper right block; the transpose of that
// linear map is the one of xᵀ.
// (ȳ is brought to the size of 1 meanwhile: the number of squarings follows the largest element.)
Var matrix_exp_vjp(const Vjp& v) {
  const Var x = mT(v.in(0));
  if (x.size() == 0) return v.ct;
  const Var largest = stop_gradient(max(abs(v.ct), {-2, -1}, true));
  const Var size = where(logical_and(largest > 0, is_finite(largest)), largest, 1);
  const std::int64_t n = columns(x.shape());
  const Var zero = Tensor::zeros(x.shape(), x.dtype());
  const Var block = concat({concat({x, v.ct / size}, -1), concat({zero, x}, -1)}, -2);
  return size * slice(slice(matrix_exp(block), -1, {n, {}}), -2, {0, n});
}
std::vector<Sample> matrix_exp_samples(const Sampler& s) {
  const auto call = [](Operands in) { return matrix_exp(in[0]); };
  const auto large = [](Operands in) { return matrix_exp(4 * in[0]); };
  return cases(s, {{{{3, 3}}, call},
                   {{{3, 3}}, large},
                   {{{1, 1}}, call},
                   {{{2, 2, 2}}, call},
                   {{{0, 2, 2}}, call},
                   {{{2, 0, 0}}, call}});
}
constexpr Op kMatrixExp{.name = "matrix_exp",
                        .math = "y = e^a = Σ aᵏ/k!",
                        .gradient = "ā = the upper right block of e^[aᵀ ȳ; 0 aᵀ]",
                        .infer = matrices::square,
                        .kernel = matrix_exp_kernel,
                        .vjp = {{matrix_exp_vjp, reads_in(0)}},
                        .domain = {-1, 1},
                        .samples = matrix_exp_samples};

// --- compositions ------------------------------------------------------------------------------

std::vector<Sample> matrix_power_samples(const Sampler& s) {
  const auto to = [](std::int64_t n) {
    return [n](Operands in) {
      return matrix_power(in[0] + 3 * identity(columns(in[0].shape()), in[0].dtype()), n);
    };
  };
  return cases(s, {{{{2, 2}}, to(0)},
                   {{{3, 3}}, to(1)},
                   {{{2, 2}}, to(7)},
                   {{{2, 2, 2}}, to(-3)},
                   {{{0, 2, 2}}, to(2)}});
}
constexpr Op kMatrixPower =
    on(composed("matrix_power", {"y = aⁿ", "that of the products"}, matrix_power_samples), -1, 1);

std::vector<Sample> tensorinv_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    return tensorinv(in[0] + 3 * reshape(identity(4, in[0].dtype()), {2, 2, 4}));
  };
  const auto one = [](Operands in) {
    return tensorinv(in[0] + 3 * reshape(identity(4, in[0].dtype()), {4, 2, 2}), 1);
  };
  const auto smallest = [](Operands in) { return tensorinv(in[0] + 3, 1); };
  return cases(
      s, {{{{2, 2, 4}}, call}, {{{4, 2, 2}}, one}, {{{1, 1}}, smallest}, {{{1, 1, 1}}, smallest}});
}
constexpr Op kTensorinv =
    on(composed("tensorinv", {"tensordot(y, x, first) is the identity", "as inverse"},
                tensorinv_samples),
       -1, 1);
std::vector<Sample> tensorsolve_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    return tensorsolve(in[0] + 3 * reshape(identity(4, in[0].dtype()), {2, 2, 4}), in[1]);
  };
  const auto moved = [](Operands in) {
    const Var a = in[0] + 3 * reshape(identity(4, in[0].dtype()), {2, 2, 4});
    return tensorsolve(transpose(a, {2, 0, 1}), in[1], 0);
  };
  const auto plain = [](Operands in) {
    return tensorsolve(in[0] + 3 * identity(2, in[0].dtype()), in[1]);
  };
  return cases(s, {{{{2, 2, 4}, {2, 2}}, call},
                   {{{2, 2, 4}, {2, 2}}, moved},
                   {{{2, 2}, {2}}, plain},
                   {{{2, 2}, {1, 2}}, [](Operands in) {
                      return tensorsolve(unsqueeze(in[0] + 3 * identity(2, in[0].dtype()), 0),
                                         in[1]);
                    }}});
}
constexpr Op kTensorsolve =
    on(composed("tensorsolve", {"tensordot(a, y) = b", "as solve"}, tensorsolve_samples), -1, 1);

std::vector<Sample> vander_samples(const Sampler& s) {
  return cases(s, {{{{3}}, [](Operands in) { return vander(in[0]); }},
                   {{{2, 2}}, [](Operands in) { return vander(in[0], 4); }},
                   {{{3}}, [](Operands in) { return vander(in[0], 1); }},
                   {{{}}, [](Operands in) { return vander(in[0], 3); }}});
}
constexpr Op kVander = composed("vander", {"y[i, j] = xᵢʲ", "x̄ = Σⱼ ȳⱼ j xʲ⁻¹"}, vander_samples);

std::vector<Sample> cov_samples(const Sampler& s) {
  const auto weighted = [](Operands in) {
    return cov(in[0], {.frequencies = Tensor({1, 2, 3}, i64),
                       .weights = Tensor({0.5, 1, 2}, in[0].dtype())});
  };
  return cases(s, {{{{2, 3}}, [](Operands in) { return cov(in[0]); }},
                   {{{2, 3}}, weighted},
                   {{{3}}, [](Operands in) { return cov(in[0], {.correction = 0}); }},
                   {{{3, 2}}, [](Operands in) { return cov(in[0]); }}});
}
constexpr Op kCov = composed("cov",
                             {"y[i, j] = Σ (xᵢ − x̄ᵢ)(xⱼ − x̄ⱼ) / (n − correction)",
                              "x̄ = (ȳ + ȳᵀ)(x − mean) / (n − correction)"},
                             cov_samples);
std::vector<Sample> corrcoef_samples(const Sampler& s) {
  const auto call = [](Operands in) {
    return corrcoef(in[0] + Tensor::arange(in[0].size()).to(in[0].dtype()).reshape(in[0].shape()));
  };
  return cases(s, {{{{2, 4}}, call}, {{{3, 5}}, call}, {{{2, 3}}, call}, {{{3, 4}}, call}});
}
constexpr Op kCorrcoef = composed(
    "corrcoef", {"y[i, j] = cov[i, j] / √(cov[i, i] cov[j, j])", "that of cov and division"},
    corrcoef_samples);

void check_square(const char* op, const Var& a) {
  if (a.rank() >= 2 && rows(a.shape()) == columns(a.shape())) return;
  throw ShapeError(op, "shape " + a.shape().str() + ": takes square matrices, of rank 2 or more");
}

void check_map(const char* op, const Shape& shape, std::int64_t out, std::int64_t in) {
  if (out == in) return;
  throw ShapeError(op, "shape " + shape.str() + " is a map of " + std::to_string(in) +
                           " elements to " + std::to_string(out) + ": must be as many");
}

// Deviations from the mean over observations, as rows of variables.
struct Observations {
  Var deviations, counts;  // counts: undefined for one each
  Var norm;                // what the sum is divided by
};

Observations observations(const Var& x, const CovOptions& o) {
  const Var v = x.rank() < 2 ? reshape(x, {1, x.size()}) : x;
  const std::int64_t n = columns(v.shape());
  const auto counted = [&](const Var& c, const char* what) {
    if (c.rank() == 1 && c.size() == n) return cast(c, v.dtype());
    throw ShapeError("cov", std::string(what) + " of shape " + c.shape().str() + " for " +
                                std::to_string(n) + " observations");
  };
  Observations out;
  if (o.frequencies.defined()) out.counts = counted(o.frequencies, "frequencies");
  const Var weights = o.weights.defined() ? counted(o.weights, "weights") : Var();
  if (weights.defined()) out.counts = out.counts.defined() ? out.counts * weights : weights;
  const Var total = out.counts.defined() ? sum(out.counts)
                                         : Var(Tensor::scalar(static_cast<double>(n), v.dtype()));
  const Var mean = sum(out.counts.defined() ? v * out.counts : v, Axes{1}, true) / total;
  out.deviations = v - mean;
  out.norm = total - (weights.defined() ? o.correction * sum(out.counts * weights) / total
                                        : Var(Tensor::scalar(o.correction, v.dtype())));
  out.norm = clamp_min(out.norm, 0);
  return out;
}

}  // namespace

Var matrix_exp(const Var& a) { return apply(kMatrixExp, {&a}); }

Var matrix_power(const Var& a, std::int64_t n) {
  check_square("matrix_power", a);
  if (n < 0) return matrix_power(inverse(a), -n);
  Var power = a, y;
  for (; n > 0; n /= 2) {
    if (n % 2 == 1) y = y.defined() ? matmul(y, power) : power;
    if (n > 1) power = matmul(power, power);
  }
  return y.defined() ? y : expand(identity(columns(a.shape()), a.dtype()), a.shape());
}

Var tensorinv(const Var& x, std::int64_t first) {
  if (first < 1 || first >= x.rank()) {
    throw ShapeError("tensorinv", "shape " + x.shape().str() + ": " + std::to_string(first) +
                                      " first axes must leave some");
  }
  const Shape out(x.shape().begin(), x.shape().begin() + first);
  Shape in(x.shape().begin() + first, x.shape().end());
  check_map("tensorinv", x.shape(), out.size(), in.size());
  const Var y = inverse(reshape(x, {out.size(), in.size()}));
  for (const std::int64_t n : out) in.push_back(n);
  return reshape(y, in);
}

Var tensorsolve(const Var& a, const Var& b, const Axes& axes) {
  if (a.rank() <= b.rank()) {
    throw ShapeError("tensorsolve", "shapes " + a.shape().str() + " and " + b.shape().str() +
                                        ": a must have more axes than b");
  }
  const std::vector<Var> x = beside_each_other({a, b});
  Axes last;
  for (int i = 0; i < axes.rank(); ++i) last.push_back(a.rank() - axes.rank() + i);
  const Var map = axes.empty() ? x[0] : movedim(x[0], axes, last);
  const Shape in(map.shape().begin() + b.rank(), map.shape().end());
  check_map("tensorsolve", map.shape(), b.size(), in.size());
  return reshape(solve(reshape(map, {b.size(), in.size()}), reshape(x[1], {b.size()})), in);
}

Var vander(const Var& x, std::optional<std::int64_t> n) {
  const Var v = x.rank() == 0 ? reshape(x, {1}) : x;
  const std::int64_t columns = n.value_or(v.shape()[v.rank() - 1]);
  if (columns < 1) throw ValueError("vander", std::to_string(columns) + " columns: 1 or more");
  Shape ones = v.shape(), repeated = v.shape();
  ones.push_back(1);
  repeated.push_back(columns - 1);
  const Var one = beside(Tensor::ones(ones, v.dtype()), v);
  return cumprod(concat({one, expand(unsqueeze(v, -1), repeated)}, -1), -1);
}

Var cov(const Var& x, const CovOptions& options) {
  if (x.rank() > 2) {
    throw ShapeError("cov",
                     "shape " + x.shape().str() + ": takes variables in rows, rank 2 at most");
  }
  const std::vector<Var> joined =
      beside_each_other({x, options.weights.defined() ? options.weights : x});
  CovOptions counted_with = options;
  if (options.weights.defined()) counted_with.weights = joined[1];
  const Observations o = observations(joined[0], counted_with);
  const Var counted = o.counts.defined() ? o.deviations * o.counts : o.deviations;
  const Var y = nt(counted, o.deviations) / o.norm;
  return y.size() == 1 ? reshape(y, {}) : y;
}

Var corrcoef(const Var& x) {
  const Var c = cov(x);
  if (c.rank() == 0) return c / c;
  const Var spread = sqrt(diagonal(c));
  return clamp(c / unsqueeze(spread, -1) / unsqueeze(spread, 0), -1, 1);
}

namespace families {
Family matrix() {
  return {&kMatrixExp, &kMatrixPower, &kTensorinv, &kTensorsolve, &kVander, &kCov, &kCorrcoef};
}
}  // namespace families

}  // namespace xtape
