#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>
#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/gradcheck.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/rng.hpp>

namespace xtape {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
// One-sided slopes that differ by more than this share of the larger one may mean a kink.
constexpr double kJump = 1e-3;

// A scalar function of several f64 tensors, with its gradient. What is checked, at any order.
struct Problem {
  std::vector<std::string> names;
  std::vector<Tensor> point;
  std::function<double(const std::vector<Tensor>&)> value;
  std::function<std::vector<Tensor>(const std::vector<Tensor>&)> gradient;
};

class Checker {
 public:
  Checker(Problem problem, const GradcheckOptions& options, int order)
      : problem_(std::move(problem)),
        options_(options),
        order_(order),
        rng_(options.seed, 0xc4ec) {}

  GradcheckReport run() {
    GradcheckReport report;
    base_ = problem_.value(problem_.point);
    const double again = problem_.value(problem_.point);
    report.deterministic = base_ == again || (std::isnan(base_) && std::isnan(again));
    const bool anything = std::any_of(problem_.point.begin(), problem_.point.end(),
                                      [](const Tensor& t) { return t.size() > 0; });
    report.finite = std::isfinite(base_) || !anything;
    gradient_ = problem_.gradient(problem_.point);
    for (std::size_t k = 0; k < problem_.point.size(); ++k) report.entries.push_back(check(k));
    return report;
  }

 private:
  struct Outcome {
    double numeric, step;
    bool pass, kink;
    double left = 0, right = 0;
  };

  // f with input k moved by t along `direction` (or along one element).
  double moved(std::size_t k, std::int64_t element, double t) {
    std::vector<Tensor> x = problem_.point;
    x[k].mutable_data<double>()[element] += t;
    return problem_.value(x);
  }
  double moved(std::size_t k, const Tensor& direction, double t) {
    std::vector<Tensor> x = problem_.point;
    x[k] = multiply_add(direction, t, x[k]).value();
    return problem_.value(x);
  }

  // Whether two derivatives agree, given that f is known up to rounding and the step is h.
  bool agree(double a, double b, double h) const {
    const double noise = 64 * kEps * std::max(std::abs(base_), kEps) / h;
    return std::abs(a - b) <= options_.tolerance * std::max(std::abs(a), std::abs(b)) + noise;
  }

  template <class Where>
  Outcome differentiate(std::size_t k, const Where& where, double analytic, double scale) {
    const auto f = [&](double t) { return moved(k, where, t); };
    const auto central = [&](double h) { return (f(h) - f(-h)) / (2 * h); };
    const double h = std::cbrt(kEps) * scale;
    const double up = f(h), down = f(-h);
    const double first = (up - down) / (2 * h);
    if (agree(analytic, first, h)) {
      const double bend = std::abs(up - 2 * base_ + down) / h;  // |right slope − left slope|
      const bool maybe = bend > kJump * std::max(std::abs(up - base_), std::abs(down - base_)) / h;
      const Outcome sides = maybe ? one_sided(f, analytic, first, h) : Outcome{};
      return {first, h, true, sides.kink, sides.left, sides.right};
    }
    // Richardson: (4 d(h/2) − d(h)) / 3 cancels the h² term, so that larger steps, with less
    // rounding, can be used.
    for (const double wide : {1e-3, 1e-2, 1e-4}) {
      const double w = wide * scale;
      const double refined = (4 * central(w / 2) - central(w)) / 3;
      if (agree(analytic, refined, w)) return {refined, w, true, false, 0, 0};
    }
    return one_sided(f, analytic, first, h);
  }

  // At a kink the slopes on both sides differ and stay different as h shrinks.
  template <class F>
  Outcome one_sided(const F& f, double analytic, double numeric, double h) const {
    double jump[2];
    double right = 0, left = 0;
    for (int i = 0; i < 2; ++i) {
      const double s = h * (i ? 0.125 : 1);
      right = (f(s) - base_) / s;
      left = (base_ - f(-s)) / s;
      jump[i] = std::abs(right - left);
    }
    const double size = std::max({std::abs(right), std::abs(left), 1e-300});
    const bool kink = jump[1] > kJump * size && jump[1] > 0.5 * jump[0];
    const double slack = kJump * size;
    const bool between =
        analytic >= std::min(left, right) - slack && analytic <= std::max(left, right) + slack;
    return {numeric, h, kink && between, kink, left, right};
  }

