#include <cmath>
#include <limits>
#include <numbers>

#include <xtape/autodiff/ops/loss_rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;
using losses::targets;

Var difference(const char* loss, const Var& prediction, const Var& target) {
  const Var y = beside(prediction, target);
  return y - targets(loss, y, target);
}

// `other` may not make more of the losses than there are.
void require_within(const char* loss, const char* what, const Var& other, const Shape& shape) {
  if (broadcast(loss, other.shape(), shape) == shape) return;
  throw ShapeError(loss, std::string(what) + " of shape " + other.shape().str() +
                             " for losses of shape " + shape.str() + ": must broadcast to it");
}

Var weighted(const char* loss, const Var& each, const Var& weight) {
  if (!weight.defined()) return each;
  require_within(loss, "weights", weight, each.shape());
  return each * weight;
}

// --- huber ----------------------------------------------------------------------------------

template <class T>
struct Huber {
  T delta;
  explicit Huber(const double* p) : delta(static_cast<T>(p[0])) {}
  XTAPE_INLINE T operator()(T x) const {
    const T c = x < -delta ? -delta : x > delta ? delta : x;
    return c * (x - c / 2);
  }
};

Var huber_vjp(const Vjp& v) {
  const double delta = v.attrs<Params>().p[0];
  return chain(v.ct, clamp(v.in(0), -delta, delta));
}
Var huber_of_1(const Var& x) { return huber(x, 1); }

constexpr Edge kHuberEdges[] = {
    {"x = δ", [](Values x) { return huber(x[0], 0.5); }, 1, {0.5}, 0.125, {0.5}},
    {"x = −δ", [](Values x) { return huber(x[0], 0.5); }, 1, {-0.5}, 0.125, {-0.5}}};
constexpr Op kHuber = with_edges(
    avoiding(
        parametric<Huber>(
            "huber", {"y = ½ x² where |x| ≤ δ, else δ (|x| − ½ δ)", "x̄ = ȳ x limited to [−δ, δ]"},
            {huber_vjp, reads_in(0)}, called_samples<huber_of_1>),
        -1, 1),
    kHuberEdges);

// --- composed -------------------------------------------------------------------------------

template <Var (*kLoss)(const Var&, const Var&, Reduction)>
std::vector<Sample> pair_samples(const Sampler& s) {
  return losses::elementwise_samples(s, {{0.2, 1.2}, {-1, 0.1}},
                                     [](Values in, Reduction r) { return kLoss(in[0], in[1], r); });
}
constexpr Op kMse = composed("mse_loss", {"L = mean (y − t)²", "ȳ = 2 L̄ (y − t)/n, t̄ = −ȳ"},
                             pair_samples<mse_loss>);
constexpr Op kHalfSquared =
    composed("half_squared_error", {"L = ½ Σ (y − t)²", "ȳ = L̄ (y − t), t̄ = −ȳ"},
             pair_samples<half_squared_error>);
constexpr Edge kL1Edges[] = {
    {"y = t", [](Values x) { return l1_loss(x[0], x[1]); }, 2, {0.5, 0.5}, 0, {0, 0}}};
constexpr Op kL1 = with_edges(
    composed("l1_loss", {"L = mean |y − t|", "ȳ = L̄ sign(y − t)/n, t̄ = −ȳ"}, pair_samples<l1_loss>),
    kL1Edges);

std::vector<Sample> huber_loss_samples(const Sampler& s) {
  // Differences on both sides of δ = 1, none near it.
  auto out = losses::elementwise_samples(s, {{1.3, 2}, {-1, 0.2}}, [](Values in, Reduction r) {
    return huber_loss(in[0], in[1], {.reduction = r});
  });
  const auto more = losses::elementwise_samples(s, {{0.1, 0.5}, {-0.4, 0}}, [](Values in, auto r) {
    return huber_loss(in[0], in[1], {.reduction = r, .delta = 2.5});
  });
  out.insert(out.end(), more.begin(), more.end());
  return out;
}
constexpr Op kHuberLoss =
    composed("huber_loss", {"L = mean huber(y − t)", "ȳ = L̄ (y − t limited to [−δ, δ])/n, t̄ = −ȳ"},
             huber_loss_samples);

std::vector<Sample> smooth_l1_samples(const Sampler& s) {
  auto out = losses::elementwise_samples(s, {{1.3, 2}, {-1, 0.2}}, [](Values in, Reduction r) {
    return smooth_l1_loss(in[0], in[1], {.reduction = r, .beta = 3.5});
  });
  const auto more = losses::elementwise_samples(s, {{0.1, 0.5}, {-0.4, 0}}, [](Values in, auto r) {
    return smooth_l1_loss(in[0], in[1], {.reduction = r, .beta = 0});
  });
  out.insert(out.end(), more.begin(), more.end());
  return out;
}
constexpr Op kSmoothL1 =
    composed("smooth_l1_loss",
             {"L = mean huber(y − t)/β, δ = β", "ȳ = L̄ ((y − t)/β limited to [−1, 1])/n, t̄ = −ȳ"},
             smooth_l1_samples);

