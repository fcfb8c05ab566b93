#include <atomic>
#include <cstdlib>

#include <xtape/autodiff/memory.hpp>

#include "heap.hpp"
#include "support.hpp"

// Steps of training that allocate nothing, and segments that are computed again instead of kept.

#if XTAPE_COUNT_HEAP
// Every request to the heap of the whole process goes through here.
namespace {
std::atomic<std::size_t> requests{0}, bytes{0};
void count(std::size_t n) {
  requests.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(n, std::memory_order_relaxed);
}
}  // namespace
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* malloc(std::size_t n) noexcept {
  count(n);
  return __libc_malloc(n);
}
void* calloc(std::size_t k, std::size_t n) noexcept {
  count(k * n);
  return __libc_calloc(k, n);
}
void* realloc(void* p, std::size_t n) noexcept {
  count(n);
  return __libc_realloc(p, n);
}
void* aligned_alloc(std::size_t a, std::size_t n) noexcept {
  count(n);
  return __libc_memalign(a, n);
}
}
std::size_t xtape::test::heap_requests() { return requests.load(); }
std::size_t xtape::test::heap_bytes() { return bytes.load(); }
#endif

namespace xtape {
namespace {

#if XTAPE_COUNT_HEAP
template <class F>
std::size_t requests_of(F&& step) {
  for (int i = 0; i < 5; ++i) step();
  const std::size_t before = test::heap_requests();
  for (int i = 0; i < 10; ++i) step();
  return test::heap_requests() - before;
}

struct Training {
  nn::Sequential net{nn::Dense(30, 40), nn::Sigmoid(), nn::Dense(40, 20), nn::ReLU(),
                     nn::Dense(20, 10)};
  optim::SGD sgd{net.parameters(), {.learning_rate = 0.1, .momentum = 0.9}};
  Tensor x = Rng(1).uniform({16, 30});
  Tensor labels = Tensor::arange(16).to(f64).to(i64);
  Training() {
    for (int i = 0; i < 16; ++i) labels.mutable_data<std::int64_t>()[i] = i % 10;
  }
};
#endif

}  // namespace

#if XTAPE_COUNT_HEAP
TEST_CASE("a training step asks the heap for nothing, eagerly and as a program", "[memory]") {
  Training t;
  REQUIRE(test::heap_requests() > 0);  // the counter counts
  CHECK(requests_of([&] {
          Tape tape;
          const Var loss = nn::cross_entropy(t.net(tape.input(t.x)), t.labels);
          t.sgd.step(tape.gradient(loss, t.net.parameters()));
        }) == 0);
  Program step = compile(
      [&](const Var& x, const Var& labels) {
        const Var loss = nn::cross_entropy(t.net(x), labels);
        t.sgd.step(gradient(loss, t.net.parameters()));
        return loss;
      },
      {t.x, t.labels});
  double total = 0;
  CHECK(requests_of([&] { total += step(t.x, t.labels).item(); }) == 0);
  CHECK(total > 0);
}

TEST_CASE("no more does a step with Adam, a schedule, clipping and an average", "[memory]") {
  Training t;
  optim::Adam adam(t.net.parameters(), {.weight_decay = 0.01, .amsgrad = true});
  optim::WeightAverage average(t.net.parameters());
  const optim::Schedule schedule = optim::warm_up(4, optim::cosine(100));
  CHECK(requests_of([&] {
          Tape tape;
          const Var loss = nn::cross_entropy(t.net(tape.input(t.x)), t.labels);
          optim::drive(adam, schedule);
          adam.step(tape.gradient(loss, t.net.parameters()));
          average.update();
        }) == 0);
  Program step = compile(
      [&](const Var& x, const Var& labels) {
        const Var loss = nn::cross_entropy(t.net(x), labels);
        adam.step(optim::clip_by_norm(gradient(loss, t.net.parameters()), 1));
        average.update(loss);
      },
      {t.x, t.labels});
  CHECK(requests_of([&] {
          optim::drive(adam, schedule);
          step(t.x, t.labels);
        }) == 0);
}
#endif

TEST_CASE("checkpoint gives the gradients of the function, of parameters, too", "[memory]") {
  Parameter w(Tensor({{0.5, -1}, {2, 0.3}}), "w");
  const auto f = [&](std::span<const Var> x) { return tanh(matmul(x[0], w)) * x[1]; };
  const Tensor x({{1, 2}, {3, 4}, {5, 6}}), s({{1}, {2}, {3}});
  const auto run = [&](bool again) {
    Tape tape;
    const Var a = tape.variable(x), b = tape.variable(s);
    const Var y = again ? checkpoint(f, {a, b}) : f(std::vector<Var>{a, b});
    const Var loss = sum(square(y));
    const Var second = sum(gradient(loss, a));
    std::vector<Tensor> out = tape.gradient(loss, {a, b, w}, {.keep_tape = true});
    out.push_back(tape.gradient(second, w));
    return out;
  };
  const std::vector<Tensor> want = run(false), got = run(true);
  for (std::size_t i = 0; i < want.size(); ++i) {
    CHECK(test::relative_difference(got[i], want[i]) < 1e-14);
  }
  Tape tape;
  const Var loss = sum(checkpoint(f, {tape.variable(x), tape.variable(s)}));
  w.assign(w.value().clone());
  REQUIRE_ERROR(tape.gradient(loss, w), TapeError, "modified");
}

TEST_CASE("checkpoint draws the same random numbers again", "[memory]") {
  Generator g(1);
  const Tensor x = Tensor::ones({50}, f64);
  Tape tape;
  const Var v = tape.variable(x);
  const Var y =
      checkpoint([&](std::span<const Var> in) { return dropout(in[0], 0.5, g); }, {v}, {g});
  const Var after = dropout(v, 0.5, g);
  CHECK_FALSE(identical(after.value(), y.value()));
  CHECK(identical(tape.gradient(sum(y), v), y.value()));
}

TEST_CASE("checkpoint keeps less", "[memory]") {
  const auto block = [](std::span<const Var> x) {
    Var y = x[0];
    for (int i = 0; i < 10; ++i) y = sin(y);
    return y;
  };
  const auto live = [&](bool again) {
    const std::size_t before = memory::stats().live_bytes;
    Tape tape;
    Var y = tape.variable(Tensor::ones({1 << 16}, f64));
    for (int i = 0; i < 5; ++i) y = again ? checkpoint(block, {y}) : block({&y, 1});
    const std::size_t bytes = memory::stats().live_bytes - before;
    CHECK(tape.gradient(sum(y), {tape.variable(Tensor::ones({1}))},
                        {.unconnected = Unconnected::zero})
              .size() == 1);
    return bytes;
  };
  CHECK(live(true) * 4 < live(false));
}

TEST_CASE("the peak of memory can be asked for and forgotten", "[memory]") {
  memory::reset_peak();
  const std::size_t before = memory::stats().peak_bytes;
  { const Tensor t = Tensor::zeros({1 << 20}, f64); }
  CHECK(memory::stats().peak_bytes >= before + (8U << 20));
  memory::reset_peak();
  CHECK(memory::stats().peak_bytes < before + (8U << 20));
}

}  // namespace xtape
