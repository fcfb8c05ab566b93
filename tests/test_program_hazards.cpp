#include <thread>

#include "support.hpp"

// What a recording cannot see, and what must never pass in silence.
namespace xtape {
namespace {

const Signature kVector = {{3}, f64};

Parameter weight() { return Parameter(Tensor({1, 2, 3}), "w"); }

}  // namespace

TEST_CASE("reading a value while recording throws", "[program][hazards]") {
  const auto read = [](auto f) { return [f](const Var& x) { return f(x) > 0 ? x : -x; }; };
  REQUIRE_ERROR(compile(read([](const Var& x) { return sum(x).item(); }), {kVector}), TapeError,
                "while a program is recorded");
  REQUIRE_ERROR(compile(read([](const Var& x) { return x.value().flat(0); }), {kVector}), TapeError,
                "while a program is recorded");
  REQUIRE_ERROR(compile(read([](const Var& x) { return x.value().data<double>()[0]; }), {kVector}),
                TapeError, "while a program is recorded");
  REQUIRE_ERROR(compile([](const Var& x) { return x + nn::accuracy(x.value(), Tensor({0}, i64)); },
                        {kVector}),
                Error, "");
}

TEST_CASE("values of elsewhere are refused by a recording", "[program][hazards]") {
  Tape outside;
  const Var y = outside.variable(Tensor({1, 2, 3}));
  REQUIRE_ERROR(compile([&](const Var& x) { return x + y; }, {kVector}), TapeError, "two tapes");
  REQUIRE_ERROR(compile([&](const Var& x) { return Var(x.value()) + x; }, {kVector}), TapeError,
                "use the Var");
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      Tape tape;
                      return sum(tape.input(x.value()) * 2);
                    },
                    {kVector}),
                TapeError, "recorded");
  REQUIRE_ERROR(compile([&](const Var&) { return y; }, {kVector}), TapeError, "another tape");
  Parameter w = weight();
  REQUIRE_ERROR(compile([&](const Var&) { return square(no_grad(w)); }, {kVector}), TapeError,
                "would be frozen");
  // Constants are fine: the gradient of a sum is one.
  Program ones = compile([](const Var& x) { return gradient(sum(x), x); }, {kVector});
  CHECK(identical(ones(Tensor({1, 2, 3})), Tensor({1, 1, 1})));
}

TEST_CASE("what would be frozen in a program is refused", "[program][hazards]") {
  Parameter w = weight();
  REQUIRE_ERROR(compile([&](const Var& x) { return x * w.value(); }, {kVector}).steps() +
                    compile([&](const Var& x) { return x * w + w.value(); }, {kVector}).steps(),
                TapeError, "'w' is used as a constant");
  REQUIRE_ERROR(compile([&](const Var& x) { return x * square(no_grad(w)); }, {kVector}), TapeError,
                "would be frozen");
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      w.assign(Tensor({0, 0, 0}));
                      return x * w;
                    },
                    {kVector})
                        .steps() +
                    compile(
                        [&](const Var& x) {
                          const Var y = x * w;
                          w.assign(Tensor({0, 0, 0}));
                          return y * w;
                        },
                        {kVector})
                        .steps(),
                TapeError, "modified");
  // Written as a parameter it is read at every run, with no_grad, too.
  Program p = compile([&](const Var& x) { return x * w + no_grad(w); }, {kVector});
  w.assign(Tensor({4, 5, 6}));
  CHECK(p(Tensor({1, 1, 2})).flat(2) == 18);
}

TEST_CASE("operations of another thread are refused by a recording", "[program][hazards]") {
  REQUIRE_ERROR(compile(
                    [](const Var& x) {
                      std::exception_ptr error;
                      std::thread([&] {
                        try {
                          x + 1;
                        } catch (...) {
                          error = std::current_exception();
                        }
                      }).join();
                      if (error) std::rethrow_exception(error);
                      return x;
                    },
                    {kVector}),
                TapeError, "another thread");
}

TEST_CASE("handles of a recording die with it", "[program][hazards]") {
  Var kept;
  compile(
      [&](const Var& x) {
        kept = x + 1;
        return kept;
      },
      {kVector});
  REQUIRE_ERROR(kept + 1, TapeError, "outlived its tape");
}

