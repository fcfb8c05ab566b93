#pragma once

#include <string>

#include <xtape/xtape.hpp>

// A training with every kind of state that fit() must keep: weights, running statistics, dropout,
// state of the optimizer, averages, the best weights, a schedule, orders, a part of an epoch.
namespace xtape::test {

struct FitRun {
  FitRun() { net.initialize(Rng(4)); }

  fit::Options options(const std::string& folder) const {
    fit::Options o;
    o.epochs = 6;
    o.batch_size = 7;
    o.rng = Rng(5);
    o.schedule = optim::cosine(60);
    o.accumulate = 2;
    o.clip_norm = 1;
    o.average = optim::WeightAverageOptions{.decay = 0.9};
    o.validation = test;
    o.metrics = {std::make_shared<fit::Accuracy>()};
    o.early_stopping = fit::EarlyStopping{.patience = 4};
    o.checkpoint = {.folder = folder, .every_steps = 2, .keep_last = 2};
    return o;
  }
  fit::History train(const fit::Options& o) {
    return fit::fit(net, adam, nn::loss("cross_entropy").f, data, o);
  }
  /// Everything that the training moved.
  Tensors state() const {
    Tensors all;
    for (const Parameters& list : {net.parameters(), net.buffers(), adam.state()}) {
      for (const Parameter& p : list) all.push_back(p.value());
    }
    return all;
  }

  data::Dataset data = data::digits_split().train.take(0, 60);
  data::Dataset test = data::digits_split().test.take(0, 40);
  nn::Sequential net{nn::Dense(64, 12), nn::BatchNorm(12), nn::ReLU(), nn::Dropout(0.2),
                     nn::Dense(12, 10)};
  optim::Adam adam{net.parameters(), {.learning_rate = 0.01}};
};

inline bool same(const FitRun& a, const FitRun& b) {
  const Tensors x = a.state(), y = b.state();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), identical);
}

// y = 2 x − 1 with one weight and one bias.
inline data::Dataset line(std::int64_t n) {
  data::Dataset d;
  d.inputs = Rng(3).uniform({n, 1}, -1, 1, f64);
  d.labels = (2 * Var(d.inputs) - 1).value();
  return d;
}
inline nn::Sequential line_net() {
  nn::Sequential net{nn::Dense(1, 1, {.dtype = f64})};
  net.initialize(Rng(1));
  return net;
}

}  // namespace xtape::test
