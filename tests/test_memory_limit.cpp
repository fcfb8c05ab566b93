#include <thread>

#include <xtape/autodiff/memory.hpp>
#include <xtape/autodiff/sample.hpp>

#include "support.hpp"

// Memory that runs out at every place where it can: an error comes, what was there stays as it was,
// and nothing is lost (the sanitized suite looks for leaks).
namespace xtape {
namespace {

// Calls f under larger and larger limits until it gets through; `kept` looks after each failure.
// What reads texts says MemoryError in words of its own.
template <class F, class Kept>
int exhaust(F&& f, Kept&& kept) {
  std::size_t bytes = 0;
  for (int failures = 0; failures < 5000; ++failures) {
    try {
      const memory::Limit limit(bytes);
      f();
      return failures;
    } catch (const Error& e) {
      REQUIRE(std::string(e.what()).find("more than the limit") != std::string::npos);
    }
    kept();
    bytes += 64 + bytes / 16;
  }
  FAIL("never gets through");
  return 0;
}

template <class F>
int exhaust(F&& f) {
  return exhaust(f, [] {});
}

// A network with a state of its own and its optimizer.
struct Training {
  nn::Sequential net{nn::Conv2d(1, 3, 3), nn::BatchNorm(3), nn::ReLU(),
                     nn::Flatten(),       nn::Dense(48, 5), nn::Dropout(0.5)};
  optim::Adam adam{net.parameters(), {.weight_decay = 0.1}};
  Tensor x = Rng(1).uniform({4, 1, 6, 6}), y = Rng(2).uniform({4, 5});

  // Copies of all that a step changes; the draws of a dropout that failed are spent.
  std::vector<Tensor> state() const {
    std::vector<Tensor> out;
    for (const Parameter& p : net.parameters()) out.push_back(p.value().clone());
    for (const Parameter& p : adam.state()) out.push_back(p.value().clone());
    return out;
  }
  void check_same(const std::vector<Tensor>& before) const {
    const std::vector<Tensor> now = state();
    for (std::size_t i = 0; i < now.size(); ++i) REQUIRE(identical(now[i], before[i]));
  }
};

}  // namespace

TEST_CASE("a limit refuses before it asks, and nests", "[memory]") {
  const Tensor before = Tensor::zeros({512}, f64);
  const memory::Limit limit(100'000);
  Tensor t = Tensor::zeros({10'000}, f64);
  REQUIRE_ERROR(Tensor::zeros({10'000}, f64), MemoryError, "of 100000 are taken");
  REQUIRE_ERROR(Tensor::zeros({std::int64_t{1} << 47}, f64), MemoryError, "more than the limit");
  t = Tensor();  // what is given back can be taken again
  t = Tensor::zeros({10'000}, f64);
  {
    const memory::Limit inner(5'000);
    CHECK_NOTHROW(Tensor::zeros({500}, f64));
    CHECK_THROWS_AS(Tensor::zeros({1'000}, f64), MemoryError);
    t = Tensor();  // from outside: now there is that much more
    CHECK_NOTHROW(Tensor::zeros({8'000}, f64));
    CHECK_THROWS_AS(Tensor::zeros({20'000}, f64), MemoryError);
  }
  CHECK_NOTHROW(Tensor::zeros({12'000}, f64));
  std::thread([] { CHECK_NOTHROW(Tensor::zeros({100'000}, f64)); }).join();  // its own business
}

TEST_CASE("an eager step that runs out of memory changes nothing", "[memory]") {
  Training t;
  const std::vector<Tensor> before = t.state();
  const auto step = [&] {
    Tape tape;
    const Var loss = nn::mse_loss(t.net(tape.input(t.x)), t.y);
    t.adam.step(tape.gradient(loss, t.net.parameters()));
  };
  CHECK(exhaust(step, [&] { t.check_same(before); }) > 20);
  CHECK(t.adam.steps() == 1);
}

TEST_CASE("no more does a program, recorded or run", "[memory]") {
  Training t;
  const std::vector<Tensor> before = t.state();
  const auto record = [&] {
    return compile(
        [&](const Var& x, const Var& y) {
          const Var loss = nn::mse_loss(t.net(x), y);
          t.adam.step(gradient(loss, t.net.parameters()));
          return loss;
        },
        {t.x, t.y});
  };
  CHECK(exhaust([&] { record(); }, [&] { t.check_same(before); }) > 20);
  Program step = record();
  t.check_same(before);
  CHECK(exhaust([&] { step(t.x, t.y); }, [&] { t.check_same(before); }) > 0);
  CHECK(t.adam.steps() == 1);
}

TEST_CASE("a tape needs no memory because an earlier one was large", "[memory]") {
  {
    Tape tape;
    Var y = tape.variable(Tensor({1.0, 2.0}));
    for (int i = 0; i < 5000; ++i) y = sin(y);
  }
  const memory::Limit limit(2'000);
  Tape tape;
  const Var x = tape.variable(Tensor({1.0, 2.0}));
  CHECK(tape.gradient(sum(square(x)), x).flat(1) == 4);
}

TEST_CASE("texts, clones and files run out of memory", "[memory]") {
  const std::string text =
      "x = input:1x8x8\na = conv2d:4:3:padding=same (x)\nb = relu (a)\ns = add (a, b)\n"
      "f = flatten (s)\ny = dense:3 (f)\noutput (y)\n";
  CHECK(exhaust([&] { nn::parse_network(text); }) > 20);
  const Training t;
  CHECK(exhaust([&] { t.net.clone(); }) > 5);
  const std::string path = "memory_limit.safetensors";
  CHECK(exhaust([&] { io::save(path, t.net.state()); }) >= 0);
  Training other;
  const std::vector<Tensor> before = other.state();
  CHECK(exhaust([&] { io::load(path, other.net.state()); }, [&] { other.check_same(before); }) > 0);
  std::remove(path.c_str());
}

TEST_CASE("every op and its gradient run out of memory", "[memory][registry]") {
  for (const Op* op : registry()) {
    INFO(op->name);
    Rng rng(7);
    std::vector<Sample> samples = op->samples(Sampler{rng, f64, *op});
    samples.resize(std::min<std::size_t>(samples.size(), 2));
    for (const Sample& s : samples) {
      INFO(s.label);
      std::vector<Tensor> before;
      for (const Tensor& t : s.inputs) before.push_back(t.clone());
      exhaust(
          [&] {
            Tape tape;
            std::vector<Var> in;
            for (const Tensor& t : s.inputs) {
              in.push_back(is_floating(t.dtype()) ? tape.variable(t) : tape.input(t));
            }
            const Var y = s.call(in);
            if (!is_floating(y.dtype())) return;
            const auto grads = tape.gradient(sum(y), in, {.unconnected = Unconnected::zero});
          },
          [&] {
            for (std::size_t i = 0; i < before.size(); ++i) {
              REQUIRE(identical(s.inputs[i], before[i]));
            }
          });
    }
  }
}

}  // namespace xtape
