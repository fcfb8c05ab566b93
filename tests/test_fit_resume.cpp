#include <filesystem>

#include "fit_run.hpp"
#include "io_support.hpp"
#include "killed.hpp"

// Trainings that are broken off and go on from their checkpoints.
namespace xtape {
namespace {

namespace fs = std::filesystem;
using test::FitRun;
using test::same;

// All that a history tells but times.
void check_same(const fit::History& a, const fit::History& b) {
  CHECK(a.steps == b.steps);
  CHECK(a.best_epoch == b.best_epoch);
  CHECK(a.best == b.best);
  CHECK(a.score == b.score);
  CHECK(a.stopped == b.stopped);
  for (const char* name : {"loss", "validation_loss", "learning_rate", "accuracy"}) {
    CHECK(a.values(name) == b.values(name));
  }
}

}  // namespace

TEST_CASE("a training stopped at any step goes on with the same bits", "[fit][resume]") {
  FitRun whole;
  const fit::History h = whole.train(whole.options(""));
  REQUIRE(h.steps == 6 * 5);  // 9 batches an epoch, two for a step
  for (std::int64_t at = 1; at < h.steps; at += 3) {
    const test::Folder folder;
    FitRun first, second;
    fit::Options o = first.options(folder.str());
    o.on_step = [&](const fit::StepReport& r, fit::Control& c) {
      if (r.step == at) c.stop();
    };
    CHECK(first.train(o).steps == at);
    CHECK(folder.entries() <= 2);
    const fit::History rest = second.train(second.options(folder.str()));
    INFO("stopped at " << at);
    CHECK_FALSE(rest.resumed.empty());
    check_same(rest, h);
    CHECK(same(whole, second));
  }
}

TEST_CASE("a training that throws goes on from the last checkpoint", "[fit][resume]") {
  FitRun whole, first, second;
  const fit::History h = whole.train(whole.options(""));
  const test::Folder folder;
  fit::Options o = first.options(folder.str());
  o.prefetch = 3;
  o.on_step = [](const fit::StepReport& r, fit::Control&) {
    if (r.step == 13) throw DataError("callback", "thrown");
  };
  REQUIRE_THROWS_AS(first.train(o), DataError);
  check_same(second.train(second.options(folder.str())), h);
  CHECK(same(whole, second));
}

TEST_CASE("a training that is killed at any moment goes on with the same bits", "[fit][resume]") {
  FitRun whole, resumed;
  const fit::History h = whole.train(whole.options(""));
  const test::Folder folder;
  Rng rng(12);
  int lives = 0;
  // Each life comes on by two steps or more; the last one ends by itself.
  while (test::train_and_kill("fit", folder.str(), std::chrono::microseconds(rng.integer(2'000)))) {
    ++lives;
    REQUIRE(lives < 30);
  }
  CHECK(lives >= 2);
  REQUIRE_FALSE(io::latest(folder.str()).path.empty());
  check_same(resumed.train(resumed.options(folder.str())), h);
  CHECK(same(whole, resumed));
}

TEST_CASE("a finished training trains no more, with more epochs it does", "[fit][resume]") {
  const test::Folder folder;
  FitRun whole, first, again, longer;
  fit::Options o = first.options(folder.str());
  o.epochs = 4;
  const fit::History h = first.train(o);
  o.on_step = [](const fit::StepReport&, fit::Control&) { FAIL("trains"); };
  check_same(again.train(o), h);
  CHECK(same(first, again));
  check_same(longer.train(longer.options(folder.str())), whole.train(whole.options("")));
  CHECK(same(whole, longer));
}

TEST_CASE("a training that stopped early stays stopped", "[fit][resume]") {
  const test::Folder folder;
  FitRun first, again;
  fit::Options o = first.options(folder.str());
  o.early_stopping = fit::EarlyStopping{.patience = 1, .min_delta = 100};
  const fit::History h = first.train(o);
  CHECK(h.epochs.size() == 2);
  o.on_step = [](const fit::StepReport&, fit::Control&) { FAIL("trains"); };
  check_same(again.train(o), h);
  CHECK(same(first, again));
}

TEST_CASE("damaged checkpoints are passed over and told of", "[fit][resume]") {
  FitRun whole, first, second;
  const fit::History h = whole.train(whole.options(""));
  const test::Folder folder;
  fit::Options o = first.options(folder.str());
  o.epochs = 3;
  first.train(o);
  const std::string newest = fs::path(io::latest(folder.str()).path).filename().string();
  folder.write(newest, folder.read(newest).substr(0, 500));
  std::vector<std::string> notes;
  o = second.options(folder.str());
  o.on_note = [&](const std::string& n) { notes.push_back(n); };
  check_same(second.train(o), h);
  CHECK(same(whole, second));
  REQUIRE(notes.size() == 2);
  CHECK_THAT(notes[0], ContainsSubstring("passed over: [" + (folder / newest)));
  CHECK_THAT(notes[1], ContainsSubstring("goes on from "));
}

TEST_CASE("checkpoints of another training are refused before anything changes", "[fit][resume]") {
  const test::Folder folder;
  FitRun first, other;
  fit::Options o = first.options(folder.str());
  o.epochs = 1;
  first.train(o);
  const Tensors before = other.state();
  o.batch_size = 8;
  REQUIRE_ERROR(other.train(o), ValueError, "has a batch size of 7, this one 8");
  o.batch_size = 7;
  o.accumulate = 1;
  REQUIRE_ERROR(other.train(o), ValueError, "has an accumulation of 2, this one 1");
  o.accumulate = 2;
  const auto refused = [&](const std::string& what, const std::function<void(fit::Options&)>& f) {
    fit::Options changed = other.options(folder.str());
    f(changed);
    REQUIRE_ERROR(other.train(changed), ValueError, "and this one differ in '" + what + "'");
  };
  refused("metrics", [](auto& c) { c.metrics.clear(); });
  refused("metrics", [](auto& c) { c.metrics = {std::make_shared<fit::Accuracy>(2)}; });
  refused("monitor", [](auto& c) { c.monitor = "accuracy"; });
  refused("monitor", [](auto& c) { c.mode = fit::Mode::maximize; });
  refused("averages", [](auto& c) { c.average.reset(); });
  refused("best weights", [](auto& c) { c.early_stopping.reset(); });
  other.data.labels = other.data.labels.clone();
  other.data.labels.mutable_data<std::int64_t>()[0] ^= 1;
  refused("data", [](auto&) {});
  other.data.labels = first.data.labels;
  {
    optim::RAdam radam(other.net.parameters());  // whose state has the names and shapes of Adam's
    REQUIRE_ERROR(fit::fit(other.net, radam, nn::loss("cross_entropy").f, other.data,
                           other.options(folder.str())),
                  ValueError,
                  "differ in 'optimizer': 'xtape::optim::Adam' and 'xtape::optim::RAdam'");
    Parameters turned = other.net.parameters();
    std::reverse(turned.begin(), turned.end());
    optim::Adam adam(turned);
    REQUIRE_ERROR(fit::fit(other.net, adam, nn::loss("cross_entropy").f, other.data,
                           other.options(folder.str())),
                  ValueError, "differ in 'parameters'");
  }
  io::Checkpoint strange;
  strange.step = 1'000;
  strange.save_in(folder.str(), 9);
  REQUIRE_ERROR(other.train(other.options(folder.str())), DataError, "is no checkpoint of fit()");
  const Tensors after = other.state();
  CHECK(std::equal(before.begin(), before.end(), after.begin(), after.end(), identical));
  // Whoever does not want to go on begins anew, and is not taken for the other one afterwards.
  o = other.options(folder.str());
  o.checkpoint.resume = false;
  o.on_step = [](const fit::StepReport& r, fit::Control& c) {
    if (r.step == 2) c.stop();
  };
  CHECK(other.train(o).resumed.empty());
  CHECK(fs::exists(folder / "earlier-1/checkpoint-000000001000.safetensors"));
  FitRun again, whole;
  const fit::History rest = again.train(again.options(folder.str()));
  CHECK_FALSE(rest.resumed.empty());
  check_same(rest, whole.train(whole.options("")));
  CHECK(same(again, whole));
}

TEST_CASE("restarts keep their checkpoints apart", "[fit][resume]") {
  const test::Folder folder;
  FitRun whole, first, second;
  const auto run = [&](FitRun& r, const std::string& place, std::int64_t last) {
    fit::Options o = r.options(place);
    o.epochs = 2;
    std::int64_t restart = 0;
    o.on_step = [&](const fit::StepReport& s, fit::Control&) {
      if (restart == last && s.step == 3) throw DataError("callback", "thrown");
    };
    return fit::fit_restarts(r.net, r.adam, nn::loss("cross_entropy").f, r.data, o,
                             {.restarts = 3, .on_restart = [&](std::int64_t k) { restart = k; }});
  };
  const fit::Restarts all = run(whole, "", 3);
  REQUIRE_THROWS_AS(run(first, folder.str(), 1), DataError);
  const fit::Restarts rest = run(second, folder.str(), 3);
  CHECK(rest.best == all.best);
  for (std::size_t k = 0; k < 3; ++k) check_same(rest.histories[k], all.histories[k]);
  CHECK(same(whole, second));
  CHECK(fs::exists(folder / "restart-2"));
}

}  // namespace xtape
