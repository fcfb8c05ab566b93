#include "data_support.hpp"
#include "fit_run.hpp"
#include "support.hpp"

// The training loop.
namespace xtape {
namespace {

using test::FitRun;
using test::line;
using test::line_net;
using test::same;

const fit::Loss& cross_entropy_loss() {
  static const fit::Loss f = nn::loss("cross_entropy").f;
  return f;
}

nn::Sequential small_net(std::uint64_t seed = 1) {
  nn::Sequential net{nn::Dense(64, 128), nn::ReLU(), nn::Dense(128, 10)};
  net.initialize(Rng(seed));
  return net;
}

Tensors values(const nn::Module& net) {
  Tensors all;
  for (const Parameter& p : net.parameters()) all.push_back(p.value());
  return all;
}
bool same_values(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), identical);
}
double distance(const Tensors& a, const Tensors& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, test::relative_difference(a[i], b[i]));
  }
  return worst;
}

// What is trained in a few steps of SGD on a line.
Tensors trained(const fit::Options& o, std::int64_t rows = 24, double rate = 0.1) {
  nn::Sequential net = line_net();
  optim::SGD sgd(net.parameters(), {.learning_rate = rate, .momentum = 0.5});
  fit::fit(net, sgd, nn::loss("mse").f, line(rows), o);
  return values(net);
}

}  // namespace

TEST_CASE("digits are learned in a few epochs, compiled and eagerly", "[fit]") {
  const data::Split digits = data::digits_split();
  for (const bool compiled : {true, false}) {
    nn::Sequential net = small_net();
    optim::Adam adam(net.parameters(), {.learning_rate = 1e-2});
    const fit::History h = fit::fit(
        net, adam, cross_entropy_loss(), digits.train,
        {.epochs = 10,
         .batch_size = 32,
         .compiled = compiled,
         .schedule = optim::cosine(450),
         .validation = digits.test,
         .metrics = {std::make_shared<fit::Accuracy>(), std::make_shared<fit::Accuracy>(3)}});
    REQUIRE(h.epochs.size() == 10);
    CHECK(h.steps == 10 * 45);  // 1437 = 44 · 32 + 29
    CHECK(adam.steps() == h.steps);
    const std::vector<double> accuracy = h.values("accuracy");
    CHECK(*std::max_element(accuracy.begin(), accuracy.end()) > 0.9);
    CHECK(accuracy.back() > 0.89);
    CHECK(h.values("top3_accuracy").back() >= h.values("accuracy").back());
    CHECK(h.values("loss").back() < 0.5 * h.values("loss").front());
    CHECK(h.monitored == "validation_loss");
    CHECK(h.score == h.epochs.back().validation_loss);
    const double right = nn::accuracy(net(no_grad(digits.test.inputs)).value(), digits.test.labels);
    CHECK(right == h.values("accuracy").back());
    const fit::Evaluation e = fit::evaluate(net, cross_entropy_loss(), digits.test, {},
                                            {.batch_size = 100, .compiled = compiled});
    CHECK(e.loss == Approx(h.score).epsilon(1e-5));
    CHECK(test::relative_difference(fit::predict(net, digits.test.inputs, 70),
                                    net(no_grad(digits.test.inputs)).value()) < 1e-6);
    REQUIRE_ERROR(h.values("f1"), ValueError,
                  "'f1' is not one of loss, validation_loss, "
                  "learning_rate, accuracy, top3_accuracy");
  }
}

TEST_CASE("the same seed gives the same bits, with and without prefetching", "[fit]") {
  FitRun a, b, ahead, other;
  fit::Options o = a.options("");
  const fit::History h = a.train(o);
  b.train(o);
  CHECK(same(a, b));
  o.prefetch = 2;
  const fit::History h2 = ahead.train(o);
  CHECK(same(a, ahead));
  CHECK(h.values("loss") == h2.values("loss"));
  o.rng = Rng(6);
  other.train(o);
  CHECK_FALSE(same(a, other));
}

TEST_CASE("compiled and eager steps are the same but for rounding", "[fit]") {
  fit::Options o{.epochs = 3, .batch_size = 7};
  const Tensors compiled = trained(o);
  o.compiled = false;
  CHECK(distance(trained(o), compiled) < 1e-12);
  o.clip_norm = 0.3;
  const Tensors clipped = trained(o);
  o.compiled = true;
  CHECK(distance(trained(o), clipped) < 1e-12);
  CHECK(distance(clipped, compiled) > 1e-3);
}

