#include <xtape/autodiff/program/memory_plan.hpp>

#include "support.hpp"

// What each pass does, seen with and without it.
namespace xtape {
namespace {

using F = std::function<Var(const Var&)>;

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

// The listing of f with only the passes that `with` turns on, on top of none.
std::string listing(const F& f, void (*with)(Passes&), const Spec& spec = {{4, 3}, f64}) {
  Passes passes = Passes::none();
  if (with) with(passes);
  return compile(f, {spec}, {.passes = passes}).str();
}

}  // namespace

TEST_CASE("dead code is dropped", "[passes]") {
  const F f = [](const Var& x) {
    sin(x);
    return cos(x);
  };
  CHECK(count(listing(f, nullptr), "sin") == 0);
  CHECK(count(listing(f, nullptr), "cos") == 1);
}

TEST_CASE("constants are folded, but not into something larger", "[passes]") {
  const F g = [](const Var& x) {
    const Var c = x.tape()->input(Tensor({1, 2, 3}));
    return x * sin(c) + broadcast_to(c, {4, 3});
  };
  const auto fold = [](Passes& p) { p.fold_constants = true; };
  CHECK(count(listing(g, nullptr), "sin") == 1);
  CHECK(count(listing(g, fold), "sin") == 0);
  CHECK(count(listing(g, fold), "broadcast_to") == 1);
}

TEST_CASE("what is computed twice is computed once", "[passes]") {
  const F f = [](const Var& x) { return sin(x) * clamp(x, 0, 1) + sin(x) * clamp(x, 0, 2); };
  const auto cse = [](Passes& p) { p.common_subexpressions = true; };
  CHECK(count(listing(f, nullptr), "sin") == 2);
  CHECK(count(listing(f, cse), "sin") == 1);
  CHECK(count(listing(f, cse), "clamp") == 2);  // other bounds
}

TEST_CASE("ops are made cheaper by their own rules", "[passes]") {
  const auto simplify = [](Passes& p) { p.simplify = true; };
  const auto none = [&](const F& f, const char* op) { return count(listing(f, simplify), op); };
  CHECK(none([](const Var& x) { return sin(x) * 1; }, "multiply") == 0);
  CHECK(none([](const Var& x) { return sin(x) - 0; }, "subtract") == 0);
  CHECK(none([](const Var& x) { return -(-sin(x)); }, "negative") == 0);
  CHECK(none([](const Var& x) { return x * x + x; }, "multiply_add") == 1);
  CHECK(none([](const Var& x) { return x - 2 * x; }, "subtract") == 0);
  CHECK(none([](const Var& x) { return chain(x, Tensor::scalar(2)); }, "chain") == 0);
  CHECK(none([](const Var& x) { return x + broadcast_to(sum(x), {4, 3}); }, "broadcast_to") == 0);
  CHECK(none([](const Var& x) { return matmul(x, transpose(x)); }, "transpose") == 0);
  // What would change a result stays.
  CHECK(none([](const Var& x) { return sin(x) + 0; }, "of add") == 1);
  CHECK(none([](const Var& x) { return x * 0; }, "multiply") == 1);
}

TEST_CASE("updates are accumulated by the product", "[passes]") {
  Parameter w(Tensor::zeros({3, 2}, f64), "w");
  const F f = [&](const Var& x) {
    const Var g = gradient(sum(square(matmul(x, w))), w);
    assign(w, multiply_add(g, Tensor::scalar(-0.1), w));
    return sum(x);
  };
  CHECK(count(listing(f, nullptr), "add_product") == 0);
  const auto forms = [](Passes& p) { p.gemm_forms = p.in_place = true; };
  const std::string text = listing(f, forms);
  CHECK(count(text, "add_product") == 1);
  CHECK(count(text, "then copies") == 0);  // in the parameter itself
}

TEST_CASE("chains, rows and reductions become one group", "[passes]") {
  const F f = [](const Var& x) { return sum(softmax(tanh(x)) * x, 0); };
  const auto steps = [&](void (*with)(Passes&)) { return count(listing(f, with), "\n["); };
  CHECK(steps(nullptr) == 4);
  CHECK(steps([](Passes& p) { p.fuse = true; }) == 3);
  CHECK(steps([](Passes& p) { p.fuse = p.expand = true; }) == 1);
}

TEST_CASE("memory is used again", "[passes]") {
  const auto bytes = [](bool in_place, bool plan) {
    Passes passes = Passes::none();
    passes.in_place = in_place;
    passes.plan_memory = plan;
    return compile(
               [](const Var& x) {
                 Var y = x;
                 for (int i = 0; i < 10; ++i) y = sin(y);
                 return sum(y);
               },
               {{{1000}, f64}}, {.passes = passes})
        .arena_bytes();
  };
  CHECK(bytes(false, false) > 10 * 8000);
  CHECK(bytes(false, true) < 3 * 8192);
  CHECK(bytes(true, true) < 2 * 8192);
}

TEST_CASE("blocks that live together never overlap, and little is wasted", "[passes]") {
  using program::Block;
  Rng rng(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks;
    const std::int64_t steps = 1 + rng.integer(40);
    for (std::int64_t i = 1 + rng.integer(60); i-- > 0;) {
      const std::int64_t first = rng.integer(steps);
      blocks.push_back({static_cast<std::size_t>(1 + rng.integer(5000)),
                        static_cast<std::uint32_t>(first),
                        static_cast<std::uint32_t>(std::min(steps, first + rng.integer(8)))});
    }
    const std::size_t total = program::plan_memory(blocks);
    for (std::size_t a = 0; a < blocks.size(); ++a) {
      CHECK(blocks[a].offset % program::kAlignment == 0);
      CHECK(blocks[a].offset + blocks[a].bytes <= total);
      for (std::size_t b = 0; b < a; ++b) {
        const bool together =
            blocks[a].first <= blocks[b].last && blocks[b].first <= blocks[a].last;
        const bool overlap = blocks[a].offset < blocks[b].offset + blocks[b].bytes &&
                             blocks[b].offset < blocks[a].offset + blocks[a].bytes;
        if (together && overlap) FAIL("blocks " << a << " and " << b << " overlap");
      }
    }
    CHECK(static_cast<double>(total) <= 1.25 * static_cast<double>(program::live_bytes(blocks)));
  }
}

TEST_CASE("backend, SIMD level and threads can be asked for", "[passes]") {
  CHECK(backend_info().threads == num_threads());
  CHECK_FALSE(backend_info().str().empty());
}

}  // namespace xtape
