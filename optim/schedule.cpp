#include <algorithm>
#include <cmath>
#include <numbers>

#include <xtape/autodiff/error.hpp>
#include <xtape/optim/rule.hpp>
#include <xtape/optim/schedule.hpp>

namespace xtape::optim {
namespace {

using std::numbers::pi;

void positive(const char* schedule, const char* what, std::int64_t n) {
  require(n > 0, schedule, what, static_cast<double>(n), "1 or more");
}

double ratio(std::int64_t a, std::int64_t b) {
  return static_cast<double>(a) / static_cast<double>(b);
}

// From a to b, in [0, 1].
double along_line(double a, double b, double part) { return a + (b - a) * part; }
double along_cosine(double a, double b, double part) {
  return b + (a - b) / 2 * (1 + std::cos(pi * part));
}

// One piece of a cycle: up to step `end`, from one value to another.
struct Phase {
  double end, from, to;
};

Schedule phases(std::vector<Phase> all, bool linear) {
  return [all = std::move(all), linear](std::int64_t step) {
    const double at = std::min(static_cast<double>(step), all.back().end);
    std::size_t k = 0;
    while (k + 1 < all.size() && at > all[k].end) ++k;
    const double begin = k == 0 ? 0 : all[k - 1].end;
    const double part = (at - begin) / (all[k].end - begin);
    return linear ? along_line(all[k].from, all[k].to, part)
                  : along_cosine(all[k].from, all[k].to, part);
  };
}

// `low` stands before and after, `last` at the end.
Schedule cycle(const OneCycleOptions& o, double low, double high, double last) {
  positive("one_cycle", "steps - 1", o.steps - 1);
  require(o.rise > 0 && o.rise < 1, "one_cycle", "rise", o.rise, "in (0, 1)");
  const double n = static_cast<double>(o.steps), top = o.rise * n - 1;
  require(top > 0, "one_cycle", "rise times steps", top + 1, "more than 1");
  if (!o.three_phases) return phases({{top, low, high}, {n - 1, high, last}}, o.linear);
  require(2 * top < n - 1, "one_cycle", "rise", o.rise, "below 1/2 for three phases");
  return phases({{top, low, high}, {2 * top, high, low}, {n - 1, low, last}}, o.linear);
}

}  // namespace

void drive(Optimizer& optimizer, const Schedule& schedule) {
  drive(optimizer, schedule, optimizer.steps());
}

void drive(Optimizer& optimizer, const Schedule& schedule, std::int64_t step) {
  const double factor = schedule(step);
  require(factor >= 0 && std::isfinite(factor), "drive", "factor of the learning rate", factor,
          "finite and not negative");
  for (std::size_t g = 0; g < optimizer.groups(); ++g) {
    optimizer.set_learning_rate(g, optimizer.base_learning_rate(g) * factor);
  }
}

Schedule constant(double factor, std::int64_t steps) {
  return [=](std::int64_t step) { return step < steps ? factor : 1.0; };
}

Schedule step_decay(std::int64_t every, double factor) {
  positive("step_decay", "every", every);
  return [=](std::int64_t step) { return std::pow(factor, step / every); };
}

Schedule multi_step(std::vector<std::int64_t> milestones, double factor) {
  std::sort(milestones.begin(), milestones.end());
  return [=, at = std::move(milestones)](std::int64_t step) {
    return std::pow(factor, std::upper_bound(at.begin(), at.end(), step) - at.begin());
  };
}

Schedule exponential(double factor) {
  return [=](std::int64_t step) { return std::pow(factor, step); };
}

Schedule linear(double from, double to, std::int64_t steps) {
  positive("linear", "steps", steps);
  return [=](std::int64_t step) { return along_line(from, to, std::min(1.0, ratio(step, steps))); };
}

Schedule polynomial(std::int64_t steps, double power) {
  positive("polynomial", "steps", steps);
  return [=](std::int64_t step) {
    return step < steps ? std::pow(1 - ratio(step, steps), power) : 0.0;
  };
}

Schedule cosine(std::int64_t steps, double floor) {
  positive("cosine", "steps", steps);
  return [=](std::int64_t step) { return along_cosine(1, floor, ratio(step, steps)); };
}

Schedule cosine_restarts(std::int64_t steps, const RestartOptions& o) {
  positive("cosine_restarts", "steps", steps);
  positive("cosine_restarts", "growth", o.growth);
  return [steps, o](std::int64_t step) {
    std::int64_t period = steps;
    if (o.growth == 1) {
      step %= period;
    } else {
      for (; step >= period; period *= o.growth) step -= period;
    }
    return along_cosine(1, o.floor, ratio(step, period));
  };
}

Schedule warm_up(std::int64_t steps, Schedule then, double from) {
  return sequential({linear(from, 1, steps), std::move(then)}, {steps});
}

Schedule sequential(std::vector<Schedule> parts, std::vector<std::int64_t> milestones) {
  if (parts.size() != milestones.size() + 1 ||
      !std::is_sorted(milestones.begin(), milestones.end())) {
    throw ValueError("sequential", std::to_string(parts.size()) + " schedules and " +
                                       std::to_string(milestones.size()) +
                                       " milestones: one milestone between each two, in order");
  }
  return [parts = std::move(parts), at = std::move(milestones)](std::int64_t step) {
    const auto next = std::upper_bound(at.begin(), at.end(), step);
    const auto k = static_cast<std::size_t>(next - at.begin());
    return parts[k](step - (k == 0 ? 0 : at[k - 1]));
  };
}

Schedule chained(std::vector<Schedule> parts) {
  return [parts = std::move(parts)](std::int64_t step) {
    double product = 1;
    for (const Schedule& s : parts) product *= s(step);
    return product;
  };
}

Schedule one_cycle(const OneCycleOptions& o) { return cycle(o, o.start, 1, o.end); }

Schedule one_cycle_momentum(const OneCycleOptions& o) {
  return cycle(o, o.high_momentum, o.low_momentum, o.high_momentum);
}

Schedule cyclic(const CyclicOptions& o) {
  positive("cyclic", "up", o.up);
  positive("cyclic", "down", o.down);
  return [o](std::int64_t step) {
    const std::int64_t wave = step / (o.up + o.down), at = step % (o.up + o.down);
    const double height = at <= o.up ? ratio(at, o.up) : ratio(o.up + o.down - at, o.down);
    double scale = 1;
    if (o.waves == Waves::halved) scale = std::pow(0.5, wave);
    if (o.waves == Waves::decayed) scale = std::pow(o.decay, step);
    return o.floor + (1 - o.floor) * height * scale;
  };
}

ReduceOnPlateau::ReduceOnPlateau(const PlateauOptions& o) : options_(o) {
  require(o.factor > 0 && o.factor < 1, "ReduceOnPlateau", "factor", o.factor, "in (0, 1)");
  require_not_negative("ReduceOnPlateau", "patience", static_cast<double>(o.patience));
  require_not_negative("ReduceOnPlateau", "cooldown", static_cast<double>(o.cooldown));
  require_not_negative("ReduceOnPlateau", "threshold", o.threshold);
  require_not_negative("ReduceOnPlateau", "smallest_rate", o.smallest_rate);
  const double inf = std::numeric_limits<double>::infinity();
  state_.best = o.maximize ? -inf : inf;
}

bool ReduceOnPlateau::better(double value) const {
  const double sign = options_.maximize ? 1 : -1, best = state_.best;
  if (std::isinf(best)) return value * sign > best * sign;
  const double margin =
      options_.absolute ? options_.threshold : options_.threshold * std::abs(best);
  return options_.maximize ? value > best + margin : value < best - margin;
}

bool ReduceOnPlateau::observe(Optimizer& optimizer, double value) {
  ++state_.bad;
  if (better(value)) state_ = {value, 0, state_.cooldown};
  if (state_.cooldown > 0) {
    --state_.cooldown;
    state_.bad = 0;
  }
  if (state_.bad <= options_.patience) return false;
  state_.bad = 0;
  state_.cooldown = options_.cooldown;
  for (std::size_t g = 0; g < optimizer.groups(); ++g) {
    const double old = optimizer.learning_rate(g);
    const double next = std::max(old * options_.factor, options_.smallest_rate);
    if (old - next > options_.negligible) optimizer.set_learning_rate(g, next);
  }
  return true;
}

}  // namespace xtape::optim
