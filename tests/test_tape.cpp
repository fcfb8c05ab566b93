#include <functional>
#include <memory>
#include <pthread.h>
#include <thread>

#include "support.hpp"

namespace xtape {
namespace {

// Runs f on a thread with a stack of 256 KiB.
void on_small_stack(std::function<void()> f) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 256 * 1024);
  pthread_t thread;
  const auto run = [](void* p) -> void* {
    (*static_cast<std::function<void()>*>(p))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attr, run, &f) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attr);
}

}  // namespace

TEST_CASE("a chain of a million ops runs on a small stack", "[tape]") {
  double gradient = 0;
  std::uint32_t nodes = 0;
  on_small_stack([&] {
    Tape tape;
    const Var x = tape.variable(Tensor::scalar(1));
    Var y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y * 1.0000001;
    nodes = tape.size();
    gradient = tape.gradient(y, x).item();
  });
  CHECK(nodes >= 1'000'001);
  CHECK(gradient == Approx(std::pow(1.0000001, 1e6)).epsilon(1e-9));
}

TEST_CASE("a recorded gradient of a deep chain runs on a small stack, too", "[tape]") {
  double second = 0;
  on_small_stack([&] {
    Tape tape;
    const Var x = tape.variable(Tensor::scalar(1));
    Var y = x;
    for (int i = 0; i < 100'000; ++i) y = y * x;
    const Var g = gradient(y, x);
    second = tape.gradient(g, x).item();
  });
  CHECK(second == Approx(100'001.0 * 100'000.0));
}

TEST_CASE("sixty doublings take sixty steps", "[tape]") {
  Tape tape;
  const Var x = tape.variable(Tensor::scalar(1));
  Var y = x;
  for (int i = 0; i < 60; ++i) y = y + y;
  CHECK(tape.size() == 61);
  CHECK(tape.gradient(y, x).item() == std::ldexp(1.0, 60));
}

TEST_CASE("gradients accumulate over every use", "[tape]") {
  Tape tape;
  const Var x = tape.variable(Tensor({1, 2, 3}));
  const Var y = sum(x * x + 3 * x + sin(x) * x);
  const Tensor g = tape.gradient(y, x);
  for (std::int64_t i = 0; i < 3; ++i) {
    const double v = static_cast<double>(i + 1);
    CHECK(g.flat(i) == Approx(2 * v + 3 + std::cos(v) * v + std::sin(v)).epsilon(1e-14));
  }
}

TEST_CASE("gradients of intermediate values and of several targets", "[tape]") {
  Tape tape;
  const Var x = tape.variable(Tensor({1, 2}));
  const Var z = square(x);
  const Var y = sum(z * z);
  const auto g = tape.gradient(y, {x, z}, {.keep_tape = true});
  CHECK(g[0].flat(1) == Approx(32));
  CHECK(g[1].flat(1) == Approx(8));
  CHECK(tape.gradient(y, z).flat(1) == Approx(8));
  CHECK(tape.gradient(z, z, {.cotangent = Tensor({5, 7})}).flat(1) == 7);
}

TEST_CASE("a gradient is more tape, to any order", "[tape]") {
  Tape tape;
  const Var x = tape.variable(Tensor::scalar(0.7));
  Var d = sin(x);
  const double expected[] = {std::cos(0.7), -std::sin(0.7), -std::cos(0.7),
                             std::sin(0.7), std::cos(0.7),  -std::sin(0.7)};
  for (const double e : expected) {
    d = gradient(d, x);
    CHECK(d.item() == Approx(e).epsilon(1e-14));
  }
}

TEST_CASE("rules may record while the tape grows under them", "[tape]") {
  // Whatever the number of nodes, some rule records the one for which the list must move.
  for (int filler = 0; filler < 140; ++filler) {
    Tape tape;
    const Var x = tape.variable(Tensor({{1, 2, 3}, {4, 5, 7}}));
    for (int i = 0; i < filler; ++i) (void)tape.input(Tensor({0}));
    const Var y = sum(logsumexp(slice(x * x, 1, {0, 2}), 0)) + sum(max(x, 1)) + mean(softmax(x));
    const Var g = gradient(y, x);
    CHECK(std::isfinite(sum(square(tape.gradient(sum(g), x))).item()));
  }
}

TEST_CASE("a zero-sized and a disconnected gradient", "[tape]") {
  Tape tape;
  const Var x = tape.variable(Tensor::zeros({0, 3}, f64)), z = tape.variable(Tensor({1, 2}));
  CHECK(tape.gradient(sum(x), x).shape() == Shape{0, 3});
  const Var y = sum(x * 2);
  REQUIRE_ERROR(tape.gradient(y, z), GradientError, "does not depend on %1 variable");
  CHECK(identical(tape.gradient(y, z, {.unconnected = Unconnected::zero}), Tensor({0, 0})));
}

TEST_CASE("what would lose a gradient throws and says what to write", "[tape][errors]") {
  Tape a, b;
  const Var x = a.variable(Tensor({1, 2})), y = b.variable(Tensor({3, 4}));
  const Parameter w(Tensor({1, 1}), "layer.weight");
  REQUIRE_ERROR(x + y, TapeError, "[add] operands are on two tapes");
  REQUIRE_ERROR(Var(w) * Tensor({1, 2}), TapeError, "parameter 'layer.weight' meets no tape");
  REQUIRE_ERROR(a.gradient(sum(y), x), TapeError, "the output is not on this tape");
  REQUIRE_ERROR(a.gradient(sum(x), y), TapeError, "a target is not on this tape");
  REQUIRE_ERROR(a.gradient(x, x), GradientError, "the output has shape (2,): write sum(y)");
  REQUIRE_ERROR(a.gradient(sum(x), w), GradientError,
                "'layer.weight' of shape (2,) was never used");
  REQUIRE_ERROR(a.gradient(sum(x), a.input(Tensor({1}))), GradientError, "use tape.variable(x)");
  REQUIRE_ERROR(a.variable(Tensor::arange(3)), DTypeError, "has no gradient");
  REQUIRE_ERROR(gradient(Var(Tensor({1})), x), TapeError, "on no tape");
  const Tensor narrow({1}, f32);
  REQUIRE_ERROR(a.gradient(x, x, {.cotangent = narrow}), ShapeError, "cotangent f32(1,)");
  CHECK((no_grad(x) + y).shape() == Shape{2});
  CHECK((w * no_grad(Tensor({2, 3}))).value().flat(1) == 3);
}

TEST_CASE("handles that outlive their tape or a rewind throw", "[tape][errors]") {
  auto tape = std::make_unique<Tape>();
  const Var x = tape->variable(Tensor({1, 2}));
  const std::uint32_t mark = tape->size();
  const Var y = x * 2;
  tape->rewind(mark);
  REQUIRE_ERROR(y + 1, TapeError, "was rewound past this value");
  const Var z = x * 3;  // takes the place of y
  CHECK(z.index() == y.index());
  REQUIRE_ERROR(y + 1, TapeError, "was rewound past this value");
  CHECK(tape->gradient(sum(z), x).flat(0) == 3);
  tape.reset();
  REQUIRE_ERROR(x + 1, TapeError, "outlived its tape");
  Tape next;  // may reuse the slot: the old handle is still refused
  REQUIRE_ERROR(x + 1, TapeError, "outlived its tape");
  CHECK(x.value().flat(1) == 2);
}

TEST_CASE("one tape serves a whole training by rewinding", "[tape]") {
  Parameter w(Tensor({1.0, 2.0}), "w");
  optim::SGD sgd({w}, {.learning_rate = 0.25});
  Tape tape;
  const Var x = tape.input(Tensor({1.0, 1.0}));
  const std::uint32_t mark = tape.size();
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < i; ++k) (void)(x * 2);  // the parameter stands elsewhere each time
    sgd.step(tape.gradient(sum(square(x * w)), sgd.parameters()));
    tape.rewind(mark);
  }
  CHECK(identical(w.value(), Tensor({0.125, 0.25})));
  CHECK(tape.size() == mark);
}

