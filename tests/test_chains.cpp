#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/autodiff/passes/passes.hpp>
#include <xtape/autodiff/program/executable.hpp>

#include "support.hpp"

// Kernels of several ops, and programs of many parameters.
namespace xtape {
namespace {

using program::Capture;
using program::Graph;
using program::Id;
using program::Units;

// Of three arrays and two numbers.
using F = std::function<Var(const Var&, const Var&, const Var&, const Var&, const Var&)>;
struct Case {
  std::string name;
  std::size_t ops;
  F f;
};

std::vector<Case> cases() {
  using V = const Var&;
  return {{"average", 2, [](V x, V y, V, V a, V b) { return multiply_add(y, b, a * x); }},
          {"average of squares", 3,
           [](V x, V y, V, V a, V b) { return multiply_add(y, b, a * square(x)); }},
          {"normalized", 3, [](V x, V y, V, V a, V) { return y / (sqrt(x) + a); }},
          {"normalized step", 4,
           [](V x, V y, V z, V a, V b) { return multiply_add(y / (sqrt(x) + a), b, z); }},
          {"divided step", 2, [](V x, V y, V z, V a, V) { return multiply_add(y / x, a, z); }},
          {"decayed average", 2,
           [](V x, V y, V z, V a, V b) { return multiply_add(z, b, multiply_add(x, a, y)); }}};
}

std::vector<Tensor> arguments(std::int64_t n, DType dtype) {
  Rng rng(static_cast<std::uint64_t>(n));
  const Tensor x = rng.uniform({n}, 0.01, 2, dtype);
  return {x, rng.normal({n}, 0, 1, dtype), rng.normal({n}, 0, 1, dtype), Tensor::scalar(0.1, dtype),
          Tensor::scalar(0.9, dtype)};
}

Program program_of(const F& f, const std::vector<Tensor>& in, bool fuse) {
  CompileOptions options;
  options.passes.fuse = fuse;
  return compile([&](const Var& x, const Var& y, const Var& z, const Var& a,
                     const Var& b) { return f(x, y, z, a, b); },
                 {in[0], in[1], in[2], in[3], in[4]}, options);
}

// How many ops there are in chains of the recording.
std::size_t chained(const Graph& g) {
  const Units units = program::make_units(g, true);
  std::size_t ops = 0;
  for (const program::Chain* c : units.chain) ops += c ? static_cast<std::size_t>(c->length) : 0;
  return ops;
}
std::size_t chained(const F& f, const std::vector<Tensor>& in) {
  Capture capture;
  std::vector<Var> v;
  for (const Tensor& t : in) v.push_back(capture.input(t.spec()));
  const Var y = f(v[0], v[1], v[2], v[3], v[4]);
  return chained(capture.finish({y}));
}

struct Restored {  // the level of SIMD
  ~Restored() { set_simd_level(best_simd_level()); }
};

}  // namespace

TEST_CASE("chains give the bits of their ops", "[chains]") {
  const Restored restored;
  for (const Simd level : {Simd::baseline, Simd::avx2, Simd::avx512}) {
    set_simd_level(level);
    for (const Case& c : cases()) {
      for (const DType dtype : {f32, f64}) {
        for (const std::int64_t n : {2, 15, 16, 100, 5000, 40000}) {
          INFO(c.name << " of " << n << " " << name(dtype) << " at level "
                      << static_cast<int>(level));
          const std::vector<Tensor> in = arguments(n, dtype);
          CHECK(chained(c.f, in) == c.ops);
          Program fused = program_of(c.f, in, true), apart = program_of(c.f, in, false);
          const Tensor eager = c.f(in[0], in[1], in[2], in[3], in[4]).value();
          CHECK(identical(fused.run(in)[0], eager));
          CHECK(identical(apart.run(in)[0], eager));
        }
      }
    }
  }
}

namespace {
// Of a user, by a name that is taken.
constexpr Op kSquare =
    rules::unary("square", [](auto x) { return x * x + 1; }, {"y = x² + 1", "none"}, {});
}  // namespace

TEST_CASE("an op of a user's own is not taken for ours of that name", "[chains]") {
  const auto in = arguments(100, f64);
  const F f = [](const Var& x, const Var& y, const Var&, const Var& a, const Var& b) {
    return multiply_add(y, b, a * apply(kSquare, {&x}));
  };
  const Tensor eager = f(in[0], in[1], in[2], in[3], in[4]).value();
  CHECK(identical(program_of(f, in, true).run(in)[0], eager));
}

TEST_CASE("what others read, or what is no number, is not chained", "[chains]") {
  const auto in = arguments(100, f32);
  using V = const Var&;
  const auto both = [](V x, V y, V, V a, V b) {
    const Var t = a * x;
    return multiply_add(y, b, t) * t;
  };
  CHECK(chained(both, in) == 0);
  CHECK(identical(program_of(both, in, true).run(in)[0],
                  both(in[0], in[1], in[2], in[3], in[4]).value()));
  CHECK(chained([](V x, V y, V z, V, V b) { return multiply_add(y, b, z * x); }, in) == 0);
  CHECK(chained([](V x, V y, V, V a, V b) { return multiply_add(a * x, b, y); }, in) == 0);
}

TEST_CASE("nothing is written over what a chain has yet to read", "[chains]") {
  // x dies in the group: its memory may serve for s + 1, but for the chain that runs after it.
  const auto f = [](const Var& m, const Var& a, const Var& b) {
    const Var x = matmul(m, m);
    const Var t = a * x, s = sin(x), r = s + 1;
    return std::vector<Var>{matmul(r, m), multiply_add(s, b, t)};
  };
  Rng rng(3);
  const Tensor m = rng.uniform({8, 8}), a = Tensor::scalar(0.1, f32), b = Tensor::scalar(0.9, f32);
  Program p = compile(f, {m, a, b});
  const std::vector<Var> want = f(m, a, b);
  const std::vector<Tensor> have = p.run({m, a, b});
  CHECK(identical(have[0], want[0].value()));
  CHECK(identical(have[1], want[1].value()));
}

TEST_CASE("a step of Adam is one group of three kernels for each parameter", "[chains][optim]") {
  Parameters p;
  for (int i = 0; i < 5; ++i) p.emplace_back(Tensor::ones({100 + i}), std::to_string(i));
  optim::Adam adam(p);
  Capture capture;
  std::vector<Var> gradients;
  for (const Parameter& q : p) gradients.push_back(capture.input(q.value().spec()));
  adam.step(gradients);
  Graph g = passes::simplify(capture.finish({}));
  g = passes::common_subexpressions(passes::fold_constants(g));
  const Units units = program::make_units(g, true);
  std::size_t rules = 0;
  for (const program::Unit& u : units.units) {
    if (u.kind != program::Unit::Kind::group || u.n < 100) continue;
    ++rules;
    CHECK(u.members.size() == 9);
    std::size_t kernels = 0;
    for (const Id m : u.members) kernels += units.end_of[m] == m;
    CHECK(kernels == 3);
  }
  CHECK(rules == p.size());
  CHECK(chained(g) == 9 * p.size());
}

TEST_CASE("numbers of all parameters are handed out in one step", "[chains]") {
  const auto f = [](const Var& v, const Var& x) {
    Var y = x;
    for (int i = 0; i < 40; ++i) y = y * select(v, 0, i);
    return y;
  };
  Rng rng(2);
  const Tensor v = rng.uniform({40}, 0.9, 1.1), x = rng.uniform({50});
  Program p = compile(f, {v, x});
  CHECK(p.steps() == 2);
  CHECK(identical(p(v, x), f(v, x).value()));
}

TEST_CASE("contiguous slices are copied as they lie, others element by element", "[chains]") {
  Rng rng(6);
  const Tensor x = rng.uniform({4, 3, 5});
  const std::vector<std::pair<std::vector<Slice>, bool>> slices{
      {{{1, 3}}, true},          {{{2, 3}, {1, 2}}, true},      {{{2, 3}, {1, 2}, {1, 4}}, true},
      {{{1, 3}, {1, 2}}, false}, {{{}, {}, {1, 2}}, false},     {{{1, 4, 2}}, false},
      {{{1, 2}, {0, 2}}, true},  {{{3, 4}, {}, {0, 2}}, false}, {{{2, 1, -1}}, true},
      {{{3, 1, -1}}, false}};
  for (const auto& [s, contiguous] : slices) {
    const auto f = [&, s = s](const Var& in) { return slice(in, s); };
    INFO(f(x).shape().str());
    Capture capture;
    const Var y = f(capture.input(x.spec()));
    const Graph g = capture.finish({y});
    const Units units = program::make_units(g, true);
    REQUIRE(units.units.size() == 1);
    CHECK((units.units[0].kind == program::Unit::Kind::parts) == contiguous);
    CHECK(identical(compile(f, {x})(x), f(x).value()));
  }
}

TEST_CASE("many blocks are placed step by step, and little is wasted", "[passes]") {
  using program::Block;
  Rng rng(4);
  for (const std::int64_t most : {1, 300, 3000}) {  // how long a block lives
    std::vector<Block> blocks;
    for (int i = 0; i < 3000; ++i) {
      const std::int64_t first = rng.integer(3000);
      blocks.push_back(
          {static_cast<std::size_t>(64 * (1 + rng.integer(4))), static_cast<std::uint32_t>(first),
           static_cast<std::uint32_t>(std::min<std::int64_t>(2999, first + rng.integer(most)))});
    }
    const std::size_t total = program::plan_memory(blocks);
    CHECK(static_cast<double>(total) <= 1.1 * static_cast<double>(program::live_bytes(blocks)));
    std::size_t overlaps = 0;
    for (std::size_t a = 0; a < blocks.size(); ++a) {
      overlaps += blocks[a].offset % program::kAlignment != 0;
      overlaps += blocks[a].offset + blocks[a].bytes > total;
      for (std::size_t b = 0; b < a; ++b) {
        const bool together =
            blocks[a].first <= blocks[b].last && blocks[b].first <= blocks[a].last;
        overlaps += together && blocks[a].offset < blocks[b].offset + blocks[b].bytes &&
                    blocks[b].offset < blocks[a].offset + blocks[a].bytes;
      }
    }
    CHECK(overlaps == 0);
  }
}

TEST_CASE("an address is found among those of the last arguments", "[program]") {
  program::Addresses a;
  const std::vector<char> memory(1000);
  CHECK_FALSE(a.contains(memory.data()));
  for (const std::size_t n : {3U, 300U, 0U, 20U}) {
    a.assign(n, [&](std::size_t k) { return static_cast<const void*>(&memory[3 * k]); });
    std::size_t found = 0;
    for (const char& c : memory) found += a.contains(&c);
    CHECK(found == n);
    if (n) CHECK(a.contains(&memory[3 * (n - 1)]));
  }
}

TEST_CASE("many parameters move as each would alone", "[chains][optim]") {
  constexpr int kMany = 700;
  Rng rng(8);
  Parameters many, alone;
  std::vector<Tensor> gradients;
  for (int i = 0; i < kMany; ++i) {
    const Tensor start = rng.normal({1 + i % 40});
    many.emplace_back(start, std::to_string(i));
    alone.emplace_back(start, std::to_string(i));
    gradients.push_back(rng.normal(start.shape()));
  }
  optim::Adam all(many);
  for (int k = 0; k < 3; ++k) all.step(gradients);
  int same = 0;
  for (std::size_t i = 0; i < kMany; ++i) {
    optim::Adam one({alone[i]});
    for (int k = 0; k < 3; ++k) one.step({gradients[i]});
    same += identical(many[i].value(), alone[i].value());
  }
  CHECK(same == kMany);
}

}  // namespace xtape
