#include <cmath>
#include <filesystem>
#include <utility>

#include <xtape/fit/trainer.hpp>

namespace xtape::fit {
namespace {

using Values = std::vector<Tensor>;

Values values(const Parameters& all) {
  Values out;
  for (const Parameter& p : all) out.push_back(p.value());
  return out;
}

void assign_all(const Parameters& all, const Values& values) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    Parameter p = all[i];
    p.assign(values[i]);
  }
}

}  // namespace

History fit(nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
            const data::Dataset& data, const Options& options) {
  return detail::Trainer(net, optimizer, loss, data, options).run();
}

Restarts fit_restarts(nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
                      const data::Dataset& data, const Options& options,
                      const RestartOptions& restarts) {
  if (restarts.restarts < 1) {
    throw ValueError("fit_restarts", std::to_string(restarts.restarts) + " restarts: needs 1");
  }
  Parameters state = detail::Trainer::moved(net, optimizer);
  const Parameters of_optimizer = optimizer.state();
  state.insert(state.end(), of_optimizer.begin(), of_optimizer.end());
  const Values first = values(state);
  Values best;
  double score = std::nan("");
  Restarts out;
  for (std::int64_t r = 0; r < restarts.restarts; ++r) {
    if (restarts.on_restart) restarts.on_restart(r);
    const Rng rng = options.rng.split(static_cast<std::uint64_t>(r));
    assign_all(state, first);
    net.initialize(rng.split(1));
    Options o = options;
    o.rng = rng.split(2);
    if (!o.checkpoint.folder.empty()) {
      o.checkpoint.folder =
          (std::filesystem::path(options.checkpoint.folder) / ("restart-" + std::to_string(r)))
              .string();
    }
    out.histories.push_back(fit(net, optimizer, loss, data, o));
    const History& h = out.histories.back();
    const bool larger = detail::larger_is_better(o, h.monitored);
    const bool better = std::isnan(score) || (larger ? h.score > score : h.score < score);
    if (!better) continue;
    out.best = r;
    score = h.score;
    best = values(state);
  }
  assign_all(state, best);
  return out;
}

}  // namespace xtape::fit
