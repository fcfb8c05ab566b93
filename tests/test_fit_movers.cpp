#include <filesystem>

#include "fit_run.hpp"
#include "io_support.hpp"
#include "support.hpp"

// What moves the parameters in fit(), and by how much: plateaus, momenta, L-BFGS, several inputs,
// restarts.
namespace xtape {
namespace {

using test::FitRun;
using test::line;
using test::line_net;
using test::same;

const fit::Loss& squares() {
  static const fit::Loss f = nn::loss("mse").f;
  return f;
}

}  // namespace

TEST_CASE("the rate falls when what is monitored no longer improves", "[fit]") {
  nn::Sequential net = line_net();
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.4});
  fit::Options o{.epochs = 12, .batch_size = 0};
  o.plateau = optim::PlateauOptions{.factor = 0.5, .patience = 1, .threshold = 0.9};
  std::vector<std::string> notes;
  o.on_note = [&](const std::string& n) { notes.push_back(n); };
  const fit::History h = fit::fit(net, sgd, squares(), line(24), o);
  // The same by hand, on the losses that were seen.
  nn::Sequential other = line_net();
  optim::SGD hand(other.parameters(), {.learning_rate = 0.4});
  optim::ReduceOnPlateau plateau(*o.plateau);
  for (const fit::Epoch& e : h.epochs) {
    CHECK(e.learning_rate == hand.learning_rate());
    plateau.observe(hand, e.loss);
  }
  CHECK(sgd.learning_rate() == hand.learning_rate());
  CHECK(h.epochs.back().learning_rate < 0.4);
  REQUIRE_FALSE(notes.empty());
  CHECK(notes[0] == "learning rate lowered: no better loss");
}

TEST_CASE("a plateau knows in which direction a metric improves, and is kept", "[fit][resume]") {
  const auto rate = [](fit::Mode mode) {
    nn::Sequential net = line_net();
    optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
    fit::Options o{.epochs = 5, .batch_size = 0, .mode = mode};  // the loss falls
    o.plateau = optim::PlateauOptions{.factor = 0.5, .patience = 1};
    return fit::fit(net, sgd, squares(), line(24), o).epochs.back().learning_rate;
  };
  CHECK(rate(fit::Mode::automatic) == 0.1);
  CHECK(rate(fit::Mode::maximize) == 0.05);
  const auto options = [](const FitRun& run, const std::string& folder) {
    fit::Options o = run.options(folder);
    o.schedule = {};
    o.early_stopping.reset();
    o.epochs = 8;
    o.plateau = optim::PlateauOptions{.factor = 0.5, .patience = 1, .threshold = 0.2};
    return o;
  };
  FitRun whole, first, second;
  const fit::History h = whole.train(options(whole, ""));
  CHECK(h.epochs.back().learning_rate < 0.01);
  const test::Folder folder;
  fit::Options o = options(first, folder.str());
  o.on_epoch = [](const fit::EpochReport& r, fit::Control& c) {
    if (r.epoch.number == 4) c.stop();
  };
  first.train(o);
  const fit::History rest = second.train(options(second, folder.str()));
  CHECK(rest.values("learning_rate") == h.values("learning_rate"));
  CHECK(same(whole, second));
  FitRun without;
  o = options(without, folder.str());
  o.plateau.reset();
  REQUIRE_ERROR(without.train(o), ValueError, "has a number of plateaus of 1, this one 0");
}

