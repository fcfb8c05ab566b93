#include <algorithm>
#include <map>

#include "support.hpp"

// Contractions and products: values against loops, the order of products, errors.
namespace xtape {
namespace {

using test::relative_difference;

// The sum over all values of all indices, as it is written.
Tensor by_loops(const std::vector<std::string>& in, const std::string& out,
                const std::vector<Tensor>& xs) {
  std::map<char, std::int64_t> extent, at;
  for (std::size_t k = 0; k < in.size(); ++k) {
    for (std::size_t i = 0; i < in[k].size(); ++i) {
      const std::int64_t n = xs[k].shape()[static_cast<int>(i)];
      const auto [it, fresh] = extent.emplace(in[k][i], n);
      if (!fresh && n != 1) it->second = n;
    }
  }
  const auto offset = [&](const std::string& indices, const Shape& shape) {
    std::int64_t o = 0;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const std::int64_t n = shape[static_cast<int>(i)];
      o = o * n + (n == 1 ? 0 : at[indices[i]]);
    }
    return o;
  };
  Shape shape;
  for (const char c : out) shape.push_back(extent[c]);
  std::vector<double> y(static_cast<std::size_t>(shape.size()), 0.0);
  std::int64_t total = 1;
  for (const auto& [c, n] : extent) total *= n;
  for (std::int64_t i = 0; i < total; ++i) {
    std::int64_t rest = i;
    for (const auto& [c, n] : extent) {
      at[c] = rest % n;
      rest /= n;
    }
    double product = 1;
    for (std::size_t k = 0; k < in.size(); ++k) product *= xs[k].flat(offset(in[k], xs[k].shape()));
    y[static_cast<std::size_t>(offset(out, shape))] += product;
  }
  Tensor t = Tensor::empty(shape, f64);
  std::copy(y.begin(), y.end(), static_cast<double*>(t.raw()));
  return t;
}

}  // namespace

TEST_CASE("random equations equal loops over all indices", "[einsum]") {
  Rng rng(3);
  const auto below = [&](std::int64_t n) { return static_cast<std::size_t>(rng.integer(n)); };
  for (int round = 0; round < 400; ++round) {
    const std::string letters = "abcdeF";
    std::map<char, std::int64_t> extent;
    for (const char c : letters) extent[c] = 1 + rng.integer(3);
    std::vector<std::string> in(1 + below(4));
    std::vector<Tensor> xs;
    std::string equation, seen, out;
    for (std::string& term : in) {
      Shape shape;
      // Twice in an operand is a diagonal; a single index may broadcast.
      for (std::size_t n = below(4); n > 0; --n) term += letters[below(6)];
      for (const char c : term) {
        const bool single = std::count(term.begin(), term.end(), c) == 1;
        shape.push_back(single && rng.integer(6) == 0 ? 1 : extent[c]);
        if (seen.find(c) == std::string::npos) seen += c;
      }
      xs.push_back(rng.uniform(shape, -1, 1, f64));
      equation += (&term == in.data() ? "" : ",") + term;
    }
    for (const char c : seen) {
      if (rng.integer(2))
        out.insert(out.begin() + static_cast<std::ptrdiff_t>(below(2)) *
                                     static_cast<std::ptrdiff_t>(out.size()),
                   c);
    }
    equation += "->" + out;
    INFO(equation);
    const Tensor y = einsum(equation, std::vector<Var>(xs.begin(), xs.end())).value();
    CHECK(relative_difference(y, by_loops(in, out, xs)) < 1e-12);
  }
}

