#include <cmath>
#include <limits>

#include <xtape/autodiff/ops/reducing.hpp>

namespace xtape {
namespace {

using namespace rules;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Σ x², so that its root can always be told: squares of f32 neither overflow nor vanish in double;
// those of f64 are summed three times, as they are and scaled down and up.
struct Square {
  double sum = 0;
  XTAPE_INLINE void add(double x) { sum += x * x; }
  XTAPE_INLINE void merge(const Square& o) { sum += o.sum; }
  explicit operator float() const { return static_cast<float>(std::sqrt(sum)); }
};
struct ScaledSquare {
  static constexpr double kUp = 0x1p540, kDown = 0x1p-540;
  double sum = 0, large = 0, small = 0;
  XTAPE_INLINE void add(double x) {
    const double down = x * kDown, up = x * kUp;
    sum += x * x;
    large += down * down;
    small += up * up;
  }
  XTAPE_INLINE void merge(const ScaledSquare& o) {
    sum += o.sum;
    large += o.large;
    small += o.small;
  }
  explicit operator double() const {
    if (!std::isfinite(sum)) return std::sqrt(large) * kUp;
    return sum > 1e-270 ? std::sqrt(sum) : std::sqrt(small) * kDown;
  }
};

template <class T>
struct Euclidean {
  using Acc = std::conditional_t<std::is_same_v<T, float>, Square, ScaledSquare>;
  static Acc init() { return {}; }
  XTAPE_INLINE static void add(Acc& acc, T x) { acc.add(static_cast<double>(x)); }
  XTAPE_INLINE static void merge(Acc& acc, const Acc& o) { acc.merge(o); }
  static constexpr bool kIdempotent = false;
  static constexpr std::int64_t kLanes = 16;
  XTAPE_INLINE static void add_lanes(Acc* lane, const T* x) {
    for (std::int64_t k = 0; k < kLanes; ++k) add(lane[k], x[k]);
  }
};

void euclidean_kernel(const KernelArgs& a) {
  const auto& attrs = get_attrs<ReduceAttrs>(a.attrs);
  dispatch_floating(a.spec.dtype, [&](auto t) {
    using T = decltype(t);
    auto* out = static_cast<T*>(a.out);
    kernels::reduce<Euclidean<T>>(
        static_cast<const T*>(a.in[0].data), a.in[0].spec->shape, attrs.axes,
        [&](std::int64_t i, const auto& acc) { out[i] = static_cast<T>(acc); });
  });
}

const Reducer* euclidean_reducer(DType dtype) {
  return dtype == f32 ? &kernels::kReducer<Euclidean<float>, float>
                      : &kernels::kReducer<Euclidean<double>, double>;
}

// x/‖x‖ is bounded; the two are divided first, so that tiny ones do not overflow.
Var euclidean_vjp(const Vjp& v) {
  const Var y = unreduced(v.out(), v);
  const Var zero = equal(y, 0);
  return chain(unreduced(v.ct, v), where(zero, 0, v.in(0) / where(zero, 1, y)));
}

void check_floating(std::string_view op, const Var& x) {
  if (is_floating(x.dtype())) return;
  throw DTypeError(op, std::string("operand ") + name(x.dtype()) + x.shape().str() +
                           ": takes f32 or f64, write cast(x, f32)");
}

// (Σ |x|ᵖ)^(1/p) by elements relative to the largest (for p < 0 the smallest): the result does not
// depend on what they are measured by, so that is a constant.
Var power_norm(const Var& x, double p, const Axes& axes, bool keepdims) {
  const Var size = abs(x);
  Var unit = Tensor::ones(reduced(x.shape(), axes, true), x.dtype());
  if (x.size() > 0 || p < 0) {
    const Var fixed = stop_gradient(size);
    const Var extreme = p > 0 ? max(fixed, axes, true) : min(fixed, axes, true);
    unit = where(less(0, extreme), where(less(extreme, kInfinity), extreme, 1), 1);
  }
  const Var zero = equal(size, 0);
  const Var term = where(zero, p > 0 ? 0 : kInfinity, pow(where(zero, 1, size / unit), p));
  const Var total = sum(term, axes, keepdims);
  const Var positive = less(0, total);
  const Var root = pow(where(positive, total, 1), 1 / p);
  return where(positive, root * reshape(unit, root.shape()), stop_gradient(total));
}

template <int kP>
Var norm_of(const Var& x, const Axes& axes, bool keepdims) {
  return vector_norm(x, kP, axes, keepdims);
}

// The norm of a single number has no second derivative: times that number it has.
std::vector<Sample> with_curvature(std::vector<Sample> samples) {
  for (Sample& sample : samples) {
    if (sample.inputs[0].size() != 1) continue;
    sample.call = [call = sample.call](std::span<const Var> in) {
      const Var y = call(in);
      return y.size() == 1 ? y * reshape(in[0], y.shape()) : y;
    };
  }
  return samples;
}

std::vector<Sample> euclidean_samples(const Sampler& s) {
  return with_curvature(reduction_samples<euclidean_norm>(s));
}

std::vector<Sample> vector_norm_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const ReductionFunction f : {norm_of<2>, norm_of<1>, norm_of<3>}) {
    for (Sample& sample : reduction_samples(s, f, f != norm_of<1>)) out.push_back(sample);
  }
  for (const double p : {kInfinity, -kInfinity, 0.0, 0.5, 1.5, -1.0, -2.1, 6.0}) {
    for (const Axes& axes : {Axes{}, Axes{0}, Axes{-1}}) {
      out.push_back({"p = " + detail::text(p) + " over " + axes.str(),
                     {s.draw({2, 5})},
                     [=](std::span<const Var> in) { return vector_norm(in[0], p, axes, true); }});
    }
  }
  return with_curvature(std::move(out));
}

