#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include <xtape/autodiff/xtensor.hpp>

#include "support.hpp"

namespace xtape {

TEST_CASE("xtensor containers, views and lazy expressions convert to and from tensors",
          "[tensor]") {
  const xt::xarray<double> a{{1, 2, 3}, {4, 5, 6}};
  const Tensor t = a;
  CHECK(t.shape() == Shape{2, 3});
  CHECK(t.dtype() == f64);
  CHECK(t.at({1, 0}) == 4);
  const xt::xarray<double> back = t;
  CHECK(back == a);
  const xt::xtensor<double, 2> fixed = t;
  CHECK(fixed(1, 2) == 6);
  CHECK(Tensor(a * 2 + 1).at({0, 1}) == 5);               // lazy
  CHECK(Tensor(xt::view(a, xt::all(), 1)).at({1}) == 5);  // view
  CHECK(Tensor(xt::transpose(a)).at({2, 1}) == 6);        // other strides
  const xt::xarray<double, xt::layout_type::column_major> columns = a;
  CHECK(identical(Tensor(columns), t));  // other layout
  CHECK(Tensor(xt::xarray<float>{1.5F}).dtype() == f32);
  CHECK(Tensor(xt::xarray<int>{7}).dtype() == i64);
  CHECK(Tensor(a > 2.0).dtype() == boolean);
  CHECK(Tensor(xt::xarray<double>(5.0)).shape() == Shape{});  // 0-d
  CHECK(Tensor(xt::xarray<double>::from_shape({0, 3})).shape() == Shape{0, 3});
  REQUIRE_ERROR((xt::xarray<float>(t)), DTypeError, "the tensor holds f64, not f32");
  REQUIRE_ERROR((xt::xtensor<double, 3>(t)), ShapeError, "fixed rank");
}

TEST_CASE("views share memory, in both directions", "[tensor]") {
  Tensor t({{1, 2}, {3, 4}});
  CHECK(view<double>(t).data() == t.data<double>());
  CHECK(xt::sum(view<double>(t))() == 10);
  mutable_view<double>(t)(0, 1) = 7;
  CHECK(t.at({0, 1}) == 7);
  const Tensor kept = t;
  mutable_view<double>(t)(0, 1) = 8;  // somebody else looks: copied first
  CHECK(kept.at({0, 1}) == 7);
  CHECK(t.at({0, 1}) == 8);
  REQUIRE_ERROR(view<float>(t), DTypeError, "write x.to(f32)");
}

TEST_CASE("tensors are values", "[tensor]") {
  const Tensor t({1, 2, 3, 4, 5, 6});
  const Tensor r = t.reshape({2, -1});
  CHECK(r.shape() == Shape{2, 3});
  CHECK(r.shares_memory_with(t));
  CHECK_FALSE(t.unique());
  Tensor w = r;
  w.mutable_data<double>()[0] = 9;
  CHECK(t.flat(0) == 1);
  CHECK(r.flat(0) == 1);
  CHECK(w.at({0, 0}) == 9);
  CHECK(Tensor({2.9, -2.9}).to(i64).flat(1) == -2);
  CHECK(Tensor({0, 2}).to(boolean).flat(1) == 1);
  CHECK(Tensor({{1}, {2}}).shape() == Shape{2, 1});
  CHECK(Tensor::from(std::vector<float>{1, 2}).dtype() == f32);
  CHECK(Tensor::arange(3).flat(2) == 2);
  CHECK(identical(t.clone(), t));
  CHECK_FALSE(identical(t, r));
}

TEST_CASE("tensors print themselves, long axes abbreviated", "[tensor]") {
  CHECK(Tensor({{1, 2}, {3, 4.5}}).str() == "[[1, 2], [3, 4.5]]");
  CHECK(Tensor::scalar(2).str() == "2");
  CHECK(Tensor::arange(20).str() == "[0, 1, 2, …, 17, 18, 19]");
  CHECK(Tensor::zeros({0}).str() == "[]");
  CHECK(Tensor().str() == "Tensor()");
}

TEST_CASE("tensor errors name what met and what to write", "[tensor][errors]") {
  const Tensor t({{1, 2}, {3, 4}});
  REQUIRE_ERROR(t.reshape({3}), ShapeError, "shape (2, 2) to (3,)");
  REQUIRE_ERROR(t.reshape({-1, -1}), ShapeError, "one extent may be -1");
  REQUIRE_ERROR(t.item(), ShapeError, "item() needs exactly one");
  REQUIRE_ERROR(t.at({2, 0}), ShapeError, "index (2, 0) into shape (2, 2)");
  REQUIRE_ERROR(t.flat(4), ValueError, "position 4 of 4");
  REQUIRE_ERROR(t.data<float>(), DTypeError, "holds f64, not f32: write x.to(f32)");
  REQUIRE_ERROR(Tensor({{1, 2}, {3}}), ShapeError, "rows of lengths 2 and 1");
  REQUIRE_ERROR(Tensor::zeros({2, -1}), ShapeError, "extents are 0 or more");
  REQUIRE_ERROR(Tensor().shape(), ValueError, "an empty handle");
  REQUIRE_ERROR((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError, "at most 8 axes");
  REQUIRE_ERROR(Tensor::from(std::vector<double>{1, 2}, {3}), ShapeError, "2 do not fill");
}

TEST_CASE("large buffers are recycled and aligned", "[tensor]") {
  const void* first;
  {
    const Tensor t = Tensor::empty({1000, 1000});
    first = t.raw();
    CHECK(reinterpret_cast<std::uintptr_t>(first) % 64 == 0);
  }
  CHECK(Tensor::empty({1000, 1000}).raw() == first);
  memory::trim();
  CHECK(memory::stats().cached_bytes == 0);
  CHECK(memory::stats().peak_bytes >= 4'000'000);
}

TEST_CASE("Philox4x32-10 gives the published numbers", "[rng]") {
  using Words = std::array<std::uint32_t, 4>;
  // Known-answer vectors of Random123 (Salmon et al.).
  CHECK(Rng::philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Rng::philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Rng::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("generators are reproducible, independent and fair", "[rng]") {
  Rng a(5), b(5), c(6);
  const Tensor x = a.normal({1000}, 2, 3, f64);
  CHECK(identical(x, b.normal({1000}, 2, 3, f64)));
  CHECK_FALSE(identical(x, c.normal({1000}, 2, 3, f64)));
  CHECK(a.position() == b.position());
  const std::uint64_t at = a.position();
  const double u = a.uniform();
  a.seek(at);
  CHECK(a.uniform() == u);
  const double m = mean(x).item(), v = mean(square(x - m)).item();
  CHECK(std::abs(m - 2) < 0.4);
  CHECK(std::abs(v - 9) < 1.5);
  CHECK(Rng(1).split(0).uniform() != Rng(1).split(1).uniform());
  CHECK(Rng(1).split(3).uniform() == Rng(1).split(3).uniform());
  int counts[3]{};
  for (int i = 0; i < 3000; ++i) ++counts[a.integer(3)];
  for (const int n : counts) CHECK(std::abs(n - 1000) < 150);
  auto p = a.permutation(100);
  std::sort(p.begin(), p.end());
  for (std::int64_t i = 0; i < 100; ++i) CHECK(p[static_cast<std::size_t>(i)] == i);
  REQUIRE_ERROR(a.integer(0), ValueError, "must be 1 or more");
}

}  // namespace xtape