std::vector<Sample> poisson_samples(const Sampler& s) {
  auto out = losses::elementwise_samples(s, {{-1, 1}, {1.1, 3}}, [](Values in, Reduction r) {
    return poisson_nll_loss(in[0], in[1], {.reduction = r, .full = true});
  });
  const auto more = losses::elementwise_samples(s, {{0.3, 2}, {0.1, 0.9}}, [](Values in, auto r) {
    return poisson_nll_loss(in[0], in[1], {.reduction = r, .log_input = false, .full = true});
  });
  out.insert(out.end(), more.begin(), more.end());
  return out;
}
constexpr Op kPoisson = composed(
    "poisson_nll_loss", {"L = mean (eʸ − t y)", "ȳ = L̄ (eʸ − t)/n, t̄ = −L̄ y/n"}, poisson_samples);

std::vector<Sample> gaussian_samples(const Sampler& s) {
  auto out = losses::elementwise_samples(s, {{-1, 1}, {-1, 1}, {0.4, 2}}, [](Values in, auto r) {
    return gaussian_nll_loss(in[0], in[1], in[2], {.reduction = r, .full = true});
  });
  out.push_back({"variance broadcasts, some too small",
                 {s.draw({2, 3}), s.draw({2, 3}), Tensor({{0.1}, {0.9}}).to(s.dtype)},
                 [](Values in) { return gaussian_nll_loss(in[0], in[1], in[2], {.eps = 0.5}); }});
  return out;
}
constexpr Edge kGaussianEdges[] = {
    {"variance = ε",
     [](Values x) { return gaussian_nll_loss(x[0], 0.0 * x[0], x[1], {.eps = 1}); },
     2,
     {2, 1},
     2,
     {2, 0}}};
constexpr Op kGaussian =
    with_edges(composed("gaussian_nll_loss",
                        {"L = mean ½ (ln v + (y − t)²/v)",
                         "ȳ = L̄ (y − t)/(n v), t̄ = −ȳ, v̄ = ½ L̄ (1 − (y − t)²/v)/(n v), 0 below ε"},
                        gaussian_samples),
               kGaussianEdges);

std::vector<Sample> bce_samples(const Sampler& s) {
  auto out = losses::elementwise_samples(s, {{0.1, 0.9}, {0, 1}}, [](Values in, Reduction r) {
    return binary_cross_entropy(in[0], in[1], r);
  });
  out.push_back({"weights",
                 {s.draw({2, 3}, 0.1, 0.9), s.draw({2, 3}, 0, 1), s.draw({3}, 0.5, 2)},
                 [](Values in) { return binary_cross_entropy(in[0], in[1], {.weight = in[2]}); }});
  return out;
}
constexpr Edge kBceEdges[] = {{"p = 0, t = 1",
                               [](Values x) { return binary_cross_entropy(x[0], 0 * x[0] + 1); },
                               1,
                               {0},
                               100,
                               {0}},
                              {"p = 1, t = 0",
                               [](Values x) { return binary_cross_entropy(x[0], 0 * x[0]); },
                               1,
                               {1},
                               100,
                               {0}}};
constexpr Op kBce =
    with_edges(composed("binary_cross_entropy",
                        {"L = mean (−t ln p − (1 − t) ln(1 − p)), logarithms cut off at −100",
                         "p̄ = L̄ (p − t)/(n p (1 − p)), 0 for the part that is cut off"},
                        bce_samples),
               kBceEdges);

std::vector<Sample> logits_samples(const Sampler& s) {
  auto out = losses::elementwise_samples(s, {{-3, 3}, {0, 1}}, [](Values in, Reduction r) {
    return binary_cross_entropy_with_logits(in[0], in[1], r);
  });
  out.push_back({"weights",
                 {s.draw({2, 3}), s.draw({2, 3}, 0, 1), s.draw({3}, 0.5, 2), s.draw({3}, 0.5, 2)},
                 [](Values in) {
                   return binary_cross_entropy_with_logits(in[0], in[1],
                                                           {.weight = in[2], .pos_weight = in[3]});
                 }});
  return out;
}
constexpr Op kLogits = composed(
    "binary_cross_entropy_with_logits",
    {"L = mean (t softplus(−z) + (1 − t) softplus(z))", "z̄ = L̄ (sigmoid(z) − t)/n, t̄ = −L̄ z/n"},
    logits_samples);

std::vector<Sample> kl_samples(const Sampler& s) {
  auto out = losses::elementwise_samples(s, {{-3, 0}, {0.1, 1}}, [](Values in, Reduction r) {
    return kl_div(in[0], in[1], {.reduction = r});
  });
  const auto more = losses::elementwise_samples(s, {{-3, 0}, {-3, 0}}, [](Values in, auto r) {
    return kl_div(in[0], in[1], {.reduction = r, .log_target = true});
  });
  out.insert(out.end(), more.begin(), more.end());
  return out;
}
constexpr Edge kKlEdges[] = {
    {"t = 0", [](Values x) { return kl_div(x[0], x[1]); }, 2, {-1, 0}, 0, {0, 0}}};
