#include "support.hpp"

// What a review of programs found, each as it was found.
namespace xtape {
namespace {

using test::relative_difference;

template <class F>
void same_as_eager(F f, const std::vector<Tensor>& x, double tolerance = 1e-6) {
  std::vector<Spec> specs;
  std::vector<Var> plain;
  for (const Tensor& t : x) {
    specs.push_back(t.spec());
    plain.emplace_back(t);
  }
  Program p = compile(f, specs);
  const std::vector<Tensor>& got = p.run(x);
  const std::vector<Var> want = f(plain);
  INFO(p.str());
  for (std::size_t i = 0; i < want.size(); ++i) {
    CHECK(relative_difference(cast(got[i], f64).value(), cast(want[i], f64).value()) <= tolerance);
  }
}

using In = std::span<const Var>;
using Out = std::vector<Var>;

}  // namespace

TEST_CASE("groups that read one another are not joined in a circle", "[program][review]") {
  same_as_eager(
      [](In v) {
        const Var y = sin(v[0]), t = sum(y) * 2, q = exp(v[1]), z = y * q;
        return Out{z, q * t};
      },
      {Tensor({1, 2, 3}, f32), Tensor::scalar(0.5, f32)});
}

TEST_CASE("values of another width do not share scratch memory in step", "[program][review]") {
  const Tensor x = Rng(1).uniform({16}, -1, 1);
  same_as_eager([](In v) { return Out{where(v[0] * 2 > 0.5, 1.0, v[0]) * 3}; }, {x});
  same_as_eager([](In v) { return Out{cast(v[0] * 2 > 0.5, f32) * 3}; }, {x});
  const Tensor rows = Rng(2).uniform({40, 125}, -1, 1);
  same_as_eager(
      [](In v) {
        const Var l = logsumexp(v[0], -1) * 0.5;
        return Out{where(l > 1, l * 2, -l), cast(logsumexp(v[0], -1) * 3, i64)};
      },
      {rows}, 1e-5);
}

TEST_CASE("a gradient that overflows is refused though its factors are finite",
          "[program][review]") {
  Parameter w(Tensor({{1, 1}, {1, 1}}, f32), "w");
  optim::SGD sgd({w}, {.learning_rate = 1});
  Program p =
      compile([&](const Var& x) { sgd.step(gradient(sum(matmul(x, w) * 1e25), {w})); }, {{3, 2}});
  REQUIRE_ERROR(p(Tensor::full({3, 2}, 1e25)), ValueError, "[w] its gradient has NaN or infinite");
  CHECK(identical(w.value(), Tensor({{1, 1}, {1, 1}}, f32)));
  p(Tensor::full({3, 2}, 1e-25));  // the bound says no, the product yes or no: here it is small
  CHECK(w.value().flat(0) == Approx(-2));
  p(Tensor::full({3, 2}, 1e10));
  CHECK(std::isfinite(w.value().flat(0)));
}

TEST_CASE("arguments may be what the program changes", "[program][review]") {
  Parameter w(Tensor({{1, 2}, {3, 4}}), "w");
  Program p = compile(
      [&](const Var& x) {
        assign(w, matmul(x, x));
        return sum(x);
      },
      {{{2, 2}, f64}});
  CHECK(p(w.value()).item() == 10);
  CHECK(identical(w.value(), Tensor({{7, 10}, {15, 22}})));
  Program square = compile([](const Var& x) { return matmul(x, x); }, {{{2, 2}, f64}});
  const std::vector<Tensor>& r = square.run({Tensor({{1, 2}, {3, 4}})});
  square.run(r);
  CHECK(identical(r[0], Tensor({{199, 290}, {435, 634}})));
}

TEST_CASE("constants are not joined where the product would leave the range", "[program][review]") {
  same_as_eager([](In v) { return Out{(v[0] * 1e30) * 1e30}; }, {Tensor({1e-30, 0}, f32)});
  same_as_eager([](In v) { return Out{(v[0] * 1e-30) * 1e-30}; }, {Tensor({1e38, 0}, f32)});
  same_as_eager(
      [](In v) {
        return Out{1 / (v[0] + 0), 1 / (v[0] - 0), 1 / (v[0] + -0.0)};
      },
      {Tensor({-0.0, 0.0}, f32)});
}

TEST_CASE("effects that would be lost are errors", "[program][review]") {
  Parameter p(Tensor({1, 2}), "p"), q(Tensor({3, 4}), "q");
  const Signature two{Shape{2}, f64};
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      assign(p, q);
                      return x;
                    },
                    {two}),
                TapeError, "would act once");
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      assign(p, Tensor({0, 0}));
                      return x;
                    },
                    {two}),
                TapeError, "would act once");
  Program copy = compile(
      [&](const Var& x) {
        assign(p, beside(q, x));
        return x;
      },
      {two});
  q.assign(Tensor({5, 6}));
  copy(Tensor({0, 0}));
  CHECK(identical(p.value(), q.value()));

  optim::SGD sgd({p}, {.learning_rate = 0.1, .weight_decay = 0.1});
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      sgd.step(gradient(sum(x), {p}, {.unconnected = Unconnected::zero}));
                    },
                    {two}),
                TapeError, "none of these gradients");
  CHECK(sgd.steps() == 0);
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      const Var first = sum(x * p);
                      assign(p, p + x);
                      return gradient(first + sum(p * x), p);
                    },
                    {two}),
                TapeError, "before assign() changed it");
  REQUIRE_ERROR(compile(
                    [&](const Var& x) {
                      const Var y = x + 1;
                      x.tape()->rewind(1);
                      return y;
                    },
                    {two}),
                TapeError, "cannot be rewound");
  Program made = compile([&](const Var& x) { return x + x.tape()->input(Tensor({1, 1})); }, {two});
  CHECK(identical(made(Tensor({1, 2})), Tensor({2, 3})));
  Program parameter = compile([&](const Var&) { return p; }, {two});
  CHECK(identical(parameter(Tensor({1, 2})), p.value()));
}

