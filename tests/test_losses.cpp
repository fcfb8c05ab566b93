#include <limits>

#include "support.hpp"

namespace xtape {
namespace {

const double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

Tensor labels(std::vector<std::int64_t> l) { return Tensor::from(l); }

// The gradient of Σ f(x).
template <class F>
Tensor slope(const Tensor& x, F&& f) {
  Tape tape;
  const Var v = tape.variable(x);
  return tape.gradient(sum(f(v)), v, {.unconnected = Unconnected::zero});
}

}  // namespace

TEST_CASE("losses reduce as asked", "[losses]") {
  const Tensor y({{1, 2}, {3, 5}}), t = Tensor::zeros({2, 2}, f64);
  CHECK(l1_loss(y, t).item() == 2.75);
  CHECK(l1_loss(y, t, Reduction::sum).item() == 11);
  CHECK(l1_loss(y, t, Reduction::none).shape() == Shape{2, 2});
  CHECK(l1_loss(y, t, Reduction::batchmean).item() == 5.5);
  CHECK(huber_loss(y, t, {.reduction = Reduction::sum, .delta = 2}).item() == 0.5 + 2 + 4 + 8);
  CHECK(smooth_l1_loss(y, t, {.beta = 0}).item() == 2.75);
  CHECK(std::isnan(l1_loss(Tensor::zeros({0}), Tensor::zeros({0})).item()));
}

TEST_CASE("losses refuse wrong shapes, dtypes, labels and options", "[losses]") {
  const Tensor y = Tensor::zeros({2, 3}, f64);
  CHECK_THROWS_AS(l1_loss(y, Tensor::zeros({3}, f64)), ShapeError);
  CHECK_THROWS_AS(l1_loss(y, Tensor::zeros({2, 3}, f32)), DTypeError);
  CHECK_THROWS_AS(huber(y, 0), ValueError);
  CHECK_THROWS_AS(gaussian_nll_loss(y, y, y, {.eps = 0}), ValueError);
  CHECK_THROWS_AS(nll_loss(y, y), DTypeError);
  CHECK_THROWS_AS(nll_loss(y, labels({0, 1, 2})), ShapeError);
  CHECK_THROWS_AS(nll_loss(y, labels({0, 3})), ValueError);
  CHECK_THROWS_AS(nll_loss(y, labels({0, 1}), {.axis = 2}), ShapeError);
  CHECK_THROWS_AS(nll_loss(y, labels({0, 1}), {.weight = Tensor({1, 2})}), ShapeError);
  CHECK_THROWS_AS(cross_entropy(y, labels({0, 1}), {.label_smoothing = 2}), ValueError);
  CHECK_THROWS_AS(cross_entropy(Tensor::zeros({2, 1}), labels({0, 0})), ShapeError);
  CHECK_THROWS_AS(cosine_embedding_loss(y, y, y), ShapeError);
  CHECK_THROWS_AS(triplet_margin_loss(y, y, Tensor::zeros({3}, f64)), ShapeError);
  CHECK_THROWS_AS(triplet_margin_loss(y, y, y, {.p = -1}), ValueError);
  CHECK_THROWS_AS(multi_margin_loss(y, labels({0, 1}), {.p = 3}), ValueError);
  CHECK_THROWS_AS(multilabel_margin_loss(y, labels({0, 1})), ShapeError);
  CHECK_THROWS_AS(multilabel_margin_loss(y, y), DTypeError);
  const Tensor p = Tensor::zeros({4, 1, 3}, f64), one = labels({1});
  CHECK_THROWS_AS(ctc_loss(y, labels({1, 2}), one, one), ShapeError);
  CHECK_THROWS_AS(ctc_loss(p, Tensor::zeros({1, 2}, f64), one, one), DTypeError);
  CHECK_THROWS_AS(ctc_loss(p, Tensor::zeros({1, 2}, i64), labels({1, 1}), one), ShapeError);
  CHECK_THROWS_AS(ctc_loss(p, Tensor::zeros({1, 2}, i64), one, Tensor({1.0})), DTypeError);
  CHECK_THROWS_AS(ctc_loss(p, Tensor({{1, 3}}, i64), one, one), ValueError);
  CHECK_THROWS_AS(ctc_loss(p, Tensor({{1, 2}}, i64), one, one, {.blank = 3}), ValueError);
}

TEST_CASE("losses are right for huge and infinite numbers", "[losses]") {
  const Tensor z({-kInf, -1e300, 0, 1e300, kInf});
  const auto finite = [](const Tensor& g) { return all_finite(g); };
  const auto logits = [](double target) {
    return [target](const Var& x) {
      return binary_cross_entropy_with_logits(x, Tensor::full({5}, target, f64), Reduction::none);
    };
  };
  CHECK(logits(1)(z).value().flat(0) == kInf);
  CHECK(logits(1)(z).value().flat(4) == 0);
  CHECK(logits(0)(z).value().flat(0) == 0);
  CHECK(logits(0)(z).value().flat(3) == 1e300);
  CHECK(finite(slope(z, logits(0))));
  CHECK(finite(slope(z, logits(1))));
  CHECK(finite(slope(z, [](const Var& x) { return huber(x); })));
  CHECK(finite(slope(z, [](const Var& x) {
    return soft_margin_loss(x, Tensor::ones({5}, f64), Reduction::none);
  })));
  CHECK(huber(z, 2).value().flat(4) == kInf);

  const Tensor row({{1e300, -kInf, 0}});
  CHECK(cross_entropy(row, labels({0})).item() == 0);
  CHECK(cross_entropy(row, labels({2})).item() == 1e300);
  CHECK(finite(slope(row, [](const Var& x) { return cross_entropy(x, labels({0})); })));
  const Tensor logs({{0, -kInf, -1}});
  CHECK(nll_loss(logs, labels({2})).item() == 1);
  CHECK(finite(slope(logs, [](const Var& x) { return nll_loss(x, labels({2})); })));
  CHECK(kl_div(logs, Tensor({{1, 0, 0}}), {.reduction = Reduction::sum}).item() == 0);
  CHECK(finite(slope(logs, [](const Var& x) { return kl_div(x, Tensor({{1, 0, 0}})); })));
  CHECK(kl_div(logs, logs, {.log_target = true}).item() == 0);
  CHECK(poisson_nll_loss(Tensor({-kInf}), Tensor({0})).item() == 0);
}

TEST_CASE("ignored samples leak no NaN", "[losses]") {
  const Tensor z({{kNan, kNan}, {0, 0}});
  const auto loss = [](const Var& x) {
    return cross_entropy(x, labels({-100, 1}), {.ignore_index = -100});
  };
  CHECK(loss(z).item() == Approx(std::log(2)));
  CHECK(slope(z, loss).flat(0) == 0);
  CHECK(slope(z, loss).flat(3) == Approx(-0.5));
  // A mean over nothing is no number, its gradient is 0.
  const auto none = [](const Var& x) { return nll_loss(x, labels({1, 1}), {.ignore_index = 1}); };
  CHECK(std::isnan(none(Tensor({{1, 2}, {3, 4}})).item()));
  CHECK(identical(slope(Tensor({{1, 2}, {3, 4}}), none), Tensor::zeros({2, 2}, f64)));
}

TEST_CASE("losses take weights, smoothing and another axis", "[losses]") {
  const Tensor logits({{1, 2, 3}, {0, 1, 0}}), w({1, 2, 3});
  const Tensor target = labels({2, 1});
  const Tensor p = log_softmax(logits).value();
  const double a = -p.at({0, 2}), b = -p.at({1, 1});
  CHECK(cross_entropy(logits, target, {.weight = w}).item() == Approx((3 * a + 2 * b) / 5));
  CHECK(cross_entropy(logits, target, Reduction::sum).item() == Approx(a + b));
  CHECK(cross_entropy(transpose(logits), target, {.axis = 0}).item() == Approx((a + b) / 2));
  const double spread = -sum(p).item() / 3;
  CHECK(cross_entropy(logits, target, {.label_smoothing = 0.3}).item() ==
        Approx((0.7 * (a + b) + 0.3 * spread) / 2));
}

TEST_CASE("ctc_loss adds up all paths", "[losses]") {
  // Two steps, target "1": 11, 01, 10.
  const Tensor p({{0.6, 0.4}, {0.3, 0.7}});
  const auto loss = [](const Var& x) {
    return ctc_loss(log(reshape(x, {2, 1, 2})), Tensor({{1}}, i64), labels({2}), labels({1}));
  };
  CHECK(loss(p).item() == Approx(-std::log(0.4 * 0.7 + 0.6 * 0.7 + 0.4 * 0.3)));
  // A repeated label needs a blank between: three steps.
  const Tensor logs = Tensor::full({2, 1, 2}, std::log(0.5), f64);
  const auto twice = [](const Var& x, bool zero) {
    return ctc_loss(x, Tensor({{1, 1}}, i64), labels({2}), labels({2}), {.zero_infinity = zero});
  };
  CHECK(twice(logs, false).item() == kInf);
  CHECK(twice(logs, true).item() == 0);
  CHECK(identical(slope(logs, [&](const Var& x) { return twice(x, true); }),
                  Tensor::zeros({2, 1, 2}, f64)));
  CHECK(all_finite(slope(logs, [&](const Var& x) { return twice(x, false); })));
}

}  // namespace xtape
