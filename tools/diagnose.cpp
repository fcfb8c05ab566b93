#include "diagnose.hpp"

#include <fmt/format.h>

#include "network.hpp"

namespace xtape::tools {

void DiagnoseCommand::add_to(CLI::App& app) {
  data.add_to(app);
  app.add_option("--net", net, "network text, or a file of it");
  app.add_option("--weights", weights,
                 "what train --save (or --checkpoint) kept: not a fresh network");
  app.add_option("--loss", loss, nn::loss_names())->capture_default_str();
  app.add_option("--init", init, "initialiser of the weights");
  app.add_option("--samples", samples, "examples in the batch")
      ->check(whole_from(1))
      ->capture_default_str();
  app.add_option("--lr", learning_rate, "learning rate, to judge the size of updates by");
  app.add_option("--seed", seed)->check(whole_from(0))->capture_default_str();
  app.add_option("--json", json, "file for the numbers");
  app.add_option("--svg", svg, "file for charts");
}

int diagnose(const DiagnoseCommand& o) {
  Rng rng(o.seed);
  const data::Split split = load(o.data, rng);
  const std::int64_t inputs = split.train.inputs.shape()[1];
  nn::TextOptions t;
  if (!o.init.empty()) t.dense.weight_init = nn::initializer(o.init);
  nn::TextNetwork n =
      !o.weights.empty() ? kept_network(o.weights, o.net, t)
      : o.net            ? nn::parse_network(network_text(*o.net), t)
              : nn::parse_network(fmt::format("{} dense:128 relu dense:64 relu dense:{}", inputs,
                                              outputs_of(split.train)),
                                  t);
  check_fit(n, split.train);
  const nn::NamedLoss loss = nn::loss(o.loss);
  if (o.weights.empty()) n.net.initialize(rng.split(1));
  const data::Dataset batch = split.train.take(0, std::min(o.samples, split.train.size()));
  const nn::Diagnosis d = nn::diagnose(n.net, loss.f, shaped(batch.inputs, n), batch.labels,
                                       {.learning_rate = o.learning_rate});
  fmt::print("{}", d.str());
  if (!o.json.empty()) plot::save(o.json, d.json());
  if (!o.svg.empty()) {
    std::vector<plot::LayerNumbers> layers;
    for (const nn::LayerHealth& l : d.layers) {
      layers.push_back({l.path, l.output.rms(), l.gradient.rms(), l.dead, l.saturated});
    }
    plot::save(o.svg, plot::diagnosis(layers));
  }
  return d.findings.empty() ? 0 : 1;
}

}  // namespace xtape::tools
