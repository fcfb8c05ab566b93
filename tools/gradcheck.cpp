#include <fmt/format.h>

#include "network.hpp"
#include "train.hpp"

namespace xtape::tools {

void GradcheckCommand::add_to(CLI::App& app) {
  app.add_option("--net", net, "network text")->capture_default_str();
  app.add_option("--loss", loss, nn::loss_names())->capture_default_str();
  app.add_option("--init", init, "initialiser of the weights");
  app.add_option("--samples", samples, "random inputs in the batch")
      ->check(whole_from(1))
      ->capture_default_str();
  app.add_option("--max-elements", max_elements,
                 "elements of each parameter checked one by one (0: all); the others are covered "
                 "by a random direction")
      ->check(whole_from(0))
      ->capture_default_str();
  app.add_option("--order", order, "2 also checks the gradient of the gradient")
      ->check(CLI::Range(1, 2))
      ->capture_default_str();
  app.add_option("--seed", seed)->check(whole_from(0))->capture_default_str();
}

int gradcheck(const GradcheckCommand& o) {
  nn::TextOptions t;
  t.dense.dtype = f64;
  if (!o.init.empty()) t.dense.weight_init = nn::initializer(o.init);
  nn::TextNetwork n = nn::parse_network(network_text(o.net), t);
  const nn::NamedLoss loss = nn::loss(o.loss);
  Rng rng(o.seed);
  n.net.initialize(rng.split(1));
  if (n.samples.size() != 1) throw ParseError("--net", "the network must have one input");
  const Tensor x = shaped(rng.uniform({o.samples, n.samples[0].size()}, 0, 1, f64), n);
  const Shape out = n.net.output_shape(x.shape());
  const std::int64_t outputs = out[out.rank() - 1];
  Tensor labels = Tensor::empty({o.samples}, i64);
  for (std::int64_t i = 0; i < o.samples; ++i) {
    labels.mutable_data<std::int64_t>()[i] = rng.integer(std::max<std::int64_t>(outputs, 2));
  }
  const GradcheckReport report = gradcheck_parameters(
      [&](Tape& tape) { return loss.f(n.net(tape.input(x)), labels); }, n.net.parameters(),
      {.order = o.order, .max_elements = o.max_elements, .seed = o.seed});
  std::int64_t kinks = 0, failed = 0;
  for (const auto& e : report.entries) {
    kinks += e.kinks;
    failed += e.failed + e.direction_failed;
  }
  fmt::print("{}{} {}, loss {}: {} wrong, {} at kinks\n", report.str(),
             report           ? "gradients are right:"
             : !report.finite ? "NOT CHECKED, the loss is not finite:"
                              : "GRADIENTS ARE WRONG:",
             o.net, o.loss, failed, kinks);
  return report ? 0 : 1;
}

}  // namespace xtape::tools