TEST_CASE("accumulated batches are one big batch", "[fit]") {
  for (const bool compiled : {true, false}) {
    const fit::Options big{.epochs = 4, .batch_size = 12, .shuffle = false, .compiled = compiled};
    fit::Options small = big;
    small.batch_size = 5;  // 5 + 5 + 2: of unequal weights
    small.sampler = [](Rng&) {
      std::vector<std::int64_t> rows;
      for (std::int64_t r = 0; r < 12; ++r) rows.push_back(r);
      return rows;
    };
    fit::Options whole = small;
    whole.batch_size = 12;
    small.accumulate = 3;
    CHECK(distance(trained(small), trained(whole)) < 1e-12);
    small.accumulate = 7;  // fewer batches than that: the epoch ends with a step
    CHECK(distance(trained(small), trained(whole)) < 1e-12);
    small.clip_norm = whole.clip_norm = 0.3;
    CHECK(distance(trained(small), trained(whole)) < 1e-12);
    CHECK(distance(trained(whole), trained(big)) > 1e-3);
  }
}

TEST_CASE("a schedule sets the rate of each step or epoch", "[fit]") {
  nn::Sequential net = line_net();
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  std::vector<double> rates;
  fit::Options o{.epochs = 3, .batch_size = 12, .schedule = optim::exponential(0.5)};
  o.on_step = [&](const fit::StepReport&, fit::Control&) { rates.push_back(sgd.learning_rate()); };
  fit::fit(net, sgd, nn::loss("mse").f, line(24), o);
  CHECK(rates == std::vector<double>{.1, .05, .025, .0125, .00625, .003125});
  rates.clear();
  o.schedule_by_epoch = true;
  const fit::History h = fit::fit(net, sgd, nn::loss("mse").f, line(24), o);
  CHECK(rates == std::vector<double>{.1, .1, .05, .05, .025, .025});
  CHECK(h.values("learning_rate") == std::vector<double>{.1, .05, .025});
}

TEST_CASE("averages are validated and kept in place of the weights", "[fit]") {
  const auto run = [](std::optional<optim::WeightAverageOptions> average, double* validated) {
    nn::Sequential net = line_net();
    optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
    const data::Dataset d = line(24);
    const fit::History h =
        fit::fit(net, sgd, nn::loss("mse").f, d,
                 {.epochs = 2, .batch_size = 12, .average = average, .validation = d});
    *validated = h.epochs.back().validation_loss;
    CHECK(fit::evaluate(net, nn::loss("mse").f, d).loss == Approx(*validated).epsilon(1e-12));
    return values(net);
  };
  double raw_loss = 0, averaged_loss = 0;
  const Tensors raw = run(std::nullopt, &raw_loss);
  const Tensors averaged =
      run(optim::WeightAverageOptions{.decay = 0.5, .warm_up = false}, &averaged_loss);
  CHECK(averaged_loss > raw_loss);  // it lags behind
  // By hand: four steps of SGD and a ← (a + p) / 2.
  const Tensors start = values(line_net());
  nn::Sequential net = line_net();
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  optim::WeightAverage average(net.parameters(), {.decay = 0.5, .warm_up = false});
  Rng rng(0);
  for (int e = 0; e < 2; ++e) {
    for (auto& [x, y] : data::batches(line(24), 12, rng)) {
      Tape tape;
      sgd.step(tape.gradient(nn::mse_loss(net(tape.input(x)), y), net.parameters()));
      average.update();
    }
  }
  CHECK(distance(raw, values(net)) < 1e-12);
  average.assign_to_parameters();
  CHECK(distance(averaged, values(net)) < 1e-12);
}