TEST_CASE("a consumed tape says how to keep it", "[tape][errors]") {
  Tape tape;
  const Var x = tape.variable(Tensor({1, 2}));
  const Var h = exp(x), y = sum(h * h), z = sum(h * 3);
  CHECK(tape.gradient(y, x, {.keep_tape = true}).flat(0) == Approx(2 * std::exp(2)));
  CHECK(tape.gradient(y, x).flat(0) == Approx(2 * std::exp(2)));
  REQUIRE_ERROR(tape.gradient(y, x), GradientError, "{.keep_tape = true}");
  REQUIRE_ERROR(tape.gradient(z, x), GradientError, "was consumed");
  CHECK(y.item() == Approx(std::exp(2) + std::exp(4)));
}

TEST_CASE("a parameter modified between forward and backward throws", "[tape][errors]") {
  Parameter w(Tensor({1, 2}), "w");
  Tape tape;
  const Var x = tape.variable(Tensor({3, 4}));
  const Var y = sum(x * w), s = sum(x + w);
  w.assign(Tensor({5, 6}));
  REQUIRE_ERROR(tape.gradient(y, x), TapeError, "'w' was modified after this tape read it");
  CHECK(tape.gradient(s, x).flat(0) == 1);  // nothing was read: nothing is wrong
}

