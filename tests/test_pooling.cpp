#include <cmath>
#include <limits>

#include "support.hpp"

namespace xtape {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor gradient_of(Var (*f)(const Var&), const Tensor& x) {
  Tape tape;
  const Var v = tape.variable(x);
  return tape.gradient(sum(f(v)), v);
}

Tensor shaped(const Shape& shape, const Tensor& values) { return reshape(values, shape).value(); }

}  // namespace

TEST_CASE("the largest element: ties, infinities and NaN", "[pooling]") {
  const auto pool = [](const Var& x) { return max_pool1d(x, 2); };
  CHECK(identical(gradient_of(pool, Tensor({{1, 1, 2, 2}})), Tensor({{1, 0, 1, 0}})));
  const auto [y, at] = max_pool1d_with_indices(Tensor({{-kInf, -kInf, 3, std::nan("")}}), 2);
  CHECK(y.value().flat(0) == -kInf);
  CHECK(std::isnan(y.value().flat(1)));
  CHECK(identical(at.value(), Tensor({{0, 3}}, i64)));
  // Padding is −∞, not 0.
  const Tensor low({{-3, -2}});
  CHECK(identical(max_pool1d(low, 2, {.stride = 1, .padding = 1}).value(), Tensor({{-3, -2, -2}})));
}

TEST_CASE("positions count through the spatial axes of a channel", "[pooling]") {
  const Tensor x = Tensor({0, 1, 2, 9, 4, 5, 6, 7, 8}).to(f32);
  const Var grid = reshape(x, {1, 3, 3});
  const auto [y, at] = max_pool2d_with_indices(grid, 2, {.stride = 1});
  CHECK(identical(at.value(), shaped({1, 2, 2}, Tensor({3, 5, 3, 8}).to(i64))));
  CHECK(y.dtype() == f32);
  const auto whole = adaptive_max_pool2d_with_indices(grid, 1);
  CHECK(whole.second.value().flat(0) == 3);
}

TEST_CASE("long rows and odd windows have the maxima of their columns", "[pooling]") {
  Rng rng(2);
  for (const DType dtype : {f32, f64}) {
    const Tensor x = rng.uniform({1, 1, 7, 400}, 0.5, 1, dtype);  // above the zeros of unfold
    const Tensor pooled =
        max_pool2d(x, {3, 2}, {.stride = {2, 3}, .padding = 1, .dilation = {1, 2}}).value();
    const Var columns = unfold(x, {3, 2}, {.stride = {2, 3}, .padding = 1, .dilation = {1, 2}});
    CHECK(identical(reshape(pooled, {1, pooled.size()}).value(), max(columns, 1).value()));
  }
}

TEST_CASE("means count what they are told to", "[pooling]") {
  const Tensor x({{2, 4, 6}});
  CHECK(identical(avg_pool1d(x, 2, {.padding = 1}).value(), Tensor({{1, 5}})));
  CHECK(identical(avg_pool1d(x, 2, {.padding = 1, .count_include_pad = false}).value(),
                  Tensor({{2, 5}})));
  CHECK(identical(avg_pool1d(x, 2, {.ceil_mode = true}).value(), Tensor({{3, 6}})));
  CHECK(identical(avg_pool1d(x, 2, {.divisor_override = 4.0}).value(), Tensor({{1.5}})));
  CHECK(identical(adaptive_avg_pool1d(x, 2).value(), Tensor({{3, 5}})));
  CHECK(identical(adaptive_avg_pool1d(x, -1).value(), x));
  CHECK(lp_pool1d(Tensor({{3, 4}}), 2, 2).item() == Approx(5));
  const auto norm = [](const Var& v) { return lp_pool1d(v, 2, 2); };
  CHECK(identical(gradient_of(norm, Tensor({{0, 0}})), Tensor({{0, 0}})));
}

TEST_CASE("what does not fit a pool is refused", "[pooling]") {
  const Tensor x = Tensor::ones({1, 2, 4, 4}, f64);
  CHECK_THROWS_AS(max_pool2d(x, 5), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.dilation = 4}), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.padding = 2}), ValueError);
  CHECK_THROWS_AS(max_pool2d(x, 2, {.stride = 0}), ValueError);
  CHECK_THROWS_AS(max_pool2d(x, {2, 2, 2}), ValueError);
  CHECK_THROWS_AS(max_pool1d(x, 2), ShapeError);
  CHECK_THROWS_AS(max_pool2d(x.to(i64), 2), DTypeError);
  CHECK_THROWS_AS(avg_pool2d(x, 0), ValueError);
  CHECK_THROWS_AS(avg_pool2d(x, 2, {.divisor_override = 0.0}), ValueError);
  CHECK_THROWS_AS(adaptive_avg_pool2d(x, 0), ValueError);
  CHECK_THROWS_AS(adaptive_max_pool2d(Tensor::ones({1, 2, 0, 4}, f64), 1), ShapeError);
  CHECK_THROWS_AS(lp_pool2d(x, 0, 2), ValueError);
}