TEST_CASE("arguments that do not fit are refused before anything changes", "[program][hazards]") {
  Parameter w = weight();
  Program p = compile(
      [&](const Var& x, const Var& s) {
        assign(w, w + sum(x) * s);
        return sum(beside(w, x));
      },
      {{{3}, f64}, {{}, f64}}, {.name = "step"});
  REQUIRE_ERROR(p(Tensor({1, 2}), 1), ShapeError,
                "[step] argument 0 is f64(2,), recorded for f64(3,)");
  REQUIRE_ERROR(p(Tensor({1, 2, 3}, f32), 1), DTypeError, "argument 0 is f32(3,)");
  REQUIRE_ERROR(p(Tensor({1, 2, 3})), ValueError, "1 arguments, recorded for 2");
  REQUIRE_ERROR(compile([](const Var& x) { return x; }, {{}, {}}), ValueError, "takes 1 arguments");
  CHECK(identical(w.value(), Tensor({1, 2, 3})));
  CHECK(p(Tensor({1, 2, 3}), 0.5).item() == 15);  // 6 + 3·3
  CHECK(w.version() == 1);
  w.to(f32);
  REQUIRE_ERROR(p(Tensor({1, 2, 3}), 1), DTypeError,
                "parameter 'w' is f32(3,), recorded as f64(3,)");
  REQUIRE_ERROR(Program()(Tensor({1})), ValueError, "empty handle");
}

TEST_CASE("a run that throws has changed no parameter", "[program][hazards]") {
  nn::Sequential net{nn::Dense(3, 4), nn::Tanh(), nn::Dense(4, 2)};
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
  Program step = compile(
      [&](const Var& x, const Var& labels) {
        const Var loss = nn::cross_entropy(net(x), labels);
        sgd.step(gradient(loss, net.parameters()));
        return loss;
      },
      {{5, 3}, {{5}, i64}});
  Rng rng(1);
  const Tensor x = rng.uniform({5, 3}), good({0, 1, 1, 0, 1}, i64), bad({0, 1, 7, 0, 1}, i64);
  step(x, good);
  std::vector<Tensor> before;
  for (const Parameter& p : net.parameters()) before.push_back(p.value().clone());
  REQUIRE_ERROR(step(x, bad), ValueError, "label 7");
  Tensor infinite = x.clone();
  infinite.mutable_data<float>()[4] = std::numeric_limits<float>::infinity();
  REQUIRE_ERROR(step(infinite, good), ValueError, "NaN or infinite");
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(identical(net.parameters()[i].value(), before[i]));
  }
  CHECK(sgd.steps() == 1);
  CHECK(step(x, good).item() > 0);
  CHECK(sgd.steps() == 2);
}

TEST_CASE("values seen once stay what they were", "[program][hazards]") {
  Parameter w = weight();
  const Tensor seen = w.value();
  Program p = compile(
      [&](const Var& x) {
        assign(w, w + x);
        return beside(w, x) * 1.0;
      },
      {kVector});
  const Tensor first = p(Tensor({1, 1, 1})), copy = first.clone();
  const Tensor second = p(w.value());  // the argument is what the run changes
  CHECK(identical(seen, Tensor({1, 2, 3})));
  CHECK(identical(first, copy));
  CHECK(identical(second, Tensor({4, 6, 8})));
  Tape tape;
  const Var y = sum(square(tape.parameter(w)));
  p(Tensor({1, 1, 1}));
  REQUIRE_ERROR(tape.gradient(y, w), TapeError, "modified");
}

TEST_CASE("parameters can change places in a program", "[program][hazards]") {
  Parameter a(Tensor({1, 2}), "a"), b(Tensor({3, 4}), "b");
  Program swap = compile(
      [&](const Var& x) {
        const Var old = stop_gradient(x.tape()->parameter(a));
        assign(a, x.tape()->parameter(b));
        assign(b, old);
        return std::vector<Var>{x, x};
      },
      {{{2}, f64}});
  const std::vector<Tensor>& out = swap.run({Tensor({5, 6})});
  CHECK(identical(a.value(), Tensor({3, 4})));
  CHECK(identical(b.value(), Tensor({1, 2})));
  CHECK(identical(out[0], Tensor({5, 6})));
  CHECK(identical(out[1], out[0]));
  REQUIRE_ERROR(swap(Tensor({5, 6})), ValueError, "has 2 outputs");
}

TEST_CASE("a program runs in one thread at a time", "[program][hazards]") {
  Program p = compile([](const Var& x) { return sum(sin(x)); }, {{2'000'000}});
  const Tensor x = Rng(1).uniform({2'000'000});
  std::atomic<int> refused{0}, done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        try {
          p(x);
          ++done;
        } catch (const ValueError&) {
          ++refused;
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(done + refused == 80);
  CHECK(done > 0);
}

}  // namespace xtape