TEST_CASE("a frozen parameter joins as a constant", "[tape]") {
  Parameter w(Tensor({1, 2}), "w");
  w.freeze();
  Tape tape;
  const Var x = tape.variable(Tensor({3, 4}));
  const Var y = sum(x * w);
  REQUIRE_ERROR(tape.gradient(y, w), GradientError, "without a gradient");
  CHECK(tape.gradient(y, x).flat(1) == 2);
}

TEST_CASE("of frozen ones among parameters there is no gradient", "[tape]") {
  Parameter w(Tensor({1, 2}), "w"), v(Tensor({5, 6}), "v");
  w.freeze();
  const Tensor x({3, 4});
  const auto loss = [&](const Var& in) { return sum(in * w * v); };
  Tape tape;
  const Var y = loss(tape.input(x));
  const GradientOptions keep{.keep_tape = true};
  const Tensors g = tape.gradient(y, Parameters{w, v}, keep);
  REQUIRE(g.size() == 2);
  CHECK_FALSE(g[0].defined());
  CHECK(g[1].flat(1) == 8);
  const GradientOptions zero{.keep_tape = true, .unconnected = Unconnected::zero};
  CHECK(tape.gradient(y, Parameters{w, v}, zero)[0].flat(1) == 0);
  optim::SGD sgd({w, v}, {.learning_rate = 1});
  sgd.step(g);
  CHECK(w.value().flat(0) == 1);
  CHECK(v.value().flat(0) == 2);
  Program step = compile(
      [&](const Var& in) {
        sgd.step(optim::clip_by_norm(gradient(loss(in), Parameters{w, v}), 100));
      },
      {x});
  step(x);
  CHECK(w.value().flat(0) == 1);
  CHECK(v.value().flat(0) == Approx(-1).epsilon(1e-6));
  w.freeze(false);
  Tape again;
  CHECK(again.gradient(loss(again.input(x)), Parameters{w, v})[0].defined());
}

TEST_CASE("training in a loop keeps memory flat", "[tape]") {
  Parameter w(Tensor::full({64, 64}, 0.01), "w");
  optim::SGD sgd({w}, {.learning_rate = 1e-3});
  const Tensor x = Tensor::ones({8, 64});
  std::size_t after_first = 0;
  for (int i = 0; i < 200; ++i) {
    Tape tape;
    const Var loss = sum(square(matmul(tape.input(x), w)));
    sgd.step(tape.gradient(loss, sgd.parameters()));
    if (i == 1) after_first = memory::stats().live_bytes + memory::stats().cached_bytes;
  }
  CHECK(memory::stats().live_bytes + memory::stats().cached_bytes <= after_first + 65536);
}

TEST_CASE("tapes on two threads share parameters", "[tape]") {
  const Parameter w(Tensor({1, 2, 3}), "w");
  Tensor g[2];
  const auto work = [&](int k) {
    for (int i = 0; i < 1000; ++i) {
      Tape tape;
      g[k] = tape.gradient(sum(square(tape.input(Tensor({1, 1, 1})) * w)), w);
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  CHECK(identical(g[0], g[1]));
  CHECK(g[0].flat(2) == 6);
}

TEST_CASE("the tape prints itself", "[tape]") {
  Tape tape;
  const Var x = tape.variable(Tensor({{1, 2}}), "x");
  const Var y = sum(x * 2, 1);
  (void)y;
  CHECK(tape.str() ==
        "%0 variable 'x' f64(1, 2)\n"
        "%1 constant f64()  (no gradient)\n"
        "%2 multiply f64(1, 2)  <- %0, %1\n"
        "%3 sum{axes (1,)} f64(1,)  <- %2\n");
}

}  // namespace xtape
