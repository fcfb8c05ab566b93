#include <limits>

#include <xtape/autodiff/program.hpp>

#include "support.hpp"

// Reductions, scans, order, norms and distances: values, edges and errors that the registry suite
// cannot know.
namespace xtape {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

template <class F>
Tensor gradient_of(F f, const Tensor& at) {
  Tape tape;
  const Var x = tape.variable(at);
  return tape.gradient(sum(f(x)), x, {.unconnected = Unconnected::zero});
}

template <class F>
Tensor hessian_row(F f, const Tensor& at, std::int64_t row) {
  Tape tape;
  const Var x = tape.variable(at);
  return tape.gradient(slice(gradient(f(x), x), 0, {row, row + 1}), x,
                       {.cotangent = Tensor({1.0}), .unconnected = Unconnected::zero});
}

const auto product = [](const Var& x) { return prod(x); };

}  // namespace

TEST_CASE("prod is exact with zeros at orders 1 and 2", "[reductions]") {
  CHECK(identical(gradient_of(product, Tensor({2, 0, 3})), Tensor({0.0, 6, 0})));
  CHECK(identical(gradient_of(product, Tensor({0, 0, 3})), Tensor({0.0, 0, 0})));
  CHECK(identical(hessian_row(product, Tensor({2, 0, 3}), 0), Tensor({0.0, 3, 0})));
  CHECK(identical(hessian_row(product, Tensor({0, 0, 3}), 0), Tensor({0.0, 3, 0})));
  CHECK(identical(hessian_row(product, Tensor({0, 0, 0}), 0), Tensor({0.0, 0, 0})));
  CHECK(prod(Tensor::zeros({0, 3}, f64), 0).value().str() == "[1, 1, 1]");
  CHECK(prod(Tensor({2, 3}).to(i64)).item() == 6);
  // Over axes that do not stand together.
  const Tensor x = reshape(Tensor({1, 2, 3, 4, 5, 6, 7, 8}), {2, 2, 2}).value();
  CHECK(prod(x, {0, 2}).value().str() == "[60, 672]");
  CHECK(gradient_of([](const Var& v) { return prod(v, {0, 2}); }, x).at({1, 0, 1}) == 10);
}

TEST_CASE("prod, any and all run in programs", "[reductions]") {
  const Tensor x({{1, 2, 3}, {4, 0, 6}});
  Program p = compile(
      [](std::span<const Var> in) {
        return std::vector<Var>{prod(in[0] * 2 + 1, 1), any(in[0], 0), all(in[0], 1),
                                gradient(sum(prod(in[0], 0)), in[0])};
      },
      std::vector<Spec>{x.spec()});
  const auto y = p.run({x});
  CHECK(y[0].str() == "[105, 117]");
  CHECK(identical(y[1], any(x, 0).value()));
  CHECK(identical(y[2], all(x, 1).value()));
  CHECK(identical(y[3], Tensor({{4.0, 0, 6}, {1, 2, 3}})));
}

TEST_CASE("std of equal elements has gradient 0, and cancels nothing", "[reductions]") {
  CHECK(identical(gradient_of([](const Var& x) { return stddev(x); }, Tensor({4, 4, 4})),
                  Tensor({0.0, 0, 0})));
  CHECK(xtape::var(Tensor({1e9 + 1, 1e9 + 2, 1e9 + 3})).item() == 1);
  CHECK(std::isnan(xtape::var(Tensor({1.0})).item()));
  CHECK(xtape::var(Tensor({1.0}), {}, 0).item() == 0);
  CHECK(std::isnan(xtape::var(Tensor::zeros({0}, f64)).item()));
  CHECK(std::isnan(stddev(Tensor({1, kNan})).item()));
  const Moments m = var_mean(Tensor({{1, 3}, {5, 9}}), 1, 0);
  CHECK(m.spread.value().str() == "[1, 4]");
  CHECK(m.mean.value().str() == "[2, 7]");
}