TEST_CASE("implicit results, ellipses and spaces", "[einsum]") {
  Rng rng(4);
  const Tensor a = rng.uniform({2, 3}, -1, 1, f64), b = rng.uniform({3, 4}, -1, 1, f64);
  const Tensor batch = rng.uniform({5, 1, 2, 3}, -1, 1, f64);
  CHECK(relative_difference(einsum("ij,jk", {a, b}).value(), matmul(a, b).value()) < 1e-14);
  CHECK(einsum("ba", {a}).shape() == Shape{3, 2});
  CHECK(einsum("aB", {a}).shape() == Shape{3, 2});  // capitals come first
  CHECK(einsum("ii", {Tensor::ones({3, 3}, f64)}).item() == 3);
  CHECK(relative_difference(einsum(" ...ij , ...jk -> ...ik ", {batch, b}).value(),
                            matmul(batch, b).value()) < 1e-14);
  CHECK(einsum("i...", {batch}).shape() == Shape{1, 2, 3, 5});
  CHECK(relative_difference(einsum("...i->i", {batch}).value(), sum(batch, {0, 1, 2}).value()) <
        1e-14);
  CHECK(einsum("i,i->i", {Tensor({1.0}), Tensor({2.0})}).shape() == Shape{1});
  CHECK(einsum("ij->j", {Tensor::ones({0, 2}, f64)}).value().str() == "[0, 0]");
}

TEST_CASE("einsum multiplies in the cheap order", "[einsum]") {
  const EinsumPath chain = einsum_path("ij,jk,kl->il", {{1000, 2}, {2, 1000}, {1000, 3}});
  CHECK(chain.text == "jk,kl->jl; ij,jl->il");
  CHECK(chain.cost == 12000);
  const EinsumPath left = einsum_path("ij,jk,kl->il", {{3, 1000}, {1000, 2}, {2, 1000}});
  CHECK(left.text == "ij,jk->ik; ik,kl->il");
  CHECK(left.cost == 12000);
  // Summed first: k is in one operand alone.
  CHECK(einsum_path("ij,jk->i", {{2, 3}, {3, 4}}).text == "jk->j; ij,j->i");
  CHECK(einsum_path("ij,jk->i", {{2, 3}, {3, 4}}).cost == 6);
  CHECK(einsum_path("ii->i", {{3, 3}}).text == "ii->i");
  // More operands than all orders are tried for: a chain stays linear.
  std::vector<Shape> many(10, Shape{20, 20});
  many.back() = {20};
  const EinsumPath long_chain = einsum_path("ab,bc,cd,de,ef,fg,gh,hi,ij,j->a", many);
  CHECK(long_chain.cost == 9 * 400);
  Rng rng(5);
  std::vector<Var> xs;
  for (const Shape& s : many) xs.emplace_back(rng.uniform(s, -1, 1, f64));
  CHECK(relative_difference(einsum("ab,bc,cd,de,ef,fg,gh,hi,ij,j->a", xs).value(),
                            multi_dot(xs).value()) < 1e-12);
}

TEST_CASE("einsum refuses what it cannot read, and says why", "[einsum]") {
  const Tensor m = Tensor::ones({2, 3}, f64);
  REQUIRE_ERROR(einsum("i1", {m}), ParseError, "neither a letter");
  REQUIRE_ERROR(einsum("i.j", {m}), ParseError, "equation 'i.j'");
  REQUIRE_ERROR(einsum("...i...", {m}), ParseError, "more than one");
  REQUIRE_ERROR(einsum("ij->ii", {m}), ParseError, "index i stands twice");
  REQUIRE_ERROR(einsum("ij->ik", {m}), ParseError, "index k of the result is in no operand");
  REQUIRE_ERROR(einsum("ij->i->j", {m}), ParseError, "'-'");
  REQUIRE_ERROR(einsum("ij,jk", {m}), ValueError, "for 2 operands, not for 1");
  REQUIRE_ERROR(einsum("ijk", {m}), ShapeError, "3 indices for 2 axes");
  REQUIRE_ERROR(einsum("i", {m}), ShapeError, "1 indices for 2 axes");
  REQUIRE_ERROR(einsum("ii", {m}), ShapeError, "index i has extent 3 here and 2");
  REQUIRE_ERROR(einsum("ij,jk->ik", {m, m}), ShapeError, "index j has extent 2 here and 3");
  REQUIRE_ERROR(einsum("ij,ij", {m, m.to(f32)}), DTypeError, "operand 1 is f32");
  REQUIRE_ERROR(einsum("ij", {m.to(i64)}), DTypeError, "f32 or all f64");
  REQUIRE_ERROR(einsum("...,...", {m, Tensor::ones({4, 2}, f64)}), ShapeError, "of the ellipsis");
  const Tensor deep = Tensor::ones({2, 2, 2, 2, 2}, f64);
  REQUIRE_ERROR(einsum("abcde,fghij->abcdefghij", {deep, deep}), ShapeError, "10 axes");
  CHECK(einsum("abcde,fghij,fghij->abcde", {deep, deep, deep}).shape() == deep.shape());
  Tape tape;
  const Var v = tape.variable(m);
  const std::size_t before = tape.size();
  REQUIRE_ERROR(einsum("ji,jk", {v, Tensor::ones({4, 4}, f64)}), ShapeError, "extent");
  CHECK(tape.size() == before);
}