TEST_CASE("interpolation repeats, mixes and keeps the corners", "[resampling]") {
  const Tensor x = shaped({1, 1, 3}, Tensor({0, 2, 4}));
  CHECK(identical(interpolate(x, {.size = 6}).value(),
                  shaped({1, 1, 6}, Tensor({0, 0, 2, 2, 4, 4}))));
  CHECK(identical(
      interpolate(x, {.size = 5, .mode = Interpolation::linear, .align_corners = true}).value(),
      shaped({1, 1, 5}, Tensor({0, 1, 2, 3, 4}))));
  for (const Interpolation mode :
       {Interpolation::nearest, Interpolation::nearest_exact, Interpolation::linear,
        Interpolation::cubic, Interpolation::area}) {
    CHECK(identical(interpolate(x, {.size = 3, .mode = mode}).value(), x));
    // Weights sum up to 1.
    const Tensor ones = Tensor::ones({1, 1, 7}, f64);
    const Tensor y = interpolate(ones, {.scale_factor = {1.6}, .mode = mode}).value();
    CHECK(test::relative_difference(y, Tensor::ones({1, 1, 11}, f64)) < 1e-15);
  }
  CHECK_THROWS_AS(interpolate(x, {}), ValueError);
  CHECK_THROWS_AS(interpolate(x, {.size = 2, .scale_factor = {2.0}}), ValueError);
  CHECK_THROWS_AS(interpolate(x, {.scale_factor = {0.1}}), ValueError);
  CHECK_THROWS_AS(interpolate(x, {.scale_factor = {1.0, 2.0}}), ValueError);
  CHECK_THROWS_AS(interpolate(x, {.size = 0}), ValueError);
  CHECK_THROWS_AS(interpolate(Tensor::ones({2, 3}, f64), {.size = 2}), ShapeError);
}

TEST_CASE("a grid of the elements' own places gives them back", "[resampling]") {
  Rng rng(1);
  const Tensor x = rng.uniform({1, 2, 3, 3}, -1, 1, f64);
  const Tensor rows({-1, -1, 0, -1, 1, -1, -1, 0, 0, 0, 1, 0, -1, 1, 0, 1, 1, 1});
  const Var grid = reshape(rows.to(f64), {1, 3, 3, 2});
  for (const auto mode : {Interpolation::nearest, Interpolation::linear, Interpolation::cubic}) {
    for (const auto padding : {GridPadding::zeros, GridPadding::border, GridPadding::reflection}) {
      const GridSampleOptions o{.mode = mode, .padding = padding, .align_corners = true};
      CHECK(test::relative_difference(grid_sample(x, grid, o).value(), x) < 1e-15);
    }
  }
}

TEST_CASE("a point far away or that is none finds zeros, the border, or NaN", "[resampling]") {
  const Tensor x = Tensor::ones({1, 1, 2, 2}, f64);
  const Tensor grid = reshape(Tensor({1e30, -kInf}), {1, 1, 1, 2}).value();
  CHECK(grid_sample(x, Tensor::full({1, 1, 1, 2}, 1e30, f64)).item() == 0);
  CHECK(grid_sample(x, grid, {.padding = GridPadding::border}).item() == 1);
  CHECK(grid_sample(x, grid, {.mode = Interpolation::nearest}).item() == 0);
  CHECK_THROWS_AS(grid_sample(x, Tensor::ones({1, 1, 1, 3}, f64)), ShapeError);
  CHECK_THROWS_AS(grid_sample(x, Tensor::ones({2, 1, 1, 2}, f64)), ShapeError);
  CHECK_THROWS_AS(grid_sample(x, grid.to(f32)), DTypeError);
  CHECK_THROWS_AS(grid_sample(x, grid, {.mode = Interpolation::area}), ValueError);
  CHECK_THROWS_AS(grid_sample(Tensor::ones({1, 1, 2, 2, 2}, f64),
                              Tensor::ones({1, 1, 1, 1, 3}, f64), {.mode = Interpolation::cubic}),
                  ValueError);
}

}  // namespace xtape
