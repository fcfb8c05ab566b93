#include <algorithm>
#include <cmath>

#include <xtape/optim/range_test.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {
namespace {

// Gives parameters their values back.
class Restore {
 public:
  void note(const Parameters& all) {
    for (const Parameter& p : all) before_.emplace_back(p, p.value());
  }
  Restore() = default;
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  ~Restore() {
    for (auto& [p, value] : before_) {
      if (p.dtype() != value.dtype()) p.to(value.dtype());  // a step may have converted it
      p.assign(value);
    }
  }

 private:
  std::vector<std::pair<Parameter, Tensor>> before_;
};

void check(const RangeTestOptions& o) {
  const char* name = "find_learning_rate";
  require(o.from > 0 && std::isfinite(o.from), name, "from", o.from, "finite and positive");
  require(o.to > o.from && std::isfinite(o.to), name, "to", o.to, "finite and above from");
  require(o.steps >= 2, name, "steps", static_cast<double>(o.steps), "2 or more");
  require_factor(name, "smoothing", o.smoothing);
  require(o.divergence > 1, name, "divergence", o.divergence, "above 1");
}

// The slope of losses over the index of their rates, by differences of both neighbours.
double steepest(const RangeTest& t) {
  std::size_t best = 1;
  const auto slope = [&](std::size_t k) { return t.losses[k + 1] - t.losses[k - 1]; };
  for (std::size_t k = 2; k + 1 < t.losses.size(); ++k) {
    if (slope(k) < slope(best)) best = k;
  }
  return t.rates[best];
}

// One loss, or the reason why there is none.
double loss_of(const std::function<double()>& step, RangeTest& t) {
  try {
    const double loss = step();
    if (!std::isfinite(loss)) t.stopped = "the loss is not finite";
    return loss;
  } catch (const ValueError& e) {
    if (t.losses.empty()) throw;
    t.stopped = e.what();
    return 0;
  }
}

}  // namespace

RangeTest find_learning_rate(Optimizer& optimizer, const std::function<double()>& step,
                             const RangeTestOptions& o) {
  check(o);
  Restore restore;
  restore.note(optimizer.parameters());
  restore.note(optimizer.state());
  restore.note(o.restored);
  RangeTest t;
  double average = 0, weight = 0;
  for (std::int64_t k = 0; k < o.steps; ++k) {
    const double part = static_cast<double>(k) / static_cast<double>(o.steps - 1);
    const double rate = o.from * std::pow(o.to / o.from, part);
    optimizer.set_learning_rate(rate);
    const double loss = loss_of(step, t);
    if (!t.stopped.empty()) break;
    average = o.smoothing * average + (1 - o.smoothing) * loss;
    weight = o.smoothing * weight + (1 - o.smoothing);
    t.rates.push_back(rate);
    t.losses.push_back(average / weight);
    const double least = *std::min_element(t.losses.begin(), t.losses.end());
    if (least > 0 && t.losses.back() > o.divergence * least) {
      t.stopped = "the loss diverges";
      break;
    }
  }
  if (t.losses.size() < 3) {
    throw ValueError("find_learning_rate", "only " + std::to_string(t.losses.size()) +
                                               " losses came out: begin with a smaller rate");
  }
  t.suggestion = steepest(t);
  return t;
}

}  // namespace xtape::optim