std::vector<Sample> matrix_norm_samples(const Sampler& s) {
  using N = MatrixNorm;
  std::vector<Sample> out;
  for (const N kind : {N::frobenius, N::largest_column, N::smallest_column, N::largest_row,
                       N::smallest_row, N::nuclear, N::spectral, N::smallest_singular_value}) {
    for (const bool keepdims : {false, true}) {
      out.push_back({"kind " + std::to_string(static_cast<int>(kind)),
                     {s.draw({2, 3, 4})},
                     [=](std::span<const Var> in) {
                       return matrix_norm(in[0], kind, {-2, -1}, keepdims);
                     }});
      out.push_back({"kind " + std::to_string(static_cast<int>(kind)) + " of columns",
                     {s.draw({4, 2, 3})},
                     [=](std::span<const Var> in) {
                       return matrix_norm(in[0], kind, {2, 0}, keepdims);
                     }});
    }
  }
  return out;
}

struct PairCase {
  Shape a, b;
};
template <class F>
std::vector<Sample> pair_samples(const Sampler& s, std::initializer_list<PairCase> cases, F f) {
  std::vector<Sample> out;
  for (const PairCase& c : cases) {
    for (const double p : {2.0, 1.0, 3.0, kInfinity}) {
      out.push_back({c.a.str() + c.b.str() + " p = " + detail::text(p),
                     {s.draw(c.a), s.draw(c.b)},
                     [=](std::span<const Var> in) { return f(in[0], in[1], p); }});
    }
  }
  return out;
}

std::vector<Sample> dist_samples(const Sampler& s) {
  return with_curvature(
      pair_samples(s, {{{}, {}}, {{5}, {}}, {{3, 4}, {4}}, {{2, 1, 3}, {4, 1}}}, dist));
}
std::vector<Sample> pairwise_samples(const Sampler& s) {
  return pair_samples(
      s, {{{5}, {5}}, {{3, 4}, {3, 4}}, {{2, 3, 4}, {4}}, {{0, 3}, {0, 3}}},
      [](const Var& a, const Var& b, double p) { return pairwise_distance(a, b, p, 1e-6, p > 1); });
}
std::vector<Sample> cdist_samples(const Sampler& s) {
  return pair_samples(
      s, {{{3, 4}, {2, 4}}, {{2, 3, 2}, {1, 2, 2}}, {{2, 1, 3, 2}, {2, 2, 2}}, {{0, 3}, {2, 3}}},
      cdist);
}
std::vector<Sample> pdist_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{4, 3}, Shape{2, 5}, Shape{1, 3}}) {
    for (const double p : {2.0, 1.0, 3.0, kInfinity}) {
      out.push_back({shape.str() + " p = " + detail::text(p),
                     {s.draw(shape)},
                     [=](std::span<const Var> in) { return pdist(in[0], p); }});
    }
  }
  return out;
}
std::vector<Sample> cosine_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& a, const Shape& b, std::int64_t axis) {
    out.push_back({a.str() + b.str() + " along " + std::to_string(axis),
                   {s.draw(a), s.draw(b)},
                   [=](std::span<const Var> in) { return cosine_similarity(in[0], in[1], axis); }});
  };
  add({5}, {5}, 0);
  add({3, 4}, {3, 4}, 1);
  add({2, 3, 2, 2}, {3, 2, 2}, 1);
  add({2, 3}, {4, 1, 3}, -1);
  add({0, 3}, {0, 3}, 1);
  return out;
}

