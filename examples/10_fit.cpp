// 10. A network trained as people train them: Adam, a rate that falls along a cosine, dropout,
// early stopping that gives the best weights back; then what was taken for what.
#include <algorithm>
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

void print(const fit::Counts& counts) {
  std::printf("\n      taken for\n     ");
  for (std::size_t p = 0; p < counts.size(); ++p) std::printf(" %3zu", p);
  std::printf("   precision  recall  F1\n");
  const std::vector<fit::ClassScores> scores = fit::class_scores(counts);
  for (std::size_t t = 0; t < counts.size(); ++t) {
    std::printf("  %zu |", t);
    for (const std::int64_t n : counts[t]) std::printf(" %3d", static_cast<int>(n));
    std::printf("   %.3f      %.3f   %.3f\n", scores[t].precision, scores[t].recall, scores[t].f1);
  }
  std::printf("\n");
}

}  // namespace

int main() {
  Rng rng(7);
  const auto [train, test] = data::split(data::digits(), 0.2, rng);

  // --- docs/training.md ---
  nn::Sequential net{nn::Dense(64, 96), nn::ReLU(), nn::Dropout(0.2), nn::Dense(96, 10)};
  net.initialize(Rng(1));
  optim::Adam adam(net.parameters(), {.learning_rate = 5e-3});
  const auto accuracy = std::make_shared<fit::Accuracy>();
  const auto confusion = std::make_shared<fit::ConfusionMatrix>(10);

  fit::Options options{.epochs = 40, .batch_size = 32, .rng = Rng(2)};
  options.schedule = optim::cosine(40 * 45);  // by step
  options.validation = test;
  options.metrics = {accuracy, confusion};
  options.early_stopping = fit::EarlyStopping{.patience = 6};
  options.on_epoch = [](const fit::EpochReport& r, fit::Control&) {
    std::printf("epoch %2d  loss %.4f  validation %.4f  accuracy %.3f%s  %.0f/s\n",
                static_cast<int>(r.epoch.number), r.epoch.loss, r.epoch.validation_loss,
                r.epoch.metrics[0], r.improved ? " *" : "  ", r.epoch.samples_per_second);
  };
  const fit::History history = fit::fit(net, adam, nn::loss("cross_entropy").f, train, options);
  // --- end ---

  if (!history.stopped.empty()) std::printf("stopped: %s\n", history.stopped.c_str());
  const fit::Evaluation best =
      fit::evaluate(net, nn::loss("cross_entropy").f, test, {accuracy, confusion});
  print(confusion->counts());

  std::printf("the network is that of epoch %d:\n", static_cast<int>(history.best_epoch));
  expect("its loss", best.loss, history.best, 1e-6);
  expect("its accuracy is over 95 %", accuracy->value() > 0.95);
  expect("its macro F1 is over 0.95", confusion->value() > 0.95);
  std::int64_t images = 0;
  for (const auto& row : confusion->counts()) {
    for (const std::int64_t n : row) images += n;
  }
  expect("images looked at", static_cast<double>(images), static_cast<double>(test.size()), 0);
  const std::vector<double> losses = history.values("validation_loss");
  expect("no epoch was better", *std::min_element(losses.begin(), losses.end()), history.best, 0);
  expect("the loss fell to less than a tenth",
         history.epochs.back().loss < 0.1 * history.epochs.front().loss);
  return failures != 0;
}
