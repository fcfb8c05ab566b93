#include <cstdlib>
#include <set>

#include <xtape/autodiff/program.hpp>
#include <xtape/autodiff/sample.hpp>

#include "support.hpp"

// The suite that every op passes because it is in the registry: finite differences at orders 1 and
// 2 in f64, f32 against f64, texts, error behaviour.
namespace xtape {
namespace {

constexpr double kF32Tolerance = 2e-5;

// Every op, or the one that XTAPE_ONLY names: tests/mutants asks for one after the other.
std::vector<const Op*> ops() {
  const char* only = std::getenv("XTAPE_ONLY");
  std::vector<const Op*> out;
  for (const Op* op : registry()) {
    if (!only || op->name == only) out.push_back(op);
  }
  return out;
}

std::vector<Sample> samples_of(const Op& op, DType dtype) {
  Rng rng(20240701);
  return op.samples(Sampler{rng, dtype, op});
}

bool all_f64(const Sample& s) {
  return std::all_of(s.inputs.begin(), s.inputs.end(), [](auto& t) { return t.dtype() == f64; });
}

// Value and gradients of Σ u·y with fixed weights.
std::vector<Tensor> value_and_gradients(const Sample& s, DType dtype) {
  Tape tape;
  std::vector<Var> in;
  for (const Tensor& t : s.inputs) in.push_back(tape.variable(t.to(dtype)));
  const Var y = s.call(in);
  std::vector<Tensor> out{cast(y, f64).value()};
  if (!is_floating(y.dtype())) return out;
  Rng rng(5);
  const Tensor weights = rng.uniform(y.shape(), 0.5, 1.5, f64);
  const auto grads =
      tape.gradient(y, in, {.cotangent = weights.to(y.dtype()), .unconnected = Unconnected::zero});
  for (const Tensor& g : grads) out.push_back(g.to(f64));
  return out;
}

}  // namespace

TEST_CASE("every op is described and has samples", "[registry]") {
  std::set<std::string_view> names;
  for (const Op* op : registry()) {
    CAPTURE(op->name);
    CHECK(names.insert(op->name).second);
    CHECK(find_op(op->name) == op);
    CHECK(!op->math.empty());
    CHECK(!op->gradient.empty());
    CHECK((op->infer != nullptr) == !op->composed());
    REQUIRE(op->samples != nullptr);
    CHECK(samples_of(*op, f64).size() >= 4);
  }
  CHECK(names.size() >= 40);
  CHECK(find_op("no such op") == nullptr);
}

TEST_CASE("samples reach the op they belong to", "[registry]") {
  for (const Op* op : ops()) {
    if (op->composed()) continue;
    bool reached = false;
    for (const Sample& s : samples_of(*op, f64)) {
      Tape tape;
      std::vector<Var> in;
      for (const Tensor& t : s.inputs) {
        in.push_back(is_floating(t.dtype()) ? tape.variable(t) : tape.input(t));
      }
      const Var y = s.call(in);
      reached |= tape.str().find(" " + std::string(op->name)) != std::string::npos;
    }
    CAPTURE(op->name);
    CHECK(reached);
  }
}

TEST_CASE("gradients of every op equal finite differences at orders 1 and 2", "[registry]") {
  for (const Op* op : ops()) {
    for (const Sample& s : samples_of(*op, f64)) {
      if (!all_f64(s)) continue;
      const GradcheckReport r = gradcheck(s.call, s.inputs, {.order = 2, .tolerance = 1e-6});
      INFO(op->name << ' ' << s.label << '\n' << r);
      CHECK(r.ok());
      for (const auto& e : r.entries) CHECK(e.kinks == 0);
    }
  }
}

namespace {

// The value, the gradient of Σ u·y and the gradient of Σ w·(that), recorded: for eager tapes and
// for programs.
std::vector<Var> orders(const Sample& s, std::span<const Var> in) {
  Rng rng(5);
  const Var y = s.call(in);
  std::vector<Var> out{y};
  if (!is_floating(y.dtype()) || !y.tape()) return out;
  const Var scalar = sum(y * Tensor(rng.uniform(y.shape(), 0.5, 1.5, y.dtype())));
  const auto first = gradient(scalar, in, {.unconnected = Unconnected::zero});
  Var total = 0;
  for (const Var& g : first) {
    out.push_back(g);
    total = total + sum(g * Tensor(rng.uniform(g.shape(), -1, 1, g.dtype())));
  }
  if (!total.tape()) return out;
  for (const Var& g : gradient(total, in, {.unconnected = Unconnected::zero})) out.push_back(g);
  return out;
}

}  // namespace

TEST_CASE("programs of every op agree with eager code at orders 0 to 2", "[registry]") {
  for (const Op* op : ops()) {
    for (const Sample& s : samples_of(*op, f64)) {
      if (!all_f64(s) || s.inputs.empty()) continue;
      INFO(op->name << ' ' << s.label);
      Tape tape;
      std::vector<Var> in;
      std::vector<Spec> specs;
      for (const Tensor& t : s.inputs) {
        in.push_back(tape.variable(t));
        specs.push_back(t.spec());
      }
      const auto eager = orders(s, in);
      Program program = compile([&](std::span<const Var> x) { return orders(s, x); }, specs);
      const auto replayed = program.run(s.inputs);
      REQUIRE(replayed.size() == eager.size());
      for (std::size_t i = 0; i < eager.size(); ++i) {
        INFO("result " << i);
        CHECK(test::relative_difference(cast(replayed[i], f64).value(),
                                        cast(eager[i], f64).value()) <= 1e-10);
      }
    }
  }
}

TEST_CASE("kinks, ties and edges are what the registry says", "[registry][kinks]") {
  for (const Op* op : ops()) {
    for (const Edge& e : op->edges) {
      INFO(op->name << " at " << e.where);
      Tape tape;
      std::vector<Var> in;
      std::vector<const Var*> p;
      for (int i = 0; i < e.operands; ++i) in.push_back(tape.variable(Tensor::scalar(e.at[i])));
      for (const Var& v : in) p.push_back(&v);
      const Var y = e.call ? e.call(in) : xtape::apply(*op, p);
      const auto same = [](double a, double b) {
        return a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= 1e-14;
      };
      CHECK(same(y.item(), e.y));
      const auto g = tape.gradient(y, in, {.unconnected = Unconnected::zero});
      for (std::size_t i = 0; i < in.size(); ++i) CHECK(same(g[i].item(), e.gradient[i]));
    }
  }
}

TEST_CASE("f32 values and gradients of every op agree with f64", "[registry]") {
  for (const Op* op : ops()) {
    for (const Sample& s : samples_of(*op, f32)) {
      if (s.inputs.empty() || s.inputs[0].dtype() != f32) continue;
      const auto single = value_and_gradients(s, f32), twice = value_and_gradients(s, f64);
      REQUIRE(single.size() == twice.size());
      for (std::size_t i = 0; i < single.size(); ++i) {
        INFO(op->name << ' ' << s.label << " result " << i);
        CHECK(test::relative_difference(single[i], twice[i]) <= kF32Tolerance);
      }
    }
  }
}

TEST_CASE("no op changes its inputs, and every op computes the same off the tape", "[registry]") {
  for (const Op* op : ops()) {
    for (const Sample& s : samples_of(*op, f64)) {
      if (!all_f64(s)) continue;
      std::vector<Tensor> copies;
      std::vector<Var> plain, taped;
      Tape tape;
      for (const Tensor& t : s.inputs) {
        copies.push_back(t.clone());
        plain.push_back(t);
        taped.push_back(tape.variable(t));
      }
      const Tensor a = s.call(plain).value(), b = s.call(taped).value();
      INFO(op->name << ' ' << s.label);
      CHECK(identical(a, b));
      for (std::size_t i = 0; i < copies.size(); ++i) CHECK(identical(copies[i], s.inputs[i]));
    }
  }
}

TEST_CASE("no op keeps a value alive that its rules do not read", "[registry]") {
  Tape tape;
  const Var x = tape.variable(Tensor::ones({1 << 20}, f64));
  const std::size_t before = memory::stats().live_bytes;
  Var y = x;
  for (int i = 0; i < 50; ++i) y = y + 1;  // reads nothing: one buffer at a time
  CHECK(memory::stats().live_bytes - before < 4U * 8 * (1 << 20));
}

TEST_CASE("a zero cotangent absorbs any local derivative", "[registry]") {
  // where() hands 0 to the branch not taken; whatever the op's slope is there, 0 comes out.
  const double inf = std::numeric_limits<double>::infinity();
  for (const Op* op : ops()) {
    if (op->composed() || !op->block || op->arity != 1 || op->name == "elementwise") continue;
    const double inside = 0.3 * op->domain[0] + 0.7 * op->domain[1];
    for (const double bad : {0.0, -1.0, inf, -inf, std::nan("")}) {
      Tape tape;
      const Var x = tape.variable(Tensor({bad, inside}));
      const Var taken = samples_of(*op, f64).front().call(std::span(&x, 1));
      if (!is_floating(taken.dtype())) continue;
      const Var y = where(Tensor({0, 1}).to(boolean), taken, 0);
      const Tensor g = tape.gradient(sum(y), x, {.unconnected = Unconnected::zero});
      INFO(op->name << " at " << bad);
      CHECK(g.flat(0) == 0);
      CHECK(std::isfinite(g.flat(1)));
    }
  }
}

}  // namespace xtape