TEST_CASE("a momentum is set for each step", "[fit]") {
  const optim::OneCycleOptions cycle{.steps = 12};
  const auto by = [&](bool fitted) {
    nn::Sequential net = line_net();
    optim::SGD sgd(net.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
    const data::Dataset d = line(24);
    if (fitted) {
      fit::Options o{.epochs = 4, .batch_size = 8, .shuffle = false, .compiled = false};
      o.schedule = optim::one_cycle(cycle);
      o.momentum = optim::one_cycle_momentum(cycle);
      fit::fit(net, sgd, squares(), d, o);
    } else {
      const optim::Schedule rate = optim::one_cycle(cycle),
                            momentum = optim::one_cycle_momentum(cycle);
      for (std::int64_t step = 0; step < 12; ++step) {
        optim::drive(sgd, rate);
        sgd.set_momentum(momentum(step));
        const data::Dataset part = d.take(8 * (step % 3), 8);
        Tape tape;
        sgd.step(
            tape.gradient(mse_loss(net(tape.input(part.inputs)), part.labels), net.parameters()));
      }
    }
    return net.parameter("0.weight").value();
  };
  CHECK(identical(by(true), by(false)));
  nn::Sequential net = line_net();
  optim::SGD plain(net.parameters(), {.learning_rate = 0.1});
  fit::Options o{.epochs = 1};
  o.momentum = optim::constant(0.9);
  CHECK_THROWS_AS(fit::fit(net, plain, squares(), line(8), o), ValueError);
}

TEST_CASE("L-BFGS trains in a few steps, as by hand", "[fit]") {
  const data::Dataset d = line(24);
  for (const bool compiled : {true, false}) {
    nn::Sequential net = line_net();
    optim::LBFGS lbfgs(net.parameters());
    const fit::History h =
        fit::fit(net, lbfgs, squares(), d, {.epochs = 4, .batch_size = 0, .compiled = compiled});
    CHECK(h.steps == 4);
    CHECK(h.epochs.back().loss < 1e-10);
    CHECK(net.parameter("0.weight").value().item() == Approx(2.0).epsilon(1e-6));
    if (compiled) continue;
    nn::Sequential other = line_net();
    optim::LBFGS hand(other.parameters());
    for (int i = 0; i < 4; ++i) {
      hand.step([&] {
        Tape tape;
        const Var loss = mse_loss(other(tape.input(d.inputs)), d.labels);
        const double value = loss.item();
        const Tensors g = tape.gradient(loss, other.parameters());
        return optim::Evaluation{value, {g.begin(), g.end()}};
      });
    }
    CHECK(identical(net.parameter("0.weight").value(), other.parameter("0.weight").value()));
  }
}

TEST_CASE("L-BFGS is resumed, restarted, and refuses what it does not take", "[fit][resume]") {
  const data::Split digits{data::digits_split().train.take(0, 60).to(f64), {}};
  const auto make = [] {
    nn::Sequential net{nn::Dense(64, 6, {.dtype = f64}), nn::Tanh(),
                       nn::Dense(6, 10, {.dtype = f64})};
    net.initialize(Rng(2));
    return net;
  };
  const fit::Loss loss = nn::loss("cross_entropy").f;
  const test::Folder folder;
  fit::Options o{.epochs = 6, .batch_size = 0};
  const optim::LBFGSOptions brief{.max_iterations = 3};
  nn::Sequential whole = make(), parts = make();
  {
    optim::LBFGS lbfgs(whole.parameters(), brief);
    fit::fit(whole, lbfgs, loss, digits.train, o);
  }
  o.checkpoint.folder = folder.str();
  o.epochs = 3;
  {
    optim::LBFGS lbfgs(parts.parameters(), brief);
    fit::fit(parts, lbfgs, loss, digits.train, o);
  }
  parts = make();
  o.epochs = 6;
  optim::LBFGS lbfgs(parts.parameters(), brief);
  const fit::History h = fit::fit(parts, lbfgs, loss, digits.train, o);
  CHECK_FALSE(h.resumed.empty());
  CHECK(identical(whole.parameter("0.weight").value(), parts.parameter("0.weight").value()));

  const fit::Restarts r =
      fit::fit_restarts(parts, lbfgs, loss, digits.train, {.epochs = 2, .batch_size = 0});
  CHECK(r.histories.size() == 3);
  const auto refused = [&](const char* what, fit::Options bad) {
    REQUIRE_ERROR(fit::fit(parts, lbfgs, loss, digits.train, bad), ValueError,
                  std::string(what) + " and L-BFGS");
  };
  refused("a schedule", {.schedule = optim::constant(1)});
  refused("a momentum", {.momentum = optim::constant(0.5)});
  refused("a plateau", {.plateau = optim::PlateauOptions{}});
  refused("clip_norm", {.clip_norm = 1});
  refused("accumulate", {.accumulate = 2});
}

namespace {

// y = Σ x · table[t], of inputs x [n, 3] and t i64 [n].
data::Dataset pairs(std::int64_t n) {
  Rng rng(7);
  data::Dataset d;
  d.inputs = rng.normal({n, 3}, 0, 1, f64);
  const std::vector<std::int64_t> kinds = [&] {
    std::vector<std::int64_t> k;
    for (std::int64_t i = 0; i < n; ++i) k.push_back(i * i % 4);
    return k;
  }();
  d.more = {Tensor::from(kinds)};
  const Tensor table = rng.normal({4, 3}, 0, 1, f64);
  d.labels = sum(Var(d.inputs) * embedding(d.more[0], table), {1}).value();
  return d;
}

std::shared_ptr<nn::Graph> pairs_net() {
  auto g = std::make_shared<nn::Graph>();
  g->input("x").input("t");
  g->add("row", nn::Embedding(4, 3, {.dtype = f64}), {"t"});
  g->add("both", nn::Multiply(), {"x", "row"});
  g->add("y", nn::Lambda("sum", [](const Var& v) { return sum(v, {1}); }), {"both"}).output("y");
  g->initialize(Rng(1));
  return g;
}

}  // namespace

TEST_CASE("networks of several inputs are trained, validated and asked", "[fit][data]") {
  const data::Dataset all = pairs(80);
  Rng deal(3);
  const data::Split parts = data::split(all, 0.25, deal);
  CHECK(parts.train.more[0].shape() == Shape{60});
  Tensor first;
  for (const std::size_t prefetch : {std::size_t{0}, std::size_t{2}}) {
    for (const bool compiled : {true, false}) {
      const auto net = pairs_net();
      optim::Adam adam(net->parameters(), {.learning_rate = 0.05});
      fit::Options o{.epochs = 60, .batch_size = 7, .prefetch = prefetch, .compiled = compiled};
      o.validation = parts.test;
      o.validation_batch_size = 6;
      o.metrics = {std::make_shared<fit::RSquared>()};
      const fit::History h = fit::fit(*net, adam, squares(), parts.train, o);
      CHECK(h.epochs.back().metrics[0] > 0.999);  // only where rows of both inputs belong together
      const Tensor y = fit::predict(*net, {parts.test.inputs, parts.test.more[0]}, 6);
      CHECK(fit::r_squared(y, parts.test.labels) == Approx(h.epochs.back().metrics[0]));
      if (!first.defined()) first = y;
      CHECK(test::relative_difference(first, y) < 1e-9);
    }
  }
  data::Dataset wrong = all;
  wrong.more[0] = Tensor::arange(79);
  const auto net = pairs_net();
  optim::SGD sgd(net->parameters());
  REQUIRE_ERROR(fit::fit(*net, sgd, squares(), wrong), ShapeError, "must have as many rows");
  wrong.more.clear();
  CHECK_THROWS_AS(fit::fit(*net, sgd, squares(), wrong), Error);
}

TEST_CASE("of several restarts the best is kept", "[fit]") {
  FitRun run;
  fit::Options o = run.options("");
  o.epochs = 2;
  o.rng = Rng(9);
  std::vector<std::int64_t> begun;
  const fit::Restarts r =
      fit::fit_restarts(run.net, run.adam, nn::loss("cross_entropy").f, run.data, o,
                        {.restarts = 4, .on_restart = [&](std::int64_t k) { begun.push_back(k); }});
  CHECK(begun == std::vector<std::int64_t>{0, 1, 2, 3});
  REQUIRE(r.histories.size() == 4);
  for (const fit::History& h : r.histories) {
    CHECK(r.histories[static_cast<std::size_t>(r.best)].score <= h.score);
  }
  // The best alone: what went before has left no trace.
  FitRun alone;
  const Rng rng = Rng(9).split(static_cast<std::uint64_t>(r.best));
  alone.net.initialize(rng.split(1));
  o.rng = rng.split(2);
  alone.train(o);
  CHECK(same(run, alone));
  REQUIRE_ERROR(fit::fit_restarts(run.net, run.adam, nn::loss("cross_entropy").f, run.data, o,
                                  {.restarts = 0}),
                ValueError, "0 restarts");
}

TEST_CASE("a restart that fails is out of the race", "[fit]") {
  nn::Sequential net = line_net();
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  const Tensor before = net.parameter("0.weight").value();
  std::int64_t now = 0;
  // The loss is NaN in the restarts of `failing` after their third step.
  const auto race = [&](std::vector<std::int64_t> failing) {
    fit::Options o{.epochs = 3, .batch_size = 12, .compiled = false};
    std::int64_t step = 0;
    const fit::Loss loss = [&, failing](const Var& y, const Var& t) {
      const bool bad = std::find(failing.begin(), failing.end(), now) != failing.end();
      return mse_loss(y, t) * (bad && ++step > 3 ? NAN : 1);
    };
    return fit::fit_restarts(net, sgd, loss, line(24), o,
                             {.restarts = 3, .on_restart = [&](std::int64_t k) {
                                now = k;
                                step = 0;
                              }});
  };
  REQUIRE_THROWS_AS(race({0, 1, 2}), fit::StepError);
  CHECK(identical(net.parameter("0.weight").value(), before));
  CHECK(sgd.steps() == 0);
  const fit::Restarts r = race({0, 2});
  CHECK(r.best == 1);
  REQUIRE(r.histories.size() == 3);
  CHECK(r.histories[0].epochs.size() == 1);
  CHECK(r.histories[0].stopped.find("the loss is nan") != std::string::npos);
  CHECK(std::isnan(r.histories[2].score));
  CHECK(r.histories[1].stopped.empty());
}

}  // namespace xtape
