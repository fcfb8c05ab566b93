#include <algorithm>

#include <xtape/fit/history.hpp>

namespace xtape::fit {

StepError::StepError(std::int64_t epoch, std::int64_t step, const std::string& what)
    : ValueError("fit",
                 "epoch " + std::to_string(epoch) + ", step " + std::to_string(step) + ": " + what),
      epoch_(epoch),
      step_(step) {}

std::vector<double> History::values(const std::string& name) const {
  const auto at = std::find(metric_names.begin(), metric_names.end(), name);
  const auto metric = static_cast<std::size_t>(at - metric_names.begin());
  if (name != "loss" && name != "validation_loss" && name != "learning_rate" &&
      at == metric_names.end()) {
    std::string names = "loss, validation_loss, learning_rate";
    for (const std::string& m : metric_names) names += ", " + m;
    throw ValueError("History", "'" + name + "' is not one of " + names);
  }
  std::vector<double> out;
  for (const Epoch& e : epochs) {
    out.push_back(name == "loss"              ? e.loss
                  : name == "validation_loss" ? e.validation_loss
                  : name == "learning_rate"   ? e.learning_rate
                                              : e.metrics.at(metric));
  }
  return out;
}

}  // namespace xtape::fit
