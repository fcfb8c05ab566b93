#include <limits>

#include "support.hpp"

namespace xtape {
namespace {

const double kInf = std::numeric_limits<double>::infinity();

template <class F>
Tensor slope(const Tensor& x, F&& f) {
  Tape tape;
  const Var v = tape.variable(x);
  return tape.gradient(sum(f(v)), v, {.unconnected = Unconnected::zero});
}

}  // namespace

TEST_CASE("standardize agrees with its formula over any axes, in f32 far from 0 too",
          "[normalization]") {
  Rng rng(3);
  for (const Axes& axes : {Axes{0}, Axes{1}, Axes{2}, Axes{0, 2}, Axes{1, 2}, Axes{}}) {
    const Tensor x = rng.uniform({3, 70, 5}, 1000, 1001, f64);
    const Var m = mean(x, axes, true);
    const Var expected = (x - m) / sqrt(mean(square(x - m), axes, true) + 1e-5);
    CHECK(test::relative_difference(standardize(x, axes).value(), expected.value()) <= 1e-9);
    const Tensor narrow = x.to(f32);
    const Tensor wide = standardize(narrow.to(f64), axes).value();
    CHECK(test::relative_difference(standardize(narrow, axes).value().to(f64), wide) <= 1e-5);
  }
}

TEST_CASE("batch_norm and instance_norm give running statistics", "[normalization]") {
  const Tensor x({{1, 10}, {3, 30}});
  const Tensor zero = Tensor::zeros({2}, f64), one = Tensor::ones({2}, f64);
  const BatchNorm r = batch_norm(x, {.running_mean = zero, .running_var = one, .momentum = 0.5});
  CHECK(identical(r.running_mean.value(), Tensor({1, 10})));
  CHECK(identical(r.running_var.value(), Tensor({1.5, 100.5})));
  CHECK(batch_norm(x).y.value().flat(0) == Approx(-1).epsilon(1e-4));
  CHECK(!batch_norm(x).running_mean.defined());

  const BatchNorm by = batch_norm(
      x, {.running_mean = one, .running_var = 4.0 * Var(one), .training = false, .eps = 0});
  CHECK(identical(by.y.value(), Tensor({{0, 4.5}, {1, 14.5}})));
  CHECK(identical(by.running_mean.value(), one));

  const BatchNorm i =
      instance_norm(reshape(x, {2, 1, 2}),
                    {.running_mean = Tensor({0.0}), .running_var = Tensor({0.0}), .momentum = 1});
  CHECK(i.running_mean.item() == 11);
  CHECK(i.running_var.item() == (40.5 + 364.5) / 2);

  // They are constants for gradients, and can be assigned in a program.
  const Tensor g = slope(x, [&](const Var& v) {
    return batch_norm(v, {.running_mean = zero, .running_var = one}).running_mean;
  });
  CHECK(identical(g, Tensor::zeros({2, 2}, f64)));
}

TEST_CASE("normalizations refuse what does not fit", "[normalization]") {
  const Tensor x = Tensor::zeros({2, 4, 3}, f64);
  CHECK_THROWS_AS(standardize(x, 3), ShapeError);
  CHECK_THROWS_AS(standardize(x.to(i64)), DTypeError);
  CHECK_THROWS_AS(layer_norm(x, {4}), ShapeError);
  CHECK_THROWS_AS(layer_norm(x, {}), ShapeError);
  CHECK_THROWS_AS(rms_norm(x, {3}, {.weight = Tensor({1, 2})}), ShapeError);
  CHECK_THROWS_AS(group_norm(x, 3), ShapeError);
  CHECK_THROWS_AS(group_norm(x, 0), ShapeError);
  CHECK_THROWS_AS(batch_norm(Tensor::zeros({3})), ShapeError);
  CHECK_THROWS_AS(batch_norm(Tensor::zeros({1, 3})), ShapeError);
  CHECK_THROWS_AS(batch_norm(x, {.running_mean = Tensor({1, 2})}), ShapeError);
  CHECK_THROWS_AS(batch_norm(x, {.training = false}), ValueError);
  CHECK_THROWS_AS(instance_norm(Tensor::zeros({3, 2})), ShapeError);
  CHECK_THROWS_AS(normalize(x, -1), ValueError);
  CHECK_THROWS_AS(renorm(x, 2, 0, -1), ValueError);
  CHECK_THROWS_AS(renorm(Tensor({1, 2}), 2, 0, 1), ShapeError);
  CHECK_THROWS_AS(local_response_norm(x, 0), ValueError);
  CHECK_THROWS_AS(local_response_norm(Tensor({1, 2}), 1), ShapeError);
}

TEST_CASE("normalize has a finite gradient at 0", "[normalization]") {
  for (const double p : {0.0, 0.5, 1.0, 2.0, 3.0, kInf}) {
    const auto f = [p](const Var& x) { return normalize(x, p, -1, 0.5); };
    CHECK(all_finite(slope(Tensor::zeros({2, 3}, f64), f)));
  }
}

TEST_CASE("attention without a key gives 0 and no NaN", "[attention]") {
  const Tensor q({{1, 2}, {3, 4}}), k({{1, 0}, {0, 1}}), v({{5}, {7}});
  const Tensor mask = Tensor({{0, 0}, {1, 0}}).to(boolean);
  const Tensor numbers({{-kInf, -kInf}, {0, -kInf}});
  for (const Tensor& m : {mask, numbers}) {
    Tape tape;
    const Var x = tape.variable(q), y = tape.variable(k), z = tape.variable(v);
    const Attention a = scaled_dot_product_attention(x, y, z, {.mask = m});
    CHECK(identical(a.output.value(), Tensor({{0}, {7 - 2.0}})));
    CHECK(identical(a.weights.value(), Tensor({{0, 0}, {1, 0}})));
    const auto g = gradient(sum(a.output), {x, y, z});
    const auto second =
        gradient(sum(g[0]) + sum(g[1]) + sum(g[2]), {x, y, z}, {.unconnected = Unconnected::zero});
    for (const Var& s : g) CHECK(all_finite(s.value()));
    for (const Var& s : second) CHECK(all_finite(s.value()));
  }
  const Var causal = scaled_dot_product_attention(q, k, v, {.causal = true}).weights;
  CHECK(causal.value().at({0, 1}) == 0);
  CHECK_THROWS_AS(scaled_dot_product_attention(q, Tensor({{1.0}}), v), ShapeError);
  CHECK_THROWS_AS(scaled_dot_product_attention(q, k, v, {.dropout_p = 0.5}), ValueError);
  Generator g(1);
  const AttentionOptions half{.dropout_p = 0.5, .generator = &g};
  CHECK(scaled_dot_product_attention(q, k, v, half).output.shape() == Shape{2, 1});
}

TEST_CASE("embedding takes rows and scales their gradients", "[embedding]") {
  const Tensor w({{1, 2}, {3, 4}, {5, 6}});
  const Tensor index = Tensor::from(std::vector<std::int64_t>{2, 0, 2});
  CHECK(identical(embedding(index, w).value(), Tensor({{5, 6}, {1, 2}, {5, 6}})));
  const auto by = [&](EmbeddingOptions o) {
    return slope(w, [&](const Var& x) { return embedding(index, x, o); });
  };
  CHECK(identical(by({}), Tensor({{1, 1}, {0, 0}, {2, 2}})));
  CHECK(identical(by({.padding_idx = -1}), Tensor({{1, 1}, {0, 0}, {0, 0}})));
  CHECK(identical(by({.scale_grad_by_freq = true}), Tensor({{1, 1}, {0, 0}, {1, 1}})));
  CHECK_THROWS_AS(embedding(Tensor({3}, i64), w), ValueError);
  CHECK_THROWS_AS(embedding(Tensor({-1}, i64), w), ValueError);
  CHECK_THROWS_AS(embedding(Tensor({1.0}), w), DTypeError);
  CHECK_THROWS_AS(embedding(index, Tensor({1, 2})), ShapeError);
  CHECK_THROWS_AS(embedding(index, w, {.padding_idx = 3}), ValueError);
}

TEST_CASE("embedding_bag joins rows", "[embedding]") {
  const Tensor w({{1, 2}, {3, 4}, {5, 0}});
  const Tensor index = Tensor::from(std::vector<std::int64_t>{2, 0, 2, 1});
  const Tensor offsets = Tensor::from(std::vector<std::int64_t>{0, 2, 2});
  const auto bag = [&](Bag mode, bool last = false) {
    return embedding_bag(index, w, {.mode = mode, .offsets = offsets, .include_last_offset = last})
        .value();
  };
  CHECK(identical(bag(Bag::sum), Tensor({{6, 2}, {0, 0}, {8, 4}})));
  CHECK(identical(bag(Bag::mean), Tensor({{3, 1}, {0, 0}, {4, 2}})));
  CHECK(identical(bag(Bag::max), Tensor({{5, 2}, {0, 0}, {5, 4}})));
  CHECK(identical(bag(Bag::sum, true), Tensor({{6, 2}, {0, 0}})));
  CHECK_THROWS_AS(embedding_bag(index, w), ShapeError);
  CHECK_THROWS_AS(embedding_bag(index, w, {.offsets = Tensor({0.0})}), DTypeError);
  CHECK_THROWS_AS(embedding_bag(index, w, {.offsets = Tensor({1}, i64)}), ValueError);
  CHECK_THROWS_AS(
      embedding_bag(index, w, {.offsets = offsets, .per_sample_weights = Tensor({1, 2, 3, 4})}),
      ValueError);
}

}  // namespace xtape
