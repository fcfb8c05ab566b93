#include "data_support.hpp"
#include "support.hpp"

// The code of docs/training.md that is not in the examples.
namespace xtape {

TEST_CASE("the options of docs/training.md train", "[fit][docs]") {
  const test::Folder here;
  const std::string folder = here.str();
  const data::Dataset train = data::digits_split().train.take(0, 200);
  const data::Dataset test = data::digits_split().test.take(0, 50);
  nn::Sequential net{nn::Dense(64, 16), nn::ReLU(), nn::Dense(16, 10)};
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
  const fit::Loss loss = nn::loss("cross_entropy").f;

  fit::Options o{.epochs = 3, .batch_size = 8};
  o.sampler = data::balanced(train.labels);  // in place of shuffling
  o.prefetch = 2;                            // batches that a thread gathers ahead
  o.accumulate = 4;                          // batches for a step
  o.clip_norm = 1;
  o.average = optim::WeightAverageOptions{.decay = 0.99};
  o.validation = test;
  o.checkpoint = {.folder = folder, .every_steps = 100, .keep_last = 2};
  o.on_step = [](const fit::StepReport& r, fit::Control& control) {
    if (r.loss > 1e3) control.stop();
  };
  fit::fit(net, sgd, loss, train, o);  // run again after a crash, it goes on

  const fit::History again = fit::fit(net, sgd, loss, train, o);
  CHECK_FALSE(again.resumed.empty());
  CHECK(again.epochs.size() == 3);
  CHECK(again.steps == 3 * 7);  // of 25 batches
  CHECK(again.values("validation_loss").back() < again.values("validation_loss").front());

  o.checkpoint = {};
  const fit::Restarts r = fit::fit_restarts(net, sgd, loss, train, o, {.restarts = 3});
  CHECK(r.histories[static_cast<std::size_t>(r.best)].score ==
        Approx(fit::evaluate(net, loss, test).loss).epsilon(1e-5));
}

}  // namespace xtape
