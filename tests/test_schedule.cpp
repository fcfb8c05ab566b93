#include "support.hpp"

// Learning rates over time, against their closed forms.
namespace xtape {
namespace {

using namespace optim;

constexpr double kPi = 3.14159265358979323846;

Parameter weight() { return Parameter(Tensor({1.0}), "w"); }

std::vector<double> first(const Schedule& s, int n) {
  std::vector<double> out;
  for (int k = 0; k < n; ++k) out.push_back(s(k));
  return out;
}

void check(const Schedule& s, const std::vector<double>& want) {
  const std::vector<double> got = first(s, static_cast<int>(want.size()));
  for (std::size_t k = 0; k < want.size(); ++k) {
    INFO("step " << k);
    CHECK(got[k] == Approx(want[k]).margin(1e-15));
  }
}

}  // namespace

TEST_CASE("schedules are their closed forms", "[schedule]") {
  check(constant(0.25, 2), {0.25, 0.25, 1, 1});
  check(constant(0.5), {0.5, 0.5, 0.5});
  check(step_decay(2, 0.1), {1, 1, 0.1, 0.1, 0.01});
  check(multi_step({4, 1, 1}, 0.5), {1, 0.25, 0.25, 0.25, 0.125});
  check(exponential(0.9), {1, 0.9, 0.81});
  check(linear(0.1, 0.5, 4), {0.1, 0.2, 0.3, 0.4, 0.5, 0.5});
  check(polynomial(4, 2), {1, 0.5625, 0.25, 0.0625, 0, 0});
  const double half = (1 + std::cos(kPi / 4)) / 2;
  check(cosine(4), {1, half, 0.5, 1 - half, 0, 1 - half, 0.5});
  check(cosine(2, 0.2), {1, 0.6, 0.2, 0.6});
  check(cosine_restarts(2), {1, 0.5, 1, 0.5});
  check(cosine_restarts(2, {.growth = 2, .floor = 0.2}),
        {1, 0.6, 1, 0.2 + 0.8 * half, 0.6, 0.2 + 0.8 * (1 - half), 1});
  check(warm_up(2, exponential(0.5)), {0, 0.5, 1, 0.5, 0.25});
  check(warm_up(2, constant(1), 0.5), {0.5, 0.75, 1, 1});
  check(sequential({constant(1), constant(2), exponential(3)}, {1, 3}), {1, 2, 2, 1, 3, 9});
  check(chained({exponential(0.5), constant(0.1, 2)}), {0.1, 0.05, 0.25});
}

TEST_CASE("cycles go up and down", "[schedule]") {
  const OneCycleOptions o{.steps = 10, .rise = 0.3, .start = 0.1, .end = 0.01, .linear = true};
  const Schedule rate = one_cycle(o), momentum = one_cycle_momentum(o);
  check(rate, {0.1, 0.55, 1, 1 - 0.99 / 7, 1 - 2 * 0.99 / 7});
  CHECK(rate(9) == Approx(0.01));
  CHECK(rate(50) == Approx(0.01));
  CHECK(momentum(0) == Approx(0.95));
  CHECK(momentum(2) == Approx(0.85));
  CHECK(momentum(9) == Approx(0.95));
  const Schedule round = one_cycle({.steps = 5, .rise = 0.6, .start = 0, .end = 0});
  check(round, {0, 0.5, 1, 0.5, 0});
  const Schedule thrice = one_cycle(
      {.steps = 10, .rise = 0.3, .start = 0.1, .end = 0, .linear = true, .three_phases = true});
  check(thrice, {0.1, 0.55, 1, 0.55, 0.1, 0.08, 0.06, 0.04, 0.02, 0});
  check(cyclic({.floor = 0.2, .up = 2, .down = 4}), {0.2, 0.6, 1, 0.8, 0.6, 0.4, 0.2, 0.6, 1, 0.8});
  check(cyclic({.floor = 0, .up = 1, .down = 1, .waves = Waves::halved}), {0, 1, 0, 0.5, 0, 0.25});
  check(cyclic({.floor = 0, .up = 1, .down = 1, .waves = Waves::decayed, .decay = 0.5}),
        {0, 0.5, 0, 0.125});
  REQUIRE_ERROR(one_cycle({}), ValueError, "[one_cycle] steps");
  REQUIRE_ERROR(one_cycle({.steps = 10, .rise = 1}), ValueError, "rise 1");
  REQUIRE_ERROR(one_cycle({.steps = 10, .rise = 0.7, .three_phases = true}), ValueError, "below");
  REQUIRE_ERROR(cyclic({.up = 0}), ValueError, "[cyclic] up");
  REQUIRE_ERROR(cosine(0), ValueError, "[cosine] steps 0: must be 1 or more");
  REQUIRE_ERROR(sequential({constant(1)}, {3}), ValueError, "1 schedules and 1 milestones");
}

TEST_CASE("a schedule drives every group from its own base", "[schedule]") {
  Parameter a = weight(), b = weight();
  SGD sgd({{{a}, {.learning_rate = 0.5}}, {{b}, {.learning_rate = 2}}});
  const Schedule halves = [](std::int64_t step) { return 1.0 / static_cast<double>(step + 1); };
  const Tensor g({0.0});
  for (int k = 0; k < 3; ++k) {
    drive(sgd, halves);
    CHECK(sgd.learning_rate(0) == Approx(0.5 / (k + 1)));
    CHECK(sgd.learning_rate(1) == Approx(2.0 / (k + 1)));
    sgd.step({g, g});
  }
  drive(sgd, halves, 9);
  CHECK(sgd.learning_rate(1) == Approx(0.2));
  REQUIRE_ERROR(drive(sgd, constant(-1)), ValueError, "factor of the learning rate -1");
  CHECK(sgd.learning_rate(1) == Approx(0.2));
}

TEST_CASE("programs follow a schedule", "[schedule]") {
  Parameter w = weight();
  SGD sgd({w}, {.learning_rate = 1});
  Program step =
      compile([&](const Var& x) { sgd.step(gradient(sum(x * w), {w})); }, {{Shape{1}, f64}});
  double want = 1;
  for (int k = 0; k < 4; ++k) {
    drive(sgd, exponential(0.5));
    step(Tensor({1.0}));
    want -= std::pow(0.5, k);
  }
  CHECK(w.value().item() == Approx(want));
}

TEST_CASE("rates fall on a plateau, and the state goes on where it was", "[schedule]") {
  SGD sgd({weight()}, {.learning_rate = 1});
  ReduceOnPlateau plateau({.factor = 0.5, .patience = 1, .cooldown = 1, .smallest_rate = 0.2});
  const auto rate_after = [&](double loss) {
    plateau.observe(sgd, loss);
    return sgd.learning_rate();
  };
  CHECK(rate_after(3) == 1);
  CHECK(rate_after(2) == 1);
  CHECK(rate_after(2) == 1);               // one is endured
  CHECK(rate_after(std::nan("")) == 0.5);  // two are not
  CHECK(rate_after(2) == 0.5);             // does not count
  CHECK(rate_after(2) == 0.5);
  ReduceOnPlateau other({.factor = 0.5, .patience = 1, .cooldown = 1, .smallest_rate = 0.2});
  other.restore(plateau.state());
  CHECK(plateau.state().best == 2);
  CHECK(other.observe(sgd, 2));
  CHECK(sgd.learning_rate() == 0.25);
  for (int i = 0; i < 3; ++i) other.observe(sgd, 2);
  CHECK(sgd.learning_rate() == 0.2);  // not below the smallest
  ReduceOnPlateau largest({.patience = 0, .threshold = 0.5, .absolute = true, .maximize = true});
  CHECK_FALSE(largest.observe(sgd, -1));
  CHECK_FALSE(largest.observe(sgd, 0));
  CHECK(largest.observe(sgd, 0.4));
  CHECK(sgd.learning_rate() == Approx(0.02));
  REQUIRE_ERROR(ReduceOnPlateau({.factor = 1}), ValueError, "factor");
  REQUIRE_ERROR(ReduceOnPlateau({.patience = -1}), ValueError, "patience");
}

}  // namespace xtape