TEST_CASE("products refuse other ranks and extents", "[products]") {
  const Tensor m = Tensor::ones({2, 3}, f64), v = Tensor::ones({3}, f64);
  REQUIRE_ERROR(dot(m, v), ShapeError, "dot");
  REQUIRE_ERROR(dot(v, Tensor::ones({2}, f64)), ShapeError, "3 ≠ 2");
  REQUIRE_ERROR(mv(m, m), ShapeError, "mv");
  REQUIRE_ERROR(mm(m, m), ShapeError, "3 ≠ 2");
  REQUIRE_ERROR(bmm(m, m), ShapeError, "bmm");
  REQUIRE_ERROR(outer(m, v), ShapeError, "outer");
  REQUIRE_ERROR(inner(m, Tensor::ones({2}, f64)), ShapeError, "inner");
  REQUIRE_ERROR(vecdot(m, v.to(f32)), DTypeError, "vecdot");
  REQUIRE_ERROR(addmm(Tensor::ones({5, 2, 2}, f64), m, t(m)), ShapeError, "addmm");
  REQUIRE_ERROR(cross(m, v, 0), ShapeError, "extent 3");
  REQUIRE_ERROR(multi_dot({m}), ValueError, "two or more");
  REQUIRE_ERROR(multi_dot({m, m}), ShapeError, "operands 0 and 1");
  REQUIRE_ERROR(multi_dot({m, v, v}), ShapeError, "operand 1");
  REQUIRE_ERROR(tensordot(m, m, 1), ShapeError, "axis 1 of a and axis 0 of b");
  REQUIRE_ERROR(tensordot(m, m, {0, 0}, {0, 1}), ShapeError, "twice");
  REQUIRE_ERROR(tensordot(m, m, {0}, {}), ShapeError, "one of b for each of a");
  REQUIRE_ERROR(tensordot(m, m, -1), ValueError, "0 or more");
  REQUIRE_ERROR(linear(m, Tensor::ones({4, 2}, f64)), ShapeError, "linear");
  REQUIRE_ERROR(bilinear(m, v, m), ShapeError, "bilinear");
}

TEST_CASE("values of products", "[products]") {
  CHECK(cross(Tensor({1, 0, 0}), Tensor({0, 1, 0})).value().str() == "[0, 0, 1]");
  CHECK(kron(Tensor({1, 2}), Tensor({1, 10})).value().str() == "[1, 10, 2, 20]");
  CHECK(outer(Tensor({1, 2}), Tensor({3, 4})).value().at({1, 0}) == 6);
  const Tensor nan({std::nan(""), 1.0});
  const Tensor m({{1, 2}, {3, 4}});
  CHECK(addmv(nan, m, Tensor({1, 1}), 0).value().str() == "[3, 7]");
  Rng rng(6);
  const Tensor a = rng.uniform({2, 1, 2, 1, 2}, -1, 1, f64);
  const Tensor b = rng.uniform({1, 3, 2, 1, 1}, -1, 1, f64);
  const Tensor y = kron(a, b).value();
  CHECK(y.shape() == Shape{2, 3, 4, 1, 2});
  CHECK(y.at({1, 2, 3, 0, 1}) == a.at({1, 0, 1, 0, 1}) * b.at({0, 2, 1, 0, 0}));
}

}  // namespace xtape
