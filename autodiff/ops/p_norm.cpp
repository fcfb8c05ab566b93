#include <cmath>
#include <limits>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/p_norm.hpp>
#include <xtape/autodiff/ops/rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// x^p, with slope 0 at 0.
Var power(const Var& x, double p) {
  const Var none = equal(x, 0);
  return where(none, 0, pow(where(none, 1, x), p));
}

std::vector<Sample> normalize_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, double p, std::int64_t axis, double eps) {
    out.push_back({shape.str() + " p " + detail::text(p), {s.draw(shape)}, [=](Values in) {
                     return normalize(in[0], p, axis, eps);
                   }});
  };
  for (const double p : {2.0, 1.0, 3.0, 0.0, 0.5, kInfinity}) add({3, 4}, p, -1, 1e-12);
  add({5}, 2, 0, 100);  // by eps
  add({2, 3, 1, 2}, 2, 1, 1e-12);
  add({0, 3}, 2, 1, 1e-12);
  add({2, 2}, 2, -2, 1e-3);
  return out;
}
constexpr Edge kNormalizeEdges[] = {
    {"x = 0",
     [](Values x) { return sum(normalize(reshape(x[0], {1}), 2, 0, 0.5)); },
     1,
     {0},
     0,
     {2}}};
constexpr Op kNormalize =
    with_edges(avoiding(composed("normalize",
                                 {"y = x/max(‖x‖ₚ, ε)", "x̄ = (ȳ − ∂‖x‖/∂x Σ ȳ y)/‖x‖, ȳ/ε below ε"},
                                 normalize_samples),
                        0),
               kNormalizeEdges);

std::vector<Sample> renorm_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, double p, std::int64_t axis, double maxnorm) {
    out.push_back({shape.str() + " p " + detail::text(p) + " maxnorm " + detail::text(maxnorm),
                   {s.draw(shape)},
                   [=](Values in) { return renorm(in[0], p, axis, maxnorm); }});
  };
  add({3, 4}, 2, 0, 0.5);
  add({3, 4}, 1, -1, 3);
  add({2, 3, 2}, 2, 1, 100);
  add({2, 2, 2, 2}, kInfinity, 2, 0.5);
  add({0, 3}, 2, 1, 0.5);
  return out;
}
constexpr Op kRenorm = avoiding(composed("renorm",
                                         {"y = x m/(‖x‖ₚ + 10⁻⁷) where ‖x‖ₚ > m, else x",
                                          "through the norm where it is larger than m, else ȳ"},
                                         renorm_samples),
                                0);

std::vector<Sample> response_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, std::int64_t size, LocalResponseOptions o) {
    out.push_back({shape.str() + " size " + std::to_string(size), {s.draw(shape)}, [=](Values in) {
                     return local_response_norm(in[0], size, o);
                   }});
  };
  add({2, 3}, 2, {.alpha = 1});
  add({2, 4, 2}, 3, {.alpha = 0.5, .beta = 0.5, .k = 2});
  add({1, 3, 2, 2}, 1, {.alpha = 2});
  add({2, 2, 1}, 5, {.alpha = 2});
  add({0, 2, 3}, 2, {});
  return out;
}
constexpr Op kResponse =
    composed("local_response_norm",
             {"y = x/(k + α m)^β, m the mean square of channels around", "through m and x"},
             response_samples);

}  // namespace

Var p_norm(const char* op, const Var& x, double p, const Axes& axes) {
  if (!(p >= 0)) throw ValueError(op, "p = " + detail::text(p) + ": must not be negative");
  if (p == 0) return sum(cast(not_equal(x, 0), x.dtype()), axes, true);
  if (p == 1) return sum(abs(x), axes, true);
  if (p == kInfinity) return max(abs(x), axes, true);
  if (p != 2) return power(sum(power(abs(x), p), axes, true), 1 / p);
  const Var squares = sum(square(x), axes, true), none = equal(squares, 0);
  return where(none, 0, sqrt(where(none, 1, squares)));
}

Var normalize(const Var& x, double p, std::int64_t axis, double eps) {
  return x / clamp(p_norm("normalize", x, p, axis), eps, kInfinity);
}

Var renorm(const Var& x, double p, std::int64_t axis, double maxnorm) {
  if (!(maxnorm >= 0)) {
    throw ValueError("renorm", "maxnorm = " + detail::text(maxnorm) + ": must not be negative");
  }
  const int kept = normalize_axis("renorm", axis, x.shape());
  Axes axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != kept) axes.push_back(i);
  }
  if (axes.empty()) throw ShapeError("renorm", "x of shape " + x.shape().str() + ": needs 2 axes");
  const Var norm = p_norm("renorm", x, p, axes);
  return x * where(norm > maxnorm, maxnorm / (norm + 1e-7), 1);
}

Var local_response_norm(const Var& x, std::int64_t size, const LocalResponseOptions& o) {
  if (size < 1) {
    throw ValueError("local_response_norm",
                     "size = " + std::to_string(size) + ": must be 1 or more");
  }
  if (x.rank() < 2) {
    throw ShapeError("local_response_norm",
                     "x of shape " + x.shape().str() + ": must be [batch, channels, …]");
  }
  const std::int64_t channels = x.shape()[1], before = size / 2;
  Shape outside = x.shape();
  outside[1] = before;
  const Var zeros = Tensor::zeros(outside, x.dtype());
  outside[1] = size - 1 - before;
  const Var squares = concat({zeros, square(x), Tensor::zeros(outside, x.dtype())}, 1);
  Var total = slice(squares, 1, {0, channels});
  for (std::int64_t i = 1; i < size; ++i) total += slice(squares, 1, {i, i + channels});
  return x / pow(total * (o.alpha / static_cast<double>(size)) + o.k, o.beta);
}

namespace families {
Family norms() { return {&kNormalize, &kRenorm, &kResponse}; }
}  // namespace families

}  // namespace xtape
