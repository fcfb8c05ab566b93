#include "fit_run.hpp"
#include "io_support.hpp"

// What callbacks change beside numbers: frozen parameters and modes of modules, in compiled steps,
// checkpoints and restarts; and networks that are converted after their optimizer was made.
namespace xtape {
namespace {

using test::FitRun;

// After epoch 2 the first weights are frozen and dropout is off.
void change(FitRun& run, const fit::EpochReport& r) {
  if (r.epoch.number != 2) return;
  Parameter(run.net.parameters()[0]).freeze();
  run.net.children()[3].module->eval();
}

fit::History train(FitRun& run, const std::string& folder, std::int64_t stop = 100) {
  fit::Options o = run.options(folder);
  o.accumulate = 1;
  o.on_epoch = [&run, stop](const fit::EpochReport& r, fit::Control& c) {
    change(run, r);
    if (r.epoch.number == stop) c.stop();
  };
  return run.train(o);
}

}  // namespace

TEST_CASE("compiled steps follow the modes that callbacks change", "[fit]") {
  const auto weight = [](bool compiled) {
    FitRun run;
    fit::Options o = run.options("");
    o.compiled = compiled;
    o.on_epoch = [&run](const fit::EpochReport& r, fit::Control&) { change(run, r); };
    run.train(o);
    CHECK(run.net.children()[3].module->training());  // as before
    return run.net.parameters()[4].value().clone();
  };
  CHECK(test::relative_difference(weight(true), weight(false)) < 1e-5);
}

TEST_CASE("what callbacks froze and switched goes on in a resumed training", "[fit][resume]") {
  FitRun whole;
  const Tensor drawn = whole.net.parameters()[0].value().clone();
  train(whole, "");
  const test::Folder folder;
  FitRun first, second;
  train(first, folder.str(), 4);
  CHECK_FALSE(identical(first.net.parameters()[0].value(), drawn));
  train(second, folder.str());
  CHECK(same(whole, second));
  CHECK(second.net.parameters()[0].frozen());
  // In the process that was stopped, too.
  const test::Folder other;
  FitRun here;
  train(here, other.str(), 4);
  train(here, other.str());
  CHECK(same(whole, here));
  // Other flags than those of then are no continuation.
  FitRun foreign;
  foreign.net.parameter("4.bias").freeze();
  const std::vector<Tensor> before = foreign.state();
  REQUIRE_ERROR(train(foreign, folder.str()), ValueError, "frozen parameters are neither");
  FitRun mode;
  mode.net.children()[1].module->eval();
  REQUIRE_ERROR(train(mode, folder.str()), ValueError, "modes of modules are neither");
  const std::vector<Tensor> after = foreign.state();
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(identical(before[i], after[i]));
}

TEST_CASE("a resumed training draws the masks of the one before, whatever its seed",
          "[fit][resume]") {
  FitRun whole, first, second;
  whole.train(whole.options(""));
  const test::Folder folder;
  fit::Options o = first.options(folder.str());
  o.on_step = [](const fit::StepReport& r, fit::Control& c) {
    if (r.step == 13) c.stop();
  };
  first.train(o);
  second.net.seed(Rng(99));
  second.train(second.options(folder.str()));
  CHECK(same(whole, second));
}

TEST_CASE("each restart begins with what was frozen before the race", "[fit][restarts]") {
  FitRun run;
  fit::Options o = run.options("");
  o.accumulate = 1;
  Parameter first = run.net.parameters()[0];
  std::vector<Tensor> drawn;
  std::vector<bool> frozen;
  o.on_epoch = [&](const fit::EpochReport& r, fit::Control&) { change(run, r); };
  fit::fit_restarts(run.net, run.adam, nn::loss("cross_entropy").f, run.data, o,
                    {.restarts = 3, .on_restart = [&](std::int64_t) {
                       drawn.push_back(first.value().clone());
                       frozen.push_back(first.frozen());
                     }});
  CHECK(first.frozen());
  // As plain trainings from the same draws.
  std::vector<double> plain;
  for (std::uint64_t r = 0; r < 3; ++r) {
    FitRun alone;
    alone.net.initialize(Rng(5).split(r).split(1));
    fit::Options p = alone.options("");
    p.accumulate = 1;
    p.rng = Rng(5).split(r).split(2);
    p.on_epoch = [&](const fit::EpochReport& e, fit::Control&) { change(alone, e); };
    plain.push_back(alone.train(p).score);
  }
  FitRun again;
  fit::Options q = again.options("");
  q.accumulate = 1;
  q.on_epoch = [&](const fit::EpochReport& e, fit::Control&) { change(again, e); };
  const fit::Restarts all = fit::fit_restarts(again.net, again.adam, nn::loss("cross_entropy").f,
                                              again.data, q, {.restarts = 3});
  for (std::size_t r = 0; r < 3; ++r) CHECK(all.histories[r].score == plain[r]);
}

TEST_CASE("restarts that all fail leave everything, random numbers too, as it was",
          "[fit][restarts]") {
  FitRun run;
  const auto copy = run.net.clone();
  const auto never = [](const Var& y, const Var&) { return sum(y) * INFINITY; };
  fit::Options o = run.options("");
  o.early_stopping = {};
  REQUIRE_THROWS_AS(fit::fit_restarts(run.net, run.adam, never, run.data, o, {.restarts = 2}),
                    fit::StepError);
  const Var x = no_grad(Tensor::ones({4, 64}));
  CHECK(identical(run.net(x).value(), copy->forward(x).value()));
}

TEST_CASE("networks converted behind their optimizer train, resume and race", "[fit][resume]") {
  const auto make = [](FitRun& run) {
    run.net.to(f64);
    run.data = run.data.to(f64);
    run.test = run.test.to(f64);
  };
  FitRun whole, first, second, race;
  for (FitRun* run : {&whole, &first, &second, &race}) make(*run);
  train(whole, "");
  const test::Folder folder;
  train(first, folder.str(), 3);
  train(second, folder.str());
  CHECK(same(whole, second));
  CHECK(fit::fit_restarts(race.net, race.adam, nn::loss("cross_entropy").f, race.data,
                          race.options(""), {.restarts = 2})
            .histories.size() == 2);
  FitRun searched;
  searched.net.to(f64);
  const Tensor x = searched.data.inputs.to(f64);
  const optim::RangeTest t = optim::find_learning_rate(
      searched.adam,
      [&] {
        Tape tape;
        const Var loss = nn::cross_entropy(searched.net(tape.input(x)), searched.data.labels);
        searched.adam.step(tape.gradient(loss, searched.net.parameters()));
        return loss.item();
      },
      {.steps = 20});
  CHECK(t.suggestion > 0);
  // Averages and sums of gradients follow, too.
  nn::Sequential net = test::line_net();
  optim::WeightAverage average(net.parameters());
  optim::GradientSum sums(net.parameters());
  net.to(f32);
  CHECK(average.state()[1].dtype() == f32);
  average.assign_to_parameters();
  sums.add(std::vector<Tensor>{Tensor::ones({1, 1}), Tensor::ones({1})});
  CHECK(sums.mean()[0].dtype() == f32);
}

TEST_CASE("recorded means of gradients leave frozen parameters out", "[optim]") {
  nn::Sequential net = test::line_net();
  Parameter(net.parameters()[0]).freeze();
  optim::SGD sgd(net.parameters());
  optim::GradientSum sums(net.parameters());
  const data::Dataset d = test::line(8);
  const Tensor before = net.parameters()[1].value().clone();
  Program step = compile(
      [&](const Var& x, const Var& t) {
        const Var loss = nn::mse_loss(net(x), t);
        const std::vector<Var> g = gradient(loss, {net.parameters()[1]});
        sums.add(std::vector<Var>{Var(), g[0]});
        sgd.step(optim::clip_by_norm(sums.mean(loss), 1));
        sums.clear(loss);
        return loss;
      },
      {d.inputs, d.labels});
  step(d.inputs, d.labels);
  CHECK_FALSE(identical(net.parameters()[1].value(), before));
  CHECK(all_finite(net.parameters()[1].value()));
}

}  // namespace xtape
