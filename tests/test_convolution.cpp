#include <cmath>
#include <limits>

#include <xtape/autodiff/backend.hpp>
#include <xtape/autodiff/threads.hpp>

#include "support.hpp"

namespace xtape {
namespace {

// The definition, window by window, in f64.
Tensor by_definition(const Tensor& x, const Tensor& w, const Dims& stride, const Dims& padding,
                     const Dims& dilation, std::int64_t groups) {
  const std::int64_t inputs = w.shape()[1], outputs = w.shape()[0];
  const auto extent = [&](int i) {
    return (x.shape()[2 + i] + 2 * padding[i] - dilation[i] * (w.shape()[2 + i] - 1) - 1) /
               stride[i] +
           1;
  };
  const std::int64_t h = x.shape()[2], width = x.shape()[3];
  Tensor y = Tensor::zeros({x.shape()[0], outputs, extent(0), extent(1)}, f64);
  auto* out = static_cast<double*>(y.raw());
  for (std::int64_t n = 0; n < x.shape()[0]; ++n) {
    for (std::int64_t o = 0; o < outputs; ++o) {
      for (std::int64_t i = 0; i < extent(0); ++i) {
        for (std::int64_t j = 0; j < extent(1); ++j, ++out) {
          for (std::int64_t k = 0; k < inputs * w.shape()[2] * w.shape()[3]; ++k) {
            const std::int64_t kx = k % w.shape()[3], ky = k / w.shape()[3] % w.shape()[2];
            const std::int64_t c = k / w.shape()[3] / w.shape()[2];
            const std::int64_t row = i * stride[0] + ky * dilation[0] - padding[0];
            const std::int64_t column = j * stride[1] + kx * dilation[1] - padding[1];
            if (row < 0 || row >= h || column < 0 || column >= width) continue;
            const std::int64_t channel = o / (outputs / groups) * inputs + c;
            *out += x.flat(((n * x.shape()[1] + channel) * h + row) * width + column) *
                    w.flat(o * inputs * w.shape()[2] * w.shape()[3] + k);
          }
        }
      }
    }
  }
  return y;
}

struct Results {
  Tensor y, x, w;
};

Results conv_and_gradients(const Tensor& x, const Tensor& w, const ConvOptions& o) {
  Tape tape;
  const Var vx = tape.variable(x), vw = tape.variable(w);
  const Var y = conv2d(vx, vw, {}, o);
  const auto g = tape.gradient(sum(square(y)), std::vector<Var>{vx, vw});
  return {y.value(), g[0], g[1]};
}

}  // namespace

TEST_CASE("convolutions of any size are what the definition says", "[convolution]") {
  Rng rng(3);
  struct Case {
    Shape x, w;
    Dims stride, padding, dilation;
    std::int64_t groups;
  };
  // Several tiles of columns, parts of the weight's sum over several samples, threads.
  for (const Case& c : {Case{{3, 4, 30, 41}, {8, 4, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
                        Case{{70, 6, 9, 8}, {10, 3, 5, 3}, {1, 2}, {2, 0}, {1, 1}, 2},
                        Case{{2, 40, 20, 21}, {33, 40, 3, 2}, {2, 1}, {0, 1}, {2, 3}, 1},
                        Case{{9, 32, 14, 15}, {48, 32, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
                        Case{{4, 24, 17, 19}, {24, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 24}}) {
    const Tensor x = rng.uniform(c.x, -1, 1, f64), w = rng.uniform(c.w, -1, 1, f64);
    const ConvOptions o{.stride = PerAxis(c.stride.begin(), c.stride.end()),
                        .padding = ConvPadding(c.padding.begin(), c.padding.end()),
                        .dilation = PerAxis(c.dilation.begin(), c.dilation.end()),
                        .groups = c.groups};
    INFO(c.x << " " << c.w);
    const Tensor y = conv2d(x, w, {}, o).value();
    const Tensor expected = by_definition(x, w, c.stride, c.padding, c.dilation, c.groups);
    REQUIRE(y.shape() == expected.shape());
    CHECK(test::relative_difference(y, expected) < 1e-13);
    CHECK(test::relative_difference(conv2d(x.to(f32), w.to(f32), {}, o).value().to(f64), y) < 1e-5);
    // The form is linear in each: ⟨ȳ, conv(x, w)⟩ = ⟨x̄, x⟩ = ⟨w̄, w⟩.
    Tape tape;
    const Var vx = tape.variable(x), vw = tape.variable(w);
    const Tensor ct = rng.uniform(y.shape(), -1, 1, f64);
    const auto g =
        tape.gradient(conv2d(vx, vw, {}, o), std::vector<Var>{vx, vw}, {.cotangent = ct});
    const double form = sum(ct * y).item();
    CHECK(sum(g[0] * x).item() == Approx(form).epsilon(1e-11));
    CHECK(sum(g[1] * w).item() == Approx(form).epsilon(1e-11));
  }
}

TEST_CASE("the bits of a convolution do not depend on threads", "[convolution]") {
  Rng rng(4);
  const int before = num_threads();
  for (const DType dtype : {f32, f64}) {
    const Tensor x = rng.uniform({33, 16, 18, 17}, -1, 1, dtype);
    const Tensor w = rng.uniform({24, 8, 3, 3}, -1, 1, dtype);
    const ConvOptions o{.stride = {1, 2}, .padding = 1, .groups = 2};
    set_num_threads(1);
    const Results one = conv_and_gradients(x, w, o);
    set_num_threads(4);
    const Results four = conv_and_gradients(x, w, o);
    CHECK(identical(one.y, four.y));
    CHECK(identical(one.x, four.x));
    CHECK(identical(one.w, four.w));
  }
  set_num_threads(before);
}

TEST_CASE("parameters, constants and taped values meet in a convolution", "[convolution]") {
  const Parameter w(Tensor::ones({1, 1, 2}, f64)), b(Tensor::ones({1}, f64));
  Tape tape;
  const Var x = tape.variable(Tensor::ones({1, 3}, f64));
  const Var y = conv1d(x, w, b);
  CHECK(y.shape() == Shape{1, 2});
  CHECK(y.value().flat(0) == 3);
  const auto g = tape.gradient(sum(y), std::vector<Var>{w, b});
  CHECK(identical(g[0], reshape(Tensor({2, 2}), {1, 1, 2}).value()));
  CHECK(g[1].flat(0) == 2);
}

TEST_CASE("what does not fit a convolution is refused", "[convolution]") {
  const Tensor x = Tensor::ones({1, 4, 5, 5}, f64), w = Tensor::ones({2, 4, 3, 3}, f64);
  CHECK_THROWS_AS(conv2d(x, Tensor::ones({2, 3, 3, 3}, f64)), ShapeError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.groups = 2}), ShapeError);
  CHECK_THROWS_AS(conv2d(x, Tensor::ones({3, 2, 3, 3}, f64), {}, {.groups = 2}), ShapeError);
  CHECK_THROWS_AS(conv2d(x, Tensor::ones({2, 4, 6, 1}, f64)), ShapeError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.dilation = 3}), ShapeError);
  CHECK_THROWS_AS(conv2d(x, Tensor::ones({2, 4, 0, 3}, f64)), ShapeError);
  CHECK_THROWS_AS(conv2d(x, Tensor::ones({2, 4, 3}, f64)), ShapeError);
  CHECK_THROWS_AS(conv2d(Tensor::ones({5, 5}, f64), w), ShapeError);
  CHECK_THROWS_AS(conv2d(x, w, Tensor::ones({3}, f64)), ShapeError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.stride = 0}), ValueError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.padding = -1}), ValueError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.stride = {1, 1, 1}}), ValueError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.stride = 2, .padding = "same"}), ValueError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.padding = "full"}), ValueError);
  CHECK_THROWS_AS(conv2d(x, w, {}, {.groups = 0}), ValueError);
  CHECK_THROWS_AS(conv2d(x, w.to(f32)), DTypeError);
  CHECK_THROWS_AS(conv2d(x, w, Tensor::ones({2}, f32)), DTypeError);
  CHECK_THROWS_AS(conv2d(x.to(i64), w.to(i64)), DTypeError);
  CHECK_THROWS_AS(conv_transpose2d(x, Tensor::ones({3, 1, 2, 2}, f64)), ShapeError);
  CHECK_THROWS_AS(conv_transpose2d(x, Tensor::ones({4, 1, 2, 2}, f64), {}, {.output_padding = 1}),
                  ValueError);
  CHECK_THROWS_AS(conv_transpose2d(x, Tensor::ones({4, 1, 2, 2}, f64), {}, {.padding = 3}),
                  ShapeError);
  CHECK_THROWS_AS(unfold(x, 6), ShapeError);
  CHECK_THROWS_AS(fold(Tensor::ones({1, 8, 3}, f64), 3, 2), ShapeError);
  Tape tape;
  const Var v = tape.variable(x);
  const std::size_t nodes = tape.size();
  CHECK_THROWS_AS(conv2d(v, w, Tensor::ones({3}, f64)), ShapeError);
  CHECK(tape.size() == nodes);
}

TEST_CASE("a convolution without samples, channels or windows is empty or zero", "[convolution]") {
  const Tensor none =
      conv2d(Tensor::ones({0, 2, 4, 4}, f32), Tensor::ones({3, 2, 2, 2}, f32)).value();
  CHECK(none.shape() == Shape{0, 3, 3, 3});
  const Tensor zero = conv1d(Tensor::ones({2, 0, 4}, f32), Tensor::ones({3, 0, 2}, f32)).value();
  CHECK(identical(zero, Tensor::zeros({2, 3, 3}, f32)));
}

}  // namespace xtape