template <int kP>
Var norm_of_two(std::span<const Var> in) {
  return vector_norm(stack({in[0], in[1]}), kP);
}
Var largest_of_two(std::span<const Var> in) {
  return vector_norm(stack({in[0], in[1]}), kInfinity);
}
Var root_norm_of_two(std::span<const Var> in) { return vector_norm(stack({in[0], in[1]}), 0.5); }
constexpr Edge kNormEdges[] = {
    {"p = 2 of zeros", norm_of_two<2>, 2, {0, 0}, 0, {0, 0}},
    {"p = 2 of huge elements", norm_of_two<2>, 2, {3e300, 4e300}, 5e300, {0.6, 0.8}},
    {"p = 1 of zeros", norm_of_two<1>, 2, {0, 0}, 0, {0, 0}},
    {"p = 1 with a zero", norm_of_two<1>, 2, {0, 2}, 2, {0, 1}},
    {"p = 3 of zeros", norm_of_two<3>, 2, {0, 0}, 0, {0, 0}},
    {"p = 0", norm_of_two<0>, 2, {0, 2}, 1, {0, 0}},
    {"p = 1/2 with a zero", root_norm_of_two, 2, {0, 4}, 4, {0, 1}},
    {"p = ∞ of zeros", largest_of_two, 2, {0, 0}, 0, {0, 0}},
    {"p = ∞, a tie", largest_of_two, 2, {-2, 2}, 2, {-0.5, 0.5}},
};
constexpr Edge kEuclideanEdges[] = {kNormEdges[0], kNormEdges[1]};
constexpr Edge kDistEdges[] = {
    {"a = b", [](std::span<const Var> in) { return dist(in[0], in[1]); }, 2, {1, 1}, 0, {0, 0}}};
constexpr Edge kCdistEdges[] = {{"equal points",
                                 [](std::span<const Var> in) {
                                   return cdist(reshape(in[0], {1, 1}), reshape(in[1], {1, 1}));
                                 },
                                 2,
                                 {1, 1},
                                 0,
                                 {0, 0}}};

constexpr Op kEuclideanNorm{.name = "euclidean_norm",
                            .math = "y = √Σ x²",
                            .gradient = "x̄ = ȳ x / y; 0 where y = 0",
                            .edges = kEuclideanEdges,
                            .infer = floating_reduce_infer,
                            .kernel = euclidean_kernel,
                            .vjp = {{euclidean_vjp, reads_in(0) | kReadsOut}},
                            .reducer = euclidean_reducer,
                            .reduced_axes = reduced_axes,
                            .samples = euclidean_samples};

constexpr Op kVectorNorm =
    with_edges(composed("vector_norm", {"y = (Σ |x|ᵖ)^(1/p)", "x̄ = ȳ sign(x) (|x| / y)ᵖ⁻¹"},
                        vector_norm_samples),
               kNormEdges);
constexpr Op kMatrixNorm = composed("matrix_norm",
                                    {"y = √Σ x², or the extreme sum of |x| over rows or columns",
                                     "x̄ = ȳ x / y, or ȳ sign(x) where that sum was taken"},
                                    matrix_norm_samples);
constexpr std::string_view kByNorm = "that of the norm, and its negative";
constexpr Op kDist =
    with_edges(composed("dist", {"y = ‖a − b‖ₚ", kByNorm}, dist_samples), kDistEdges);
constexpr Op kPairwise =
    composed("pairwise_distance", {"y = ‖a − b + ε‖ₚ", kByNorm}, pairwise_samples);
constexpr Op kCdist =
    with_edges(composed("cdist", {"yᵢⱼ = ‖aᵢ − bⱼ‖ₚ", kByNorm}, cdist_samples), kCdistEdges);
constexpr Op kPdist = composed("pdist", {"yᵢⱼ = ‖xᵢ − xⱼ‖ₚ, i < j", kByNorm}, pdist_samples);
constexpr Op kCosine =
    composed("cosine_similarity", {"y = Σ a b / (‖a‖ ‖b‖)", "ā = ȳ (b/‖b‖ − y a/‖a‖) / ‖a‖"},
             cosine_samples);

}  // namespace

Var euclidean_norm(const Var& x, const Axes& axes, bool keepdims) {
  return over(kEuclideanNorm, x, axes, keepdims);
}