TEST_CASE("early stopping gives the weights of the best epoch back", "[fit]") {
  // After epoch 3 the rate is so high that everything gets worse.
  FitRun run;
  fit::Options o = run.options("");
  o.average.reset();
  o.accumulate = 1;
  o.clip_norm = 0;
  o.epochs = 30;
  o.schedule = [](std::int64_t epoch) { return epoch < 3 ? 1. : 300.; };
  o.schedule_by_epoch = true;
  o.early_stopping = fit::EarlyStopping{.patience = 2};
  std::vector<Tensors> after;
  std::vector<bool> improved;
  o.on_epoch = [&](const fit::EpochReport& r, fit::Control&) {
    after.push_back(run.state());
    improved.push_back(r.improved);
  };
  const fit::History h = run.train(o);
  REQUIRE(h.epochs.size() == 5);
  CHECK(improved == std::vector<bool>{true, true, true, false, false});
  CHECK(h.best_epoch == 3);
  CHECK(h.best == h.epochs[2].validation_loss);
  CHECK(h.score == h.best);
  CHECK(h.stopped == "no better validation_loss in 2 epochs");
  const std::size_t kept = run.net.parameters().size() + run.net.buffers().size();
  const Tensors now = run.state();
  for (std::size_t i = 0; i < kept; ++i) CHECK(identical(now[i], after[2][i]));
  CHECK_FALSE(identical(now[0], after[4][0]));
  CHECK(fit::evaluate(run.net, cross_entropy_loss(), run.test).loss ==
        Approx(h.best).epsilon(1e-6));

  FitRun last;  // and not, where that is not wanted
  o.early_stopping->restore_best = false;
  o.on_epoch = {};
  const fit::History h2 = last.train(o);
  CHECK(h2.score == h2.epochs.back().validation_loss);
  CHECK(identical(last.state()[0], after[4][0]));
}

TEST_CASE("what is monitored, how much counts, and in which direction", "[fit]") {
  FitRun run;
  fit::Options o = run.options("");
  o.epochs = 8;
  o.monitor = "accuracy";
  o.early_stopping = fit::EarlyStopping{.patience = 1, .min_delta = 2};  // more than there can be
  fit::History h = run.train(o);
  CHECK(h.epochs.size() == 2);
  CHECK(h.best == h.epochs[0].metrics[0]);
  o.early_stopping->min_delta = 0;
  o.early_stopping->patience = 8;
  h = FitRun().train(o);
  const std::vector<double> a = h.values("accuracy");
  CHECK(h.best == *std::max_element(a.begin(), a.end()));
  o.mode = fit::Mode::minimize;
  h = FitRun().train(o);
  CHECK(h.best == *std::min_element(a.begin(), a.end()));
  o.monitor = "f1";
  REQUIRE_ERROR(run.train(o), ValueError, "'f1' is not one of");
}

TEST_CASE("a loss that is not finite stops with its epoch and step", "[fit]") {
  for (const bool compiled : {true, false}) {
    nn::Sequential net = line_net();
    optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
    data::Dataset d = line(24);
    d.inputs.mutable_data<double>()[15] = NAN;  // in the second batch of 12
    // The gradient does not depend on what makes the loss NaN.
    const fit::Loss loss = [](const Var& y, const Var& t) {
      return nn::mse_loss(y, t) + stop_gradient(sum(y)) * 0;
    };
    Tensors before;
    fit::Options o{.epochs = 3, .batch_size = 12, .shuffle = false, .compiled = compiled};
    o.validation = line(5);
    o.on_step = [&](const fit::StepReport&, fit::Control&) { before = values(net); };
    try {
      fit::fit(net, sgd, loss, d, o);
      FAIL("trained on NaN");
    } catch (const fit::StepError& e) {
      CHECK(e.epoch() == 1);
      CHECK(e.step() == 2);
      CHECK_THAT(e.what(), ContainsSubstring("epoch 1, step 2: "));
    }
    CHECK(same_values(before, values(net)));  // as before the step, not as at the beginning
    CHECK(distance(before, values(line_net())) > 1e-3);
    CHECK(sgd.steps() == 1);
    CHECK(net.training());

    // Gradients are finite here, the loss alone is not.
    const fit::Loss infinite = [](const Var& y, const Var& t) {
      return nn::mse_loss(y, t) + stop_gradient(log(sum(y) * 0));
    };
    o.on_step = {};
    const Tensors start = values(net);
    REQUIRE_ERROR(fit::fit(net, sgd, infinite, line(24), o), fit::StepError,
                  "epoch 1, step 1: [loss] the loss is infinite");
    CHECK(same_values(start, values(net)));
  }
}

TEST_CASE("a wrong label stops with its epoch and step", "[fit]") {
  FitRun run;
  run.data.labels.mutable_data<std::int64_t>()[3] = 10;
  const Tensors before = run.state();
  fit::Options o = run.options("");
  o.batch_size = 0;
  REQUIRE_ERROR(run.train(o), fit::StepError, "epoch 1, step 1");
  CHECK(same_values(before, run.state()));
}