TEST_CASE("NaN is skipped by nansum and nanmean alone", "[reductions]") {
  const Tensor x({1, kNan, 3});
  CHECK(nansum(x).item() == 4);
  CHECK(nanmean(x).item() == 2);
  CHECK(identical(gradient_of([](const Var& v) { return nanmean(v); }, x), Tensor({0.5, 0, 0.5})));
  CHECK(std::isnan(nanmean(Tensor({kNan})).item()));
  CHECK(std::isnan(median(x).item()));
  CHECK(median(x, 0).indices.item() == 1);
  CHECK(std::isnan(quantile(x, 0.5).item()));
  CHECK(kthvalue(x, 2).values.item() == 3);  // NaN is the largest
  CHECK(count_nonzero(Tensor({0, kNan, 2})).item() == 2);
}

TEST_CASE("any and all take every dtype, and no elements", "[reductions]") {
  CHECK(any(Tensor({0, 2})).item() == 1);
  CHECK(all(Tensor({0, 2}).to(i64)).item() == 0);
  CHECK(all(Tensor({1, 2}).to(boolean)).item() == 1);
  CHECK(any(Tensor::zeros({0}, f64)).item() == 0);
  CHECK(all(Tensor::zeros({0}, f64)).item() == 1);
}

TEST_CASE("softmax, log_softmax and logsumexp at the ends", "[reductions]") {
  for (const DType dtype : {f32, f64}) {
    const Tensor low = Tensor({-kInf, -kInf}, dtype), high = Tensor({kInf, 1}, dtype);
    CHECK(logsumexp(low).item() == -kInf);
    CHECK(logsumexp(high).item() == kInf);
    CHECK(logsumexp(Tensor::zeros({0}, dtype)).item() == -kInf);
    CHECK(log_softmax(Tensor({-kInf, 1}, dtype)).value().str() == "[-inf, 0]");
    CHECK(softmax(Tensor({3e38, -3e38}, dtype)).value().str() == "[1, 0]");
    CHECK(softmin(Tensor({3e38, -3e38}, dtype)).value().str() == "[0, 1]");
    CHECK(softmax(Tensor::zeros({2, 0}, dtype)).shape() == Shape{2, 0});
  }
}

TEST_CASE("scans walk both ways, exclude, and keep infinities", "[scan]") {
  const Tensor x({1, 2, 3});
  CHECK(cumsum(x, 0).value().str() == "[1, 3, 6]");
  CHECK(cumsum(x, 0, {.reverse = true, .exclusive = true}).value().str() == "[5, 3, 0]");
  CHECK(cumprod(x, 0, {.reverse = true}).value().str() == "[6, 6, 3]");
  CHECK(cumsum(x.to(i64), -1).value().dtype() == i64);
  const auto logs = [](const Var& v) { return logcumsumexp(v, 0); };
  CHECK(logs(Tensor({-kInf, -kInf, 0})).value().str() == "[-inf, -inf, 0]");
  CHECK(logs(Tensor({1.0, kInf, 0})).value().str() == "[1, inf, inf]");
  CHECK(logs(Tensor({1000, -1000})).value().str() == "[1000, 1000]");
  CHECK(identical(gradient_of(logs, Tensor({-kInf, -kInf, 0})), Tensor({0.0, 0, 1})));
  CHECK(gradient_of(logs, Tensor({1000, 1000})).flat(1) == Approx(0.5));
  CHECK(cummax(Tensor({1, 3, 3, kNan, 5}), 0).indices.value().str() == "[0, 1, 2, 3, 3]");
  CHECK(cummin(Tensor({3, 1, 1, 2}), 0).values.value().str() == "[3, 1, 1, 1]");
  REQUIRE_ERROR(cumsum(x, 1), ShapeError, "cumsum");
  REQUIRE_ERROR(logcumsumexp(x.to(i64), 0), DTypeError, "i64");
}

