#include "optimizer_items.hpp"

#include <xtape/autodiff/error.hpp>

namespace xtape::conformance {
namespace {

using nlohmann::json;
using namespace optim;

// The settings of one group.
struct Hyper {
  const json& h;
  double number(const char* name, double otherwise) const { return h.value(name, otherwise); }
  double rate() const { return h["lr"]; }
  double beta(std::size_t k, double otherwise) const {
    return h.contains("betas") ? h["betas"][k].get<double>() : otherwise;
  }
  bool flag(const char* name) const { return h.value(name, false); }
};

// What Adam and its kin have in common.
template <class Options>
Options adam_like(const Hyper& h) {
  Options o;
  o.learning_rate = h.rate();
  o.beta1 = h.beta(0, o.beta1);
  o.beta2 = h.beta(1, o.beta2);
  o.epsilon = h.number("eps", o.epsilon);
  o.weight_decay = h.number("weight_decay", o.weight_decay);
  o.maximize = h.flag("maximize");
  if constexpr (requires { o.amsgrad; }) o.amsgrad = h.flag("amsgrad");
  if constexpr (requires { o.momentum_decay; }) {
    o.momentum_decay = h.number("momentum_decay", o.momentum_decay);
  }
  return o;
}

SGDOptions sgd(const Hyper& h) {
  return {.learning_rate = h.rate(),
          .momentum = h.number("momentum", 0),
          .dampening = h.number("dampening", 0),
          .weight_decay = h.number("weight_decay", 0),
          .nesterov = h.flag("nesterov"),
          .maximize = h.flag("maximize")};
}

AdagradOptions adagrad(const Hyper& h) {
  return {.learning_rate = h.rate(),
          .rate_decay = h.number("lr_decay", 0),
          .weight_decay = h.number("weight_decay", 0),
          .initial_accumulator = h.number("initial_accumulator_value", 0),
          .epsilon = h.number("eps", 1e-10),
          .maximize = h.flag("maximize")};
}

RMSpropOptions rmsprop(const Hyper& h) {
  return {.learning_rate = h.rate(),
          .alpha = h.number("alpha", 0.99),
          .epsilon = h.number("eps", 1e-8),
          .weight_decay = h.number("weight_decay", 0),
          .momentum = h.number("momentum", 0),
          .centered = h.flag("centered"),
          .maximize = h.flag("maximize")};
}

AdadeltaOptions adadelta(const Hyper& h) {
  return {.learning_rate = h.rate(),
          .rho = h.number("rho", 0.9),
          .epsilon = h.number("eps", 1e-6),
          .weight_decay = h.number("weight_decay", 0),
          .maximize = h.flag("maximize")};
}

using Settings = std::vector<std::pair<Parameters, json>>;

template <class Optimizer, class Options>
std::unique_ptr<optim::Optimizer> grouped(const Settings& settings,
                                          Options (*options)(const Hyper&)) {
  std::vector<Group<Options>> groups;
  for (const auto& [p, h] : settings) groups.push_back({p, options({h})});
  return std::make_unique<Optimizer>(groups);
}

double floor_of(const json& args, const json& item) {
  return args.value("eta_min", 0.0) / item["lr"].get<double>();
}

Schedule make_schedule(const std::string& name, const json& a, const json& item) {
  const auto steps = [&](const char* key) { return a[key].get<std::int64_t>(); };
  if (name == "ConstantLR") return constant(a["factor"], steps("total_iters"));
  if (name == "StepLR") return step_decay(steps("step_size"), a.value("gamma", 0.1));
  if (name == "MultiStepLR") return multi_step(a["milestones"], a.value("gamma", 0.1));
  if (name == "ExponentialLR") return exponential(a["gamma"]);
  if (name == "LinearLR") return linear(a["start_factor"], a["end_factor"], steps("total_iters"));
  if (name == "PolynomialLR") return polynomial(steps("total_iters"), a["power"]);
  if (name == "CosineAnnealingLR") return cosine(steps("T_max"), floor_of(a, item));
  if (name == "CosineAnnealingWarmRestarts") {
    return cosine_restarts(
        steps("T_0"), {.growth = a.value("T_mult", std::int64_t{1}), .floor = floor_of(a, item)});
  }
  throw DataError("conformance", "no scheduler " + name);
}

OneCycleOptions one_cycle_options(const json& a) {
  const double start = 1 / a.value("div_factor", 25.0);
  return {.steps = a["total_steps"],
          .rise = a.value("pct_start", 0.3),
          .start = start,
          .end = start / a.value("final_div_factor", 1e4),
          .linear = a.value("anneal_strategy", "cos") == "linear",
          .three_phases = a.value("three_phase", false)};
}

PlateauOptions plateau_options(const json& a) {
  return {.factor = a.value("factor", 0.1),
          .patience = a.value("patience", std::int64_t{10}),
          .threshold = a.value("threshold", 1e-4),
          .absolute = a.value("threshold_mode", "rel") == "abs",
          .cooldown = a.value("cooldown", std::int64_t{0}),
          .smallest_rate = a.value("min_lr", 0.0)};
}

}  // namespace

std::unique_ptr<optim::Optimizer> make_optimizer(const json& item, const Parameters& p) {
  const std::string name = item["optimizer"];
  Settings settings;
  const json whole = {{{"params", p.size() == 1 ? json{0} : json{0, 1}}}};
  for (const json& group : item.contains("groups") ? item["groups"] : whole) {
    json h = item["hyper"];
    h["lr"] = item["lr"];
    // The highest rate of a cycle is the base.
    if (item.contains("scheduler") && item["scheduler"]["args"].contains("max_lr")) {
      h["lr"] = item["scheduler"]["args"]["max_lr"];
    }
    h.update(group);
    Parameters members;
    for (const json& i : group["params"]) members.push_back(p.at(i.get<std::size_t>()));
    settings.emplace_back(members, h);
  }
  if (name == "SGD") return grouped<SGD>(settings, sgd);
  if (name == "Adagrad") return grouped<Adagrad>(settings, adagrad);
  if (name == "RMSprop") return grouped<RMSprop>(settings, rmsprop);
  if (name == "Adadelta") return grouped<Adadelta>(settings, adadelta);
  if (name == "Adam") return grouped<Adam>(settings, adam_like<AdamOptions>);
  if (name == "AdamW") return grouped<AdamW>(settings, adam_like<AdamWOptions>);
  if (name == "Adamax") return grouped<Adamax>(settings, adam_like<AdamaxOptions>);
  if (name == "NAdam") return grouped<NAdam>(settings, adam_like<NAdamOptions>);
  if (name == "RAdam") return grouped<RAdam>(settings, adam_like<RAdamOptions>);
  return nullptr;
}

Driver make_driver(const json& item) {
  if (!item.contains("scheduler")) return {};
  const std::string name = item["scheduler"]["name"];
  const json& a = item["scheduler"]["args"];
  if (name == "ReduceLROnPlateau") {
    return [plateau = ReduceOnPlateau(plateau_options(a))](Optimizer& o, std::int64_t k,
                                                           double metric) mutable {
      if (k > 0) plateau.observe(o, metric);
    };
  }
  if (name == "OneCycleLR") {
    const OneCycleOptions options = one_cycle_options(a);
    const bool momentum = a.value("cycle_momentum", true);
    return [rate = one_cycle(options), cycled = one_cycle_momentum(options), momentum](
               Optimizer& o, std::int64_t k, double) {
      drive(o, rate, k);
      if (momentum) o.set_momentum(cycled(k));
    };
  }
  return [schedule = make_schedule(name, a, item)](Optimizer& o, std::int64_t k, double) {
    drive(o, schedule, k);
  };
}

}  // namespace xtape::conformance
