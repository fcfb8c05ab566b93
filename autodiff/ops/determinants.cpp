#include <cmath>
#include <limits>

#include <xtape/autodiff/ops/cases.hpp>
#include <xtape/autodiff/ops/matrices.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace matrices;
namespace lapack = kernels::lapack;

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

// y[…, i, j] = Πₘ≠ᵢ,ⱼ sₘ of s[…, m].
Var products_without_two(const Var& s) {
  const Tensor one = identity(s.shape()[s.rank() - 1], s.dtype());
  const Var taken = unsqueeze(one, 1) + unsqueeze(one, 0);  // [i, j, m]: m is i or j
  return prod(where(taken > 0, 1, unsqueeze(unsqueeze(s, -2), -2)), -1);
}

// The second derivative of det at U diag(s) Vᵀ, in the basis of U and V: with G = Uᵀ c̄ V its
// diagonal is Σⱼ≠ᵢ Gⱼⱼ Πₘ≠ᵢ,ⱼ sₘ, the rest −Gⱼᵢ Πₘ≠ᵢ,ⱼ sₘ; all times the sign of det(U Vᵀ).
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
                   {{{2, 3, 3}}, call},
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

}  // namespace

Var det(const Var& a) { return apply(kDet, {&a}); }
Var cofactors(const Var& a) { return apply(kCofactors, {&a}); }

SignedLog slogdet(const Var& a) {
  const Var both = apply(kSlogdet, {&a});
  return {select(both, -1, 0), select(both, -1, 1)};
}

Var logdet(const Var& a) {
  const SignedLog y = slogdet(a);
  const Tensor none = Tensor::scalar(std::numeric_limits<double>::quiet_NaN(), a.dtype());
  return y.log + where(y.sign < 0, none, 0);
}

namespace families {
Family determinants() { return {&kSlogdet, &kDet, &kCofactors, &kLogdet}; }
}  // namespace families

}  // namespace xtape
