#include <cmath>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>

#include <xtape/fit/modes.hpp>
#include <xtape/fit/trainer.hpp>

namespace xtape::fit {
namespace {

// What a training may change in parameters.
class Held {
 public:
  explicit Held(const Parameters& all) : all_(all), frozen_(detail::frozen_of(all)) {
    for (const Parameter& p : all) values_.push_back(p.value());
  }
  void put_back() const {
    detail::set_frozen(all_, frozen_);
    for (std::size_t i = 0; i < all_.size(); ++i) Parameter(all_[i]).assign(values_[i]);
  }

 private:
  Parameters all_;
  std::vector<bool> frozen_;
  std::vector<Tensor> values_;
};

// fit_restarts() of either kind.
class Race {
 public:
  Race(nn::Module& net, detail::Mover optimizer)
      : net_(net), optimizer_(optimizer), first_(everything(net, optimizer)) {}

  Restarts run(const Loss& loss, const data::Dataset& data, const Options& options,
               const RestartOptions& restarts) {
    if (restarts.restarts < 1) {
      throw ValueError("fit_restarts", std::to_string(restarts.restarts) + " restarts: needs 1");
    }
    try {
      for (std::int64_t r = 0; r < restarts.restarts; ++r) {
        if (restarts.on_restart) restarts.on_restart(r);
        one(r, loss, data, options);
      }
      if (!best_) std::rethrow_exception(failed_);
    } catch (...) {
      first_.put_back();
      throw;
    }
    best_->put_back();
    return std::move(out_);
  }

 private:
  static Parameters everything(const nn::Module& net, const detail::Mover& optimizer) {
    Parameters all = detail::Trainer::moved(net, optimizer);
    for (const Parameters& more : {net.random_state(), detail::state_of(optimizer)}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }

  void one(std::int64_t r, const Loss& loss, const data::Dataset& data, Options o) {
    const Rng rng = o.rng.split(static_cast<std::uint64_t>(r));
    first_.put_back();
    net_.initialize(rng.split(1));
    o.rng = rng.split(2);
    if (!o.checkpoint.folder.empty()) {
      const std::filesystem::path folder = o.checkpoint.folder;
      o.checkpoint.folder = (folder / ("restart-" + std::to_string(r))).string();
    }
    detail::Trainer trainer(net_, optimizer_, loss, data, o);
    std::string why;
    try {
      trainer.run();
    } catch (const StepError& e) {
      why = e.what();
      failed_ = std::current_exception();
    }
    out_.histories.push_back(trainer.history());
    History& h = out_.histories.back();
    if (!why.empty()) {
      h.stopped = why;
      return;
    }
    const bool larger = detail::larger_is_better(o, h.monitored);
    const bool better = std::isnan(score_) || (larger ? h.score > score_ : h.score < score_);
    if (!better) return;
    out_.best = r;
    score_ = h.score;
    best_ = Held(everything(net_, optimizer_));
  }

  nn::Module& net_;
  detail::Mover optimizer_;
  const Held first_;
  std::optional<Held> best_;
  double score_ = std::nan("");
  std::exception_ptr failed_;
  Restarts out_;
};

History run(nn::Module& net, detail::Mover optimizer, const Loss& loss, const data::Dataset& data,
            const Options& options) {
  detail::Trainer trainer(net, optimizer, loss, data, options);
  trainer.run();
  return trainer.history();
}

}  // namespace

History fit(nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
            const data::Dataset& data, const Options& options) {
  return run(net, &optimizer, loss, data, options);
}

History fit(nn::Module& net, optim::LBFGS& optimizer, const Loss& loss, const data::Dataset& data,
            const Options& options) {
  return run(net, &optimizer, loss, data, options);
}

Restarts fit_restarts(nn::Module& net, optim::Optimizer& optimizer, const Loss& loss,
                      const data::Dataset& data, const Options& options,
                      const RestartOptions& restarts) {
  return Race(net, &optimizer).run(loss, data, options, restarts);
}

Restarts fit_restarts(nn::Module& net, optim::LBFGS& optimizer, const Loss& loss,
                      const data::Dataset& data, const Options& options,
                      const RestartOptions& restarts) {
  return Race(net, &optimizer).run(loss, data, options, restarts);
}

}  // namespace xtape::fit