TEST_CASE("a linear recurrence equals its loop, in long lines, too", "[scan]") {
  Rng rng(3);
  for (const DType dtype : {f32, f64}) {
    for (const std::int64_t axis : {0, 1, 2}) {
      const Shape shape{9, 70, 11};
      const Tensor a = rng.uniform(shape, -1, 1, dtype), x = rng.uniform(shape, -1, 1, dtype);
      const Tensor h = linear_recurrence(a, x, {.axis = axis}).value();
      std::vector<Var> steps;
      Var last = Tensor::zeros(reduced(shape, axis, true), dtype);
      for (std::int64_t t = 0; t < shape[static_cast<int>(axis)]; ++t) {
        last = slice(a, axis, {t, t + 1}) * last + slice(x, axis, {t, t + 1});
        steps.push_back(last);
      }
      CHECK(test::relative_difference(h, concat(steps, axis).value()) <=
            (dtype == f32 ? 1e-6 : 1e-14));
    }
  }
  const Tensor x({1, 2, 3});
  CHECK(linear_recurrence(0.5, x, {.initial = 4}).value().str() == "[3, 3.5, 4.75]");
  CHECK(linear_recurrence(Tensor({kInf, 1, 1}), x).value().str() == "[1, 3, 6]");
  REQUIRE_ERROR(linear_recurrence(Tensor({1, 2}), x), ShapeError, "linear_recurrence");
  REQUIRE_ERROR(linear_recurrence(x.to(f32), x), DTypeError, "f32");
}

TEST_CASE("sorting is stable and puts NaN above all", "[sorting]") {
  const Tensor x({2, kNan, 1, 2, 1});
  CHECK(argsort(x).value().str() == "[2, 4, 0, 3, 1]");
  CHECK(argsort(x, 0, true).value().str() == "[1, 0, 3, 2, 4]");
  CHECK(topk(Tensor({3, 9, 9, 1}), 2).indices.value().str() == "[1, 2]");
  CHECK(topk(Tensor({3, 9, 9, 1}), 0).values.shape() == Shape{0});
  CHECK(sort(Tensor({3, 1}).to(i64)).values.value().str() == "[1, 3]");
  CHECK(median(Tensor({4, 1, 3, 2})).item() == 2);
  CHECK(max_with_indices(Tensor({{1, 5, 5}, {7, 2, 7}}), 1).indices.value().str() == "[1, 0]");
  REQUIRE_ERROR(topk(x, 6), ValueError, "topk");
  REQUIRE_ERROR(kthvalue(x, 0), ValueError, "kthvalue");
  REQUIRE_ERROR(median(Tensor::zeros({0}, f64)), ShapeError, "median");
  REQUIRE_ERROR(msort(Tensor::scalar(1)), ShapeError, "argsort");
  Rng rng(4);
  const Tensor many = rng.uniform({1000}, 0, 1, f64);
  for (const std::int64_t k : {1, 20, 400, 1000}) {
    CHECK(identical(topk(many, k).values.value(),
                    slice(sort(many, 0, true).values, 0, {0, k}).value()));
  }
}

TEST_CASE("quantiles of every kind", "[sorting]") {
  using I = QuantileInterpolation;
  const Tensor x({4, 1, 3, 2});
  const auto at = [&](double q, I i) { return quantile(x, q, {.interpolation = i}).item(); };
  CHECK(at(0.5, I::linear) == 2.5);
  CHECK(at(0.5, I::lower) == 2);
  CHECK(at(0.5, I::higher) == 3);
  CHECK(at(0.4, I::midpoint) == 2.5);
  CHECK(at(0.5, I::nearest) == 3);  // rank 1.5: to the even one, 2
  CHECK(at(0.5 / 3, I::nearest) == 1);
  CHECK(at(1, I::higher) == 4);
  CHECK(quantile(Tensor({1, kInf}), 0).item() == 1);
  CHECK(quantile(x, Tensor({0, 1})).value().str() == "[1, 4]");
  REQUIRE_THROWS_AS(quantile(x, 1.5), ValueError);
  REQUIRE_ERROR(quantile(x.to(i64), 0.5), DTypeError, "i64");
  REQUIRE_ERROR(quantile(Tensor::zeros({0}, f64), 0.5), ShapeError, "quantile");
}