  std::vector<std::int64_t> elements(std::int64_t n) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(n));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    if (options_.max_elements <= 0 || n <= options_.max_elements) return all;
    all = rng_.permutation(n);
    all.resize(static_cast<std::size_t>(options_.max_elements));
    return all;
  }

  GradcheckEntry check(std::size_t k) {
    const Tensor &x = problem_.point[k], &g = gradient_[k];
    GradcheckEntry e;
    e.name = problem_.names[k];
    e.shape = x.shape();
    e.order = order_;
    double worst = -1;
    for (const std::int64_t i : elements(x.size())) {
      const double a = g.flat(i);
      const Outcome o = differentiate(k, i, a, std::max(1.0, std::abs(x.flat(i))));
      const bool pass = o.pass && !std::isnan(a);
      ++e.checked;
      e.failed += !pass;
      e.kinks += o.kink;
      const double size = std::max({std::abs(a), std::abs(o.numeric), 1e-300});
      // Failures first, then errors away from kinks, which are no errors.
      const bool comparable = std::isfinite(a) && std::isfinite(o.numeric);
      const double error = comparable ? std::abs(a - o.numeric) / size : INFINITY;
      const double rank = pass ? (o.kink ? 0 : std::min(error, 1.0)) : 2 + error;
      if (rank <= worst) continue;
      worst = rank;
      e.worst = i;
      e.analytic = a;
      e.numeric = o.numeric;
      e.error = error;
      e.step = o.step;
      e.worst_is_kink = o.kink;
      e.left = o.kink ? o.left : 0;
      e.right = o.kink ? o.right : 0;
    }
    check_direction(k, e);
    return e;
  }

  void check_direction(std::size_t k, GradcheckEntry& e) {
    const Tensor& x = problem_.point[k];
    if (e.checked == x.size()) return;
    const Tensor v = rng_.normal(x.shape(), 0, 1 / std::sqrt(static_cast<double>(x.size())), f64);
    e.direction_analytic = sum(gradient_[k] * Var(v)).item();
    const Outcome o = differentiate(k, v, e.direction_analytic, 1);
    e.direction_numeric = o.numeric;
    e.direction_failed = !o.pass || std::isnan(e.direction_analytic);
  }

  Problem problem_;
  const GradcheckOptions& options_;
  int order_;
  Rng rng_;
  double base_ = 0;
  std::vector<Tensor> gradient_;
};

// Σ u·y with fixed random weights u, so that no error of one element cancels another's.
Var project(const Var& y, std::uint64_t seed) {
  if (y.rank() == 0 && is_floating(y.dtype())) return y;
  Rng rng(seed, 0x9e07);
  return sum(chain(Tensor(rng.uniform(y.shape(), 0.5, 1.5, f64)), cast(y, f64)));
}

using Recorded = std::function<std::pair<Var, std::vector<Var>>(Tape&, const std::vector<Tensor>&)>;

// The scalar Σ u·f as a problem of the given order: itself, or Σ w·∇ of it.
Problem make_problem(const Recorded& record, std::vector<std::string> names,
                     std::vector<Tensor> point, int order, std::uint64_t seed) {
  const auto scalar = [=](Tape& tape, const std::vector<Tensor>& x) {
    auto [y, targets] = record(tape, x);
    Var s = project(y, seed);
    if (order == 2) {
      Rng rng(seed, 0x5ec0d);
      Var total = tape.input(Tensor::scalar(0));
      if (s.tape()) {
        for (const Var& g : gradient(s, targets, {.unconnected = Unconnected::zero})) {
          total = total + sum(g * Tensor(rng.normal(g.shape(), 0, 1, f64)));
        }
      }
      s = total;
    }
    return std::pair(s, targets);
  };
  Problem p;
  p.names = std::move(names);
  p.value = [scalar](const std::vector<Tensor>& x) {
    Tape tape;
    return scalar(tape, x).first.item();
  };
  p.gradient = [scalar](const std::vector<Tensor>& x) -> std::vector<Tensor> {
    Tape tape;
    const auto [s, targets] = scalar(tape, x);
    if (s.tape()) return tape.gradient(s, targets, {.unconnected = Unconnected::zero});
    std::vector<Tensor> zeros;  // f computes from constants alone
    for (const Tensor& t : x) zeros.push_back(Tensor::zeros(t.shape(), f64));
    return zeros;
  };
  p.point = std::move(point);
  return p;
}