TEST_CASE("modes are as before, whatever happens", "[fit]") {
  FitRun run;
  const auto mode = [&](std::size_t i) { return run.net[i].training(); };
  run.net.children()[1].module->eval();  // running statistics that shall not move
  const Tensor mean = run.net.buffers()[0].value();
  std::vector<bool> seen;
  fit::Options o = run.options("");
  o.epochs = 1;
  o.on_step = [&](const fit::StepReport&, fit::Control&) { seen.push_back(mode(1) || !mode(3)); };
  run.train(o);
  CHECK(std::count(seen.begin(), seen.end(), true) == 0);
  CHECK((run.net.training() && !mode(1) && mode(3)));
  CHECK(identical(run.net.buffers()[0].value(), mean));

  run.net.eval();
  o.on_step = [&](const fit::StepReport&, fit::Control&) {
    CHECK((mode(1) && mode(3)));
    throw DataError("callback", "thrown");
  };
  REQUIRE_THROWS_AS(run.train(o), DataError);
  CHECK((!run.net.training() && !mode(1) && !mode(3)));
  run.net.train();
  const fit::Loss broken = [](const Var&, const Var&) -> Var { throw DataError("loss", "broken"); };
  REQUIRE_THROWS_AS(fit::evaluate(run.net, broken, run.test), DataError);
  CHECK((run.net.training() && mode(3)));
}

TEST_CASE("callbacks are told how it goes, and stop it", "[fit]") {
  FitRun run;
  fit::Options o = run.options("");
  o.accumulate = 1;
  std::vector<fit::StepReport> steps;
  std::vector<std::string> notes;
  o.on_note = [&](const std::string& n) { notes.push_back(n); };
  o.prefetch = 2;  // a thread that must end in the middle of an epoch
  o.on_step = [&](const fit::StepReport& r, fit::Control& c) {
    steps.push_back(r);
    if (r.step == 12) c.stop();
  };
  const fit::History h = run.train(o);
  REQUIRE(steps.size() == 12);
  const fit::StepReport& last = steps.back();
  CHECK((last.epoch == 2 && last.batch == 3 && last.batches == 9));
  CHECK((last.samples == 21 && last.of == 60));
  CHECK(steps[8].samples == 60);
  CHECK(last.samples_per_second > 0);
  CHECK(last.seconds_left > 0);
  CHECK(h.epochs.size() == 1);
  CHECK(h.stopped == "by a callback");
  CHECK(notes == std::vector<std::string>{"stopped: by a callback"});

  std::vector<double> left;
  fit::Options p = run.options("");
  p.on_epoch = [&](const fit::EpochReport& r, fit::Control& c) {
    left.push_back(r.seconds_left);
    CHECK(r.epoch.samples_per_second > 0);
    if (r.epoch.number == 3) c.stop();
  };
  CHECK(FitRun().train(p).epochs.size() == 3);
  CHECK(std::is_sorted(left.rbegin(), left.rend()));
  p.epochs = 3;
  FitRun().train(p);
  CHECK(left.back() == 0);
}

TEST_CASE("frozen parameters stay and need no gradient", "[fit]") {
  for (const std::int64_t accumulate : {1, 3}) {
    for (const bool compiled : {true, false}) {
      nn::Sequential net = small_net();
      net.children()[0].module->freeze();
      optim::Adam adam(net.parameters());
      const Tensors before = values(net);
      const data::Dataset d = data::digits_split().train.take(0, 64);
      fit::fit(net, adam, cross_entropy_loss(), d,
               {.epochs = 1, .compiled = compiled, .clip_norm = 1, .accumulate = accumulate});
      const Tensors after = values(net);
      CHECK((identical(before[0], after[0]) && identical(before[1], after[1])));
      CHECK_FALSE(identical(before[2], after[2]));
      net.freeze();
      REQUIRE_ERROR(fit::fit(net, adam, cross_entropy_loss(), d), ValueError, "frozen");
    }
  }
}