Var vector_norm(const Var& x, double p, const Axes& axes, bool keepdims) {
  check_floating("vector_norm", x);
  if (std::isnan(p)) throw ValueError("vector_norm", "p is NaN");
  if (p == 2) return euclidean_norm(x, axes, keepdims);
  if (p == 1) return sum(abs(x), axes, keepdims);
  if (p == 0) return sum(abs(sign(x)), axes, keepdims);
  if (p == kInfinity) return max(abs(x), axes, keepdims);
  if (p == -kInfinity) return min(abs(x), axes, keepdims);
  return power_norm(x, p, normalize_axes("vector_norm", axes, x.shape()), keepdims);
}

Var dist(const Var& a, const Var& b, double p) { return vector_norm(a - b, p); }

namespace {

// Norms that are made of singular values. The gradient of one that ties is shared.
Var singular_norm(const Var& x, MatrixNorm kind, const Axes& axes, bool keepdims) {
  const Var s = singular_values(movedim(x, axes, {-2, -1}));
  Var y = kind == MatrixNorm::nuclear    ? sum(s, Axes{-1})
          : kind == MatrixNorm::spectral ? max(s, -1)
                                         : min(s, -1);
  if (!keepdims) return y;
  for (const std::int64_t axis : normalize_axes("matrix_norm", axes, x.shape())) {
    y = unsqueeze(y, axis);
  }
  return y;
}

}  // namespace

Var matrix_norm(const Var& x, MatrixNorm kind, const Axes& axes, bool keepdims) {
  check_floating("matrix_norm", x);
  if (axes.rank() != 2) {
    throw ShapeError("matrix_norm", "axes " + axes.str() +
                                        ": must be that of the rows and that of " + "the columns");
  }
  normalize_axes("matrix_norm", axes, x.shape());  // two different ones
  if (kind >= MatrixNorm::nuclear) return singular_norm(x, kind, axes, keepdims);
  if (kind == MatrixNorm::frobenius) return euclidean_norm(x, axes, keepdims);
  const bool columns = kind == MatrixNorm::largest_column || kind == MatrixNorm::smallest_column;
  const bool largest = kind == MatrixNorm::largest_column || kind == MatrixNorm::largest_row;
  const Var sums = sum(abs(x), axes[columns ? 0 : 1], true);
  const Var y = largest ? max(sums, axes, true) : min(sums, axes, true);
  return keepdims ? y : squeeze(y, axes);
}

Var cosine_similarity(const Var& a0, const Var& b0, std::int64_t axis, double eps) {
  const Var a = beside(a0, b0), b = beside(b0, a);
  const Shape shape = broadcast("cosine_similarity", a.shape(), b.shape());
  const int at = normalize_axis("cosine_similarity", axis, shape);
  const auto direction = [&](const Var& x) {
    const Var whole = broadcast_to(x, shape);
    return whole / maximum(euclidean_norm(whole, at, true), eps);
  };
  return sum(direction(a) * direction(b), at);
}

Var pairwise_distance(const Var& a, const Var& b, double p, double eps, bool keepdims) {
  return vector_norm(a - b + eps, p, -1, keepdims);
}

Var cdist(const Var& a0, const Var& b0, double p) {
  const Var a = beside(a0, b0), b = beside(b0, a);
  if (a.rank() < 2 || b.rank() < 2 || a.shape()[a.rank() - 1] != b.shape()[b.rank() - 1]) {
    throw ShapeError("cdist", "points " + a.shape().str() + " and " + b.shape().str() +
                                  ": must be (…, points, coordinates) with equal coordinates");
  }
  return vector_norm(unsqueeze(a, -2) - unsqueeze(b, -3), p, -1);
}

Var pdist(const Var& x, double p) {
  if (x.rank() != 2) throw ShapeError("pdist", "points " + x.shape().str() + ": must be a matrix");
  std::vector<std::int64_t> first, second;
  for (std::int64_t i = 0; i < x.shape()[0]; ++i) {
    for (std::int64_t j = i + 1; j < x.shape()[0]; ++j) {
      first.push_back(i);
      second.push_back(j);
    }
  }
  return vector_norm(take(x, Tensor::from(first), 0) - take(x, Tensor::from(second), 0), p, -1);
}

namespace families {
Family distance() {
  return {&kEuclideanNorm, &kVectorNorm, &kMatrixNorm, &kDist,
          &kPairwise,      &kCdist,      &kPdist,      &kCosine};
}
}  // namespace families

}  // namespace xtape