TEST_CASE("an optimizer in a program takes constants among its gradients", "[program][review]") {
  Parameter a(Tensor({1, 2}), "a"), b(Tensor({1, 2}), "b");
  for (const bool frozen : {false, true}) {
    a.freeze(frozen);
    optim::SGD sgd({a, b}, {.learning_rate = 0.5});
    Program p = compile(
        [&](const Var& x) {
          sgd.step(gradient(sum(x * b), {a, b}, {.unconnected = Unconnected::zero}));
        },
        {{{2}, f64}});
    const Tensor before = a.value();
    p(Tensor({2, 2}));
    CHECK(identical(a.value(), before));
    if (!frozen) {
      b.freeze();
      REQUIRE_ERROR(p(Tensor({2, 2})), ValueError, "'b' was frozen or unfrozen");
      b.freeze(false);
    }
  }
  CHECK(identical(b.value(), Tensor({-1, 0})));
  Program rate = compile(
      [&](const Var& x, const Var& r) {
        static optim::SGD sgd({b}, {});
        sgd.set_learning_rate(r);
        sgd.step(gradient(sum(x * b), {b}));
      },
      {{{2}, f64}, {{}, f64}});
  REQUIRE_ERROR(rate(Tensor({1, 1}), -1), ValueError, "learning rate -1");
  REQUIRE_ERROR(rate(Tensor({1, 1}), std::nan("")), ValueError, "learning rate nan");
  CHECK(identical(b.value(), Tensor({-1, 0})));
}

TEST_CASE("nothing is updated before a label or a user's function may throw", "[program][review]") {
  Parameter w(Tensor({1, 2}), "w");
  Program p = compile(
      [&](const Var& x, const Var& l) {
        assign(w, w + x);
        return sum(one_hot(l, 2, f64));
      },
      {{{2}, f64}, {{1}, i64}});
  REQUIRE_ERROR(p(Tensor({1, 1}), Tensor({5}, i64)), ValueError, "label 5");
  CHECK(identical(w.value(), Tensor({1, 2})));
  CHECK(w.version() == 0);
}

TEST_CASE("numbers as arguments must fit", "[program][review]") {
  Program p = compile([](const Var& x) { return x * 2; }, {{{}, i64}});
  CHECK(p(3).item() == 6);
  REQUIRE_ERROR(p(2.5), DTypeError, "does not hold it");
  Program again = compile([](const Var& x) { return sum(x); }, {{4096}}, {.recompile = true});
  CHECK(again(2.0).item() == 2);
  int runs = 0;
  Program outputs = compile(
      [&](const Var& x) {
        ++runs;
        return std::vector<Var>{x, x + 1};
      },
      {{2}});
  REQUIRE_ERROR(outputs(Tensor({1, 2}, f32)), ValueError, "has 2 outputs");
}

TEST_CASE("losses with labels of one output can be recorded", "[program][review]") {
  nn::Sequential net{nn::Dense(3, 1)};
  Program p = compile(
      [&](const Var& x, const Var& labels) {
        return nn::binary_cross_entropy_with_logits(net(x), labels);
      },
      {{4, 3}, {{4}, i64}});
  const Tensor x = Rng(1).uniform({4, 3}), labels({0, 1, 1, 0}, i64);
  const double want = nn::binary_cross_entropy_with_logits(net(no_grad(x)), labels).item();
  CHECK(p(x, labels).item() == Approx(want));
  REQUIRE_ERROR(p(x, Tensor({0, 1, 2, 0}, i64)), ValueError, "label 2");
}

}  // namespace xtape