constexpr Op kKl = with_edges(composed("kl_div",
                                       {"L = mean t (ln t − y), 0 where t = 0",
                                        "ȳ = −L̄ t/n, t̄ = L̄ (ln t + 1 − y)/n, 0 where t = 0"},
                                       kl_samples),
                              kKlEdges);

}  // namespace

Var mse_loss(const Var& y, const Var& target, Reduction r) {
  return losses::reduced(square(difference("mse_loss", y, target)), r);
}

Var half_squared_error(const Var& y, const Var& target, Reduction r) {
  return 0.5 * losses::reduced(square(difference("half_squared_error", y, target)), r);
}

Var l1_loss(const Var& y, const Var& target, Reduction r) {
  return losses::reduced(abs(difference("l1_loss", y, target)), r);
}

Var huber(const Var& x, double delta) {
  if (!(delta > 0)) {
    throw ValueError("huber", "delta = " + detail::text(delta) + ": must be positive");
  }
  return apply(kHuber, {&x}, make_attrs(Params{delta}));
}

Var huber_loss(const Var& y, const Var& target, const HuberOptions& o) {
  return losses::reduced(huber(difference("huber_loss", y, target), o.delta), o.reduction);
}

Var smooth_l1_loss(const Var& y, const Var& target, const SmoothL1Options& o) {
  const Var d = difference("smooth_l1_loss", y, target);
  if (o.beta == 0) return losses::reduced(abs(d), o.reduction);
  return losses::reduced(huber(d, o.beta) / o.beta, o.reduction);
}

Var poisson_nll_loss(const Var& prediction, const Var& target, const PoissonNllOptions& o) {
  const Var y = beside(prediction, target);
  const Var t = beside(targets("poisson_nll_loss", y, target), y);
  Var each = o.log_input ? exp(y) - chain(t, y) : y - chain(t, log(y + o.eps));
  if (o.full) {
    const Var many = t > 1, n = where(many, t, 1);
    const Var stirling = n * log(n) - n + 0.5 * log(2 * std::numbers::pi * n);
    each = each + where(many, stirling, 0);
  }
  return losses::reduced(each, o.reduction);
}

Var gaussian_nll_loss(const Var& prediction, const Var& target, const Var& variance,
                      const GaussianNllOptions& o) {
  if (!(o.eps > 0)) {
    throw ValueError("gaussian_nll_loss", "eps = " + detail::text(o.eps) + ": must be positive");
  }
  const Var y = beside(prediction, variance);
  require_within("gaussian_nll_loss", "variances", variance, y.shape());
  const Var v = clamp(beside(variance, y), o.eps, std::numeric_limits<double>::infinity());
  Var each = 0.5 * (log(v) + square(difference("gaussian_nll_loss", y, target)) / v);
  if (o.full) each = each + 0.5 * std::log(2 * std::numbers::pi);
  return losses::reduced(each, o.reduction);
}

Var binary_cross_entropy(const Var& prediction, const Var& target,
                         const BinaryCrossEntropyOptions& o) {
  const Var p = beside(prediction, target);
  const Var t = beside(targets("binary_cross_entropy", p, target), p);
  const Var on = maximum(log(p), -100), off = maximum(log1p(-p), -100);
  return losses::reduced(weighted("binary_cross_entropy", -(t * on + (1 - t) * off), o.weight),
                         o.reduction);
}
Var binary_cross_entropy(const Var& p, const Var& target, Reduction r) {
  return binary_cross_entropy(p, target, BinaryCrossEntropyOptions{.reduction = r});
}

Var binary_cross_entropy_with_logits(const Var& logits, const Var& target, const LogitsOptions& o) {
  constexpr const char* kLoss = "binary_cross_entropy_with_logits";
  const Var z = beside(logits, target);
  const Var t = beside(targets(kLoss, z, target), z);
  // Both terms stay precise where they are small; chain: 0 · ∞ is 0 for a certain target.
  const Var each =
      chain(weighted(kLoss, t, o.pos_weight), softplus(-z)) + chain(1 - t, softplus(z));
  return losses::reduced(weighted(kLoss, each, o.weight), o.reduction);
}
Var binary_cross_entropy_with_logits(const Var& z, const Var& target, Reduction r) {
  return binary_cross_entropy_with_logits(z, target, LogitsOptions{.reduction = r});
}

Var kl_div(const Var& log_q, const Var& target, const KlDivOptions& o) {
  const Var y = beside(log_q, target);
  if (o.log_target && target.dtype() == i64) {
    throw DTypeError("kl_div",
                     "labels are no logarithms: give the target itself, or log_target = false");
  }
  const Var t = beside(targets("kl_div", y, target), y);
  const Var each = o.log_target ? chain(exp(t), t - y) : where(equal(t, 0), 0, t * (log(t) - y));
  return losses::reduced(each, o.reduction);
}

namespace families {
Family losses() {
  return {&kMse,     &kHalfSquared, &kL1,  &kHuber,  &kHuberLoss, &kSmoothL1,
          &kPoisson, &kGaussian,    &kBce, &kLogits, &kKl};
}
}  // namespace families

}  // namespace xtape
