#include <cmath>
#include <limits>

#include "support.hpp"

namespace xtape {

TEST_CASE("an index out of range is named, whatever takes it", "[indexing]") {
  const Tensor x = Tensor::ones({3, 2}, f64), bad({0, 3}, i64), grid({{0, 1}, {-4, 0}}, i64);
  const Tensor row = Tensor::ones({2, 2}, f64);
  CHECK_THROWS_AS(index_select(x, 0, bad), ValueError);
  CHECK_THROWS_AS(gather(x, 0, grid), ValueError);
  CHECK_THROWS_AS(scatter(x, 0, grid, row), ValueError);
  CHECK_THROWS_AS(scatter_add(x, 0, grid, row), ValueError);
  CHECK_THROWS_AS(index_add(x, 0, bad, row), ValueError);
  CHECK_THROWS_AS(index(x, {bad}), ValueError);
  CHECK_THROWS_AS(index(x, {5}), ValueError);
  CHECK_THROWS_AS(index_select(x, 0, Tensor({0, 1})), DTypeError);
  CHECK_THROWS_AS(gather(x, 0, Tensor({0, 1}, i64)), ShapeError);
  CHECK_THROWS_AS(masked_scatter(x, Tensor::ones({3, 2}, boolean), Tensor({1.0})), ValueError);
}

TEST_CASE("what is not taken does not leak", "[indexing]") {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor x({{1, inf}, {std::nan(""), 2}});
  CHECK(identical(tril(x).value(), Tensor({{1, 0}, {std::nan(""), 2}})));
  Tape tape;
  const Var v = tape.variable(x);
  CHECK(identical(tape.gradient(sum(diagonal(v)), v), Tensor({{1, 0}, {0, 1}})));
}

TEST_CASE("of repeated indices, the last one written stands and has the gradient", "[indexing]") {
  Tape tape;
  const Var x = tape.variable(Tensor({1, 2, 3})), src = tape.variable(Tensor({5, 6}));
  const Var y = scatter(x, 0, Tensor({1, 1}, i64), src);
  CHECK(identical(y.value(), Tensor({1, 6, 3})));
  const auto g = tape.gradient(sum(y), std::vector<Var>{x, src});
  CHECK(identical(g[0], Tensor({1, 0, 1})));
  CHECK(identical(g[1], Tensor({0, 1})));
}

TEST_CASE("padding and parts refuse what is not there", "[shaping]") {
  const Tensor x = Tensor::ones({3, 2}, f64);
  CHECK_THROWS_AS(pad(x, {{3, 0}}, 0, Padding::reflect), ValueError);
  CHECK_THROWS_AS(pad(x, {{0, 4}}, 0, Padding::circular), ValueError);
  CHECK_THROWS_AS(pad(x, {{-2, -2}}, 0), ValueError);
  CHECK_THROWS_AS(split(x, {1, 1}, 0), ValueError);
  CHECK_THROWS_AS(narrow(x, 0, 2, 2), ValueError);
  CHECK_THROWS_AS(select(x, 0, 3), ValueError);
  CHECK_THROWS_AS(unfold(x, 0, 4, 1), ValueError);
  CHECK_THROWS_AS(unflatten(x, 0, {2, 2}), ShapeError);
}

}  // namespace xtape