TEST_CASE("norms neither overflow nor vanish", "[norms]") {
  for (const double p : {1.5, 2.0, 3.0}) {
    for (const double size : {1e-300, 1.0, 1e300}) {
      const auto f = [=](const Var& x) { return vector_norm(x, p); };
      const Tensor x({3 * size, 4 * size});
      CHECK(f(x).item() == Approx(size * vector_norm(Tensor({3, 4}), p).item()));
      CHECK(test::relative_difference(gradient_of(f, x), gradient_of(f, Tensor({3, 4}))) <= 1e-13);
    }
  }
  CHECK(euclidean_norm(Tensor({3e38, 4e37}, f32)).item() == Approx(3.0265e38).epsilon(1e-4));
  CHECK(vector_norm(Tensor({kInf, 1})).item() == kInf);
  CHECK(std::isnan(vector_norm(Tensor({kNan, 1})).item()));
  CHECK(std::isnan(vector_norm(Tensor({kNan, 1}), 3).item()));
  CHECK(vector_norm(Tensor({0, 2}), -1).item() == 0);
  CHECK(vector_norm(Tensor::zeros({0}, f64), 3).item() == 0);
  REQUIRE_THROWS_AS(vector_norm(Tensor::zeros({0}, f64), kInf), ShapeError);
  REQUIRE_THROWS_AS(vector_norm(Tensor({1.0}), kNan), ValueError);
  REQUIRE_ERROR(matrix_norm(Tensor({{1, 2}}), MatrixNorm::frobenius, 0), ShapeError, "axes");
  const Tensor m({{1, -2}, {3, 4}});
  CHECK(matrix_norm(m, MatrixNorm::largest_column).item() == 6);
  CHECK(matrix_norm(m, MatrixNorm::smallest_row).item() == 3);
}

TEST_CASE("distances of equal points are 0 with gradient 0", "[norms]") {
  const Tensor x({{1, 2}, {1, 2}, {4, 6}});
  for (const double p : {0.0, 0.5, 1.0, 1.5, 2.0, 3.0, kInf}) {
    const Tensor g = gradient_of([=](const Var& v) { return cdist(v, Tensor({{1, 2}}), p); }, x);
    CHECK(g.at({0, 0}) == 0);
    CHECK(std::isfinite(g.at({2, 1})));
    CHECK(gradient_of([=](const Var& v) { return pdist(v, p); }, x).at({0, 0}) <= 0);
  }
  CHECK(pdist(x).value().str() == "[0, 5, 5]");
  CHECK(cosine_similarity(x, Tensor::zeros({3, 2}, f64)).value().str() == "[0, 0, 0]");
  REQUIRE_ERROR(cdist(x, Tensor({{1, 2, 3}})), ShapeError, "cdist");
  REQUIRE_ERROR(pdist(Tensor({1, 2})), ShapeError, "pdist");
}

TEST_CASE("trapezoids", "[reductions]") {
  const Tensor y({1, 2, 4});
  CHECK(trapezoid(y).item() == 4.5);
  CHECK(trapezoid(y, 2).item() == 9);
  CHECK(trapezoid(y, Tensor({0, 1, 3})).item() == 7.5);
  CHECK(cumulative_trapezoid(y).value().str() == "[1.5, 4.5]");
  REQUIRE_ERROR(trapezoid(y, Tensor({0, 1})), ShapeError, "trapezoid");
}

}  // namespace xtape