TEST_CASE("callbacks freeze and thaw", "[fit]") {
  for (const bool compiled : {true, false}) {
    nn::Sequential net = small_net(), hand = small_net();
    const data::Dataset d = data::digits_split().train.take(0, 40);
    net.parameters()[0].freeze();
    fit::Options o{.epochs = 3, .batch_size = 10, .shuffle = false, .compiled = compiled};
    o.on_epoch = [&](const fit::EpochReport& r, fit::Control&) {
      net.parameters()[0].freeze(r.epoch.number != 1);
      net.parameters()[3].freeze(r.epoch.number == 1);
    };
    optim::Adam adam(net.parameters()), other(hand.parameters());
    fit::fit(net, adam, cross_entropy_loss(), d, o);
    for (int epoch = 0; epoch < 3; ++epoch) {
      hand.parameters()[0].freeze(epoch != 1);
      hand.parameters()[3].freeze(epoch == 1);
      for (std::int64_t k = 0; k < 4; ++k) {
        const data::Dataset part = d.take(10 * k, 10);
        Tape tape;
        const Var loss = nn::cross_entropy(hand(tape.input(part.inputs)), part.labels);
        other.step(tape.gradient(loss, hand.parameters(), {.unconnected = Unconnected::zero}));
      }
    }
    CHECK(distance(values(net), values(hand)) < 1e-4);
    if (!compiled) CHECK(same_values(values(net), values(hand)));
  }
  nn::Sequential net = small_net();
  optim::SGD sgd(net.parameters());
  fit::Options o{.epochs = 1, .batch_size = 10, .accumulate = 2};
  o.on_step = [&](const fit::StepReport&, fit::Control&) {
    net.parameters()[0].freeze(!net.parameters()[0].frozen());
  };
  REQUIRE_ERROR(fit::fit(net, sgd, cross_entropy_loss(), data::digits_split().train.take(0, 40), o),
                fit::StepError, "frozen or thawed between batches");
}

TEST_CASE("a last batch that is smaller can be left out", "[fit]") {
  for (const bool shuffle : {true, false}) {
    FitRun run;
    fit::Options o = run.options("");
    o.shuffle = shuffle;
    o.drop_last = true;
    o.epochs = 1;
    o.accumulate = 1;
    std::int64_t shown = 0, batches = 0;
    o.on_step = [&](const fit::StepReport& r, fit::Control&) {
      shown = r.samples, ++batches;
      CHECK(r.of == 56);
    };
    CHECK(run.train(o).steps == 8);
    CHECK(shown == 56);  // 60 = 8 · 7 + 4
    CHECK(batches == 8);
  }
}

TEST_CASE("samplers choose what an epoch shows", "[fit]") {
  FitRun run;
  fit::Options o = run.options("");
  o.sampler = data::balanced(run.data.labels, 90);
  o.epochs = 1;
  std::int64_t shown = 0;
  o.on_step = [&](const fit::StepReport& r, fit::Control&) { shown = r.samples; };
  run.train(o);
  CHECK(shown == 90);
  o.sampler = [](Rng&) { return std::vector<std::int64_t>{}; };
  REQUIRE_ERROR(run.train(o), ValueError, "the sampler drew no examples");
  o.sampler = [](Rng&) { return std::vector<std::int64_t>{60}; };
  REQUIRE_ERROR(run.train(o), ValueError, "row 60");
}

TEST_CASE("options out of range are refused before anything changes", "[fit]") {
  FitRun run;
  const Tensors before = run.state();
  const auto refused = [&](const std::string& text, const std::function<void(fit::Options&)>& f) {
    fit::Options o = run.options("");
    f(o);
    REQUIRE_ERROR(run.train(o), ValueError, text);
  };
  refused("epochs 0: must be 1 or more", [](auto& o) { o.epochs = 0; });
  refused("batch size -1", [](auto& o) { o.batch_size = -1; });
  refused("accumulate 0", [](auto& o) { o.accumulate = 0; });
  refused("clip_norm -1", [](auto& o) { o.clip_norm = -1; });
  refused("clip_norm nan", [](auto& o) { o.clip_norm = NAN; });
  refused("patience 0", [](auto& o) { o.early_stopping->patience = 0; });
  refused("min_delta -1", [](auto& o) { o.early_stopping->min_delta = -1; });
  refused("a schedule and a plateau", [](auto& o) { o.plateau = optim::PlateauOptions{}; });
  refused("factor", [](auto& o) {
    o.schedule = {};
    o.plateau = optim::PlateauOptions{.factor = 2};
  });
  refused("two metrics of the name 'accuracy'",
          [](auto& o) { o.metrics.push_back(std::make_shared<fit::Accuracy>()); });
  refused("learning_rate is monitored", [](auto& o) { o.monitor = "learning_rate"; });
  refused("keep_last 0", [](auto& o) { o.checkpoint.keep_last = 0; });
  refused("every_steps -1", [](auto& o) { o.checkpoint.every_steps = -1; });
  refused("give Options::validation", [](auto& o) { o.validation.reset(); });
  refused("no examples to validate on", [](auto& o) { o.validation = o.validation->take(0, 0); });
  refused("validation_loss is monitored", [](auto& o) {
    o.validation.reset();
    o.metrics.clear();
    o.monitor = "validation_loss";
  });
  CHECK(same_values(before, run.state()));
}

}  // namespace xtape