void require_f64(const std::string& name, DType dtype) {
  if (dtype == f64) return;
  throw DTypeError("gradcheck", name + " is " + xtape::name(dtype) +
                                    ": differences need f64, write x.to(f64) or net.to(f64)");
}

GradcheckReport check_orders(const Recorded& record, const std::vector<std::string>& names,
                             const std::vector<Tensor>& point, const GradcheckOptions& options) {
  if (options.order < 1 || options.order > 2) {
    throw ValueError("gradcheck", "order " + std::to_string(options.order) + ": must be 1 or 2");
  }
  GradcheckReport all;
  for (int order = 1; order <= options.order; ++order) {
    GradcheckReport r =
        Checker(make_problem(record, names, point, order, options.seed), options, order).run();
    all.deterministic &= r.deterministic;
    all.finite &= r.finite;
    all.entries.insert(all.entries.end(), r.entries.begin(), r.entries.end());
  }
  return all;
}

}  // namespace

namespace detail {

void throw_arity(std::size_t takes, std::size_t inputs) {
  throw ValueError("gradcheck", "the function takes " + std::to_string(takes) + " inputs, got " +
                                    std::to_string(inputs) + ": give one tensor for each");
}

GradcheckReport gradcheck(const CheckedFunction& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("input " + std::to_string(i));
    require_f64(names.back(), inputs[i].dtype());
  }
  const Recorded record = [&f](Tape& tape, const std::vector<Tensor>& x) {
    std::vector<Var> in;
    for (const Tensor& t : x) in.push_back(tape.variable(t));
    return std::pair(f(in), in);
  };
  return check_orders(record, names, inputs, options);
}

}  // namespace detail

GradcheckReport gradcheck_parameters(const std::function<Var(Tape&)>& f, const Parameters& all,
                                     const GradcheckOptions& options) {
  Parameters parameters;
  for (const Parameter& p : all) {
    if (!p.frozen()) parameters.push_back(p);
  }
  std::vector<std::string> names;
  std::vector<Tensor> point;
  for (const Parameter& p : parameters) {
    names.push_back(p.name());
    point.push_back(p.value());
    require_f64("parameter '" + p.name() + "'", p.dtype());
  }
  const auto set = [&parameters](const std::vector<Tensor>& x) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      Parameter p = parameters[i];
      if (!p.value().shares_memory_with(x[i])) p.assign(x[i]);
    }
  };
  struct Restore {
    std::function<void()> f;
    ~Restore() { f(); }
  } restore{[&] { set(point); }};
  const Recorded record = [&](Tape& tape, const std::vector<Tensor>& x) {
    set(x);
    std::vector<Var> targets;
    for (const Parameter& p : parameters) targets.push_back(tape.parameter(p));
    return std::pair(f(tape), targets);
  };
  return check_orders(record, names, point, options);
}

bool GradcheckReport::ok() const {
  return deterministic && finite && std::none_of(entries.begin(), entries.end(), [](const auto& e) {
           return e.failed > 0 || e.direction_failed;
         });
}

std::string GradcheckReport::str() const {
  std::ostringstream os;
  os.precision(9);
  if (!deterministic) os << "FAIL  the function is not deterministic: two evaluations differ\n";
  if (!finite) os << "FAIL  the function is NaN or infinite at this point\n";
  for (const GradcheckEntry& e : entries) {
    const bool bad = e.failed > 0 || e.direction_failed;
    os << (bad ? "FAIL  " : "ok    ") << e.name << ' ' << e.shape
       << (e.order == 2 ? " (order 2)" : "") << ": " << e.checked << " of " << e.shape.size()
       << " elements";
    if (e.failed) os << ", " << e.failed << " wrong";
    if (e.kinks) os << ", " << e.kinks << (e.kinks == 1 ? " kink" : " kinks");
    if (e.checked) {
      os << "; worst [" << e.worst << "] analytic " << e.analytic << " numeric " << e.numeric
         << " relative error " << e.error << " step " << e.step;
      if (e.worst_is_kink) {
        os << " (kink: " << e.left << " on the left, " << e.right << " on the right)";
      }
    }
    if (e.checked < e.shape.size()) {
      os << "; all elements in a random direction: analytic " << e.direction_analytic << " numeric "
         << e.direction_numeric << (e.direction_failed ? " WRONG" : "");
    }
    os << '\n';
  }
  return os.str();
}

std::ostream& operator<<(std::ostream& os, const GradcheckReport& report) {
  return os << report.str();
}

}  // namespace xtape
