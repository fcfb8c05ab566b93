#include <algorithm>
#include <cmath>
#include <limits>

#include <xtape/optim/lbfgs.hpp>
#include <xtape/optim/rule.hpp>

namespace xtape::optim {
namespace {

constexpr double kDecrease = 1e-4, kCurvature = 0.9;  // c₁ and c₂ of the strong Wolfe conditions
constexpr int kMaxSearch = 25;                        // evaluations that follow the first
constexpr double kLeastCurvature = 1e-10;             // of a pair that is remembered

double dot(const Tensor& a, const Tensor& b) { return sum(Var(a) * b).item(); }
double largest(const Tensor& a) { return max(abs(a)).item(); }
Tensor scaled_sum(const Tensor& a, double factor, const Tensor& b) {  // b + factor a
  return multiply_add(a, factor, b).value();
}

void check_options(const LBFGSOptions& o) {
  require(o.max_iterations > 0, "LBFGS", "max_iterations", o.max_iterations, "1 or more");
  require(o.max_evaluations >= 0, "LBFGS", "max_evaluations", o.max_evaluations, "0 or more");
  require(o.history > 0, "LBFGS", "history", o.history, "1 or more");
  require_not_negative("LBFGS", "learning rate", o.learning_rate);
  require_not_negative("LBFGS", "gradient_tolerance", o.gradient_tolerance);
  require_not_negative("LBFGS", "change_tolerance", o.change_tolerance);
}

// Where the cubic through two values with their slopes is least, within [low, high]; their middle
// where it is nowhere.
double least_of_cubic(double x1, double f1, double g1, double x2, double f2, double g2, double low,
                      double high) {
  if (x1 > x2) {
    std::swap(x1, x2);
    std::swap(f1, f2);
    std::swap(g1, g2);
  }
  const double d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2), square = d1 * d1 - g1 * g2;
  if (!(square >= 0) || std::isinf(square)) return (low + high) / 2;
  const double d2 = std::sqrt(square);
  const double at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2));
  return std::min(std::max(at, low), high);
}

}  // namespace

LBFGS::LBFGS(const Parameters& parameters, const LBFGSOptions& options)
    : parameters_(parameters), options_(options) {
  check_options(options);
  require_parameters("LBFGS", parameters);
  std::int64_t n = 0;
  for (const Parameter& p : parameters) {
    if (p.frozen()) continue;
    if (std::find(moving_.begin(), moving_.end(), p) != moving_.end()) {
      throw ValueError(p.name(), "stands twice among the parameters of an optimizer");
    }
    moving_.push_back(p);
    n += p.size();
    if (p.dtype() == moving_[0].dtype()) continue;
    throw DTypeError("LBFGS", moving_[0].name() + " is " + name(moving_[0].dtype()) + ", " +
                                  p.name() + " " + name(p.dtype()) + ": all must have one dtype");
  }
  const auto number = [](double x, const char* what, DType dtype = f64) {
    return Parameter::buffer(Tensor::scalar(x, dtype), what);
  };
  rate_ = number(options.learning_rate, "learning_rate");
  iterations_ = number(0, "iterations", i64);
  length_ = number(0, "length");
  scale_ = number(1, "scale");
  pairs_ = number(0, "pairs", i64);
  const Tensor none = Tensor::zeros({n}, moving_.empty() ? f64 : moving_[0].dtype());
  direction_ = Parameter::buffer(none, "direction");
  gradient_ = Parameter::buffer(none, "gradient");
  for (int k = 0; k < options.history; ++k) {
    s_.push_back(Parameter::buffer(none, "s." + std::to_string(k)));
    y_.push_back(Parameter::buffer(none, "y." + std::to_string(k)));
  }
}

void LBFGS::set_learning_rate(double learning_rate) {
  require_not_negative("LBFGS", "learning rate", learning_rate);
  rate_.assign(Tensor::scalar(learning_rate));
}

Parameters LBFGS::state() const {
  Parameters all{rate_, iterations_, length_, scale_, pairs_, direction_, gradient_};
  all.insert(all.end(), s_.begin(), s_.end());
  all.insert(all.end(), y_.begin(), y_.end());
  return all;
}

Tensor LBFGS::flat(const Tensors& given) const {
  const bool known = in_order(given, parameters_);
  const Tensors gradients = known ? given : picked(given, parameters_);
  if (gradients.size() != parameters_.size()) {
    throw ValueError("LBFGS", std::to_string(gradients.size()) + " gradients for " +
                                  std::to_string(parameters_.size()) + " parameters");
  }
  std::vector<Var> parts;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    if (std::find(moving_.begin(), moving_.end(), p) == moving_.end()) continue;
    if (!gradients[i].defined()) throw ValueError(p.name(), "has no gradient");
    if (gradients[i].shape() != p.shape()) {
      throw ShapeError(p.name(), "gradient of shape " + gradients[i].shape().str() +
                                     " for a parameter of shape " + p.shape().str());
    }
    if (gradients[i].dtype() != p.dtype()) {
      throw DTypeError(p.name(), std::string("gradient ") + name(gradients[i].dtype()) +
                                     " for a parameter of " + name(p.dtype()));
    }
    parts.push_back(gradients[i].reshape({p.size()}));
  }
  return concat(parts).value();
}

Tensor LBFGS::values() const {
  std::vector<Var> parts;
  for (const Parameter& p : moving_) parts.push_back(p.value().reshape({p.size()}));
  return concat(parts).value();
}

void LBFGS::set_values(const Tensor& all) {
  std::int64_t at = 0;
  for (Parameter& p : moving_) {
    p.assign(slice(all, 0, {at, at + p.size()}).value().reshape(p.shape()));
    at += p.size();
  }
}

void LBFGS::check_frozen() const {
  for (const Parameter& p : parameters_) {
    const bool moves = std::find(moving_.begin(), moving_.end(), p) != moving_.end();
    if (moves == !p.frozen()) continue;
    throw ValueError("LBFGS", "'" + p.name() + "' was " + (moves ? "frozen" : "thawed") +
                                  " since this LBFGS was made, whose pairs of vectors are of the "
                                  "parameters that moved then: make a new one");
  }
}

double LBFGS::step(const Closure& evaluate) {
  check_frozen();
  if (moving_.empty()) return evaluate().loss;
  std::vector<std::pair<Parameter, Tensor>> before;
  for (const Parameter& p : moving_) before.emplace_back(p, p.value());
  for (const Parameter& p : state()) before.emplace_back(p, p.value());
  try {
    return iterate(evaluate);
  } catch (...) {
    for (auto& [p, value] : before) p.assign(value);
    throw;
  }
}

LBFGS::Point LBFGS::evaluate_at(const Closure& evaluate, const Tensor& from, double t) {
  set_values(scaled_sum(direction_.value(), t, from));
  ++evaluations_;
  const Evaluation e = evaluate();
  Point p{t, e.loss, 0, flat(e.gradients)};
  p.slope = dot(p.gradient, direction_.value());
  // A search turns back from what is not a number as from what is too large.
  if (std::isnan(p.loss)) p.loss = std::numeric_limits<double>::infinity();
  return p;
}

double LBFGS::iterate(const Closure& evaluate) {
  const LBFGSOptions& o = options_;
  const int max_evaluations = o.max_evaluations > 0 ? o.max_evaluations : o.max_iterations * 5 / 4;
  const Evaluation first = evaluate();
  evaluations_ = 1;
  Point now{0, first.loss, 0, flat(first.gradients)};
  const auto refuse = [&now] {
    if (std::isfinite(now.loss) && std::isfinite(largest(now.gradient))) return;
    throw ValueError("LBFGS", "the loss or its gradient has NaN or infinite elements");
  };
  refuse();
  if (largest(now.gradient) <= o.gradient_tolerance) return first.loss;
  for (int i = 1; i <= o.max_iterations; ++i) {
    remember(now.gradient);
    const double before = now.loss;
    const bool begins = iterations() == 1;
    const double shrunk = std::min(1.0, 1 / sum(abs(now.gradient)).item());
    const double t = (begins ? shrunk : 1) * learning_rate();
    now.slope = dot(now.gradient, direction_.value());
    length_.assign(Tensor::scalar(t));
    if (now.slope > -o.change_tolerance) break;
    const Tensor from = values();
    if (o.line_search) {
      now = search(evaluate, from, now, t);
      set_values(scaled_sum(direction_.value(), now.t, from));
      length_.assign(Tensor::scalar(now.t));
    } else if (i < o.max_iterations) {
      now = evaluate_at(evaluate, from, t);
    } else {
      set_values(scaled_sum(direction_.value(), t, from));  // the next step evaluates there
    }
    refuse();
    if (i == o.max_iterations || evaluations_ >= max_evaluations) break;
    if (largest(now.gradient) <= o.gradient_tolerance) break;
    if (largest(direction_.value()) * length_.value().item() <= o.change_tolerance) break;
    if (std::abs(now.loss - before) < o.change_tolerance) break;
  }
  return first.loss;
}

// The pair of the last iteration, and the direction of this one.
void LBFGS::remember(const Tensor& gradient) {
  const bool begins = iterations() == 0;
  iterations_.assign(Tensor::scalar(static_cast<double>(iterations() + 1), i64));
  if (!begins) {
    const Tensor y = (Var(gradient) - gradient_.value()).value();
    const Tensor s = (Var(direction_.value()) * length_.value().item()).value();
    const double ys = dot(y, s);
    if (ys > kLeastCurvature) {
      auto k = static_cast<std::size_t>(count(pairs_));
      if (k == s_.size()) {
        for (k = 0; k + 1 < s_.size(); ++k) {
          s_[k].assign(s_[k + 1].value());
          y_[k].assign(y_[k + 1].value());
        }
      }
      s_[k].assign(s);
      y_[k].assign(y);
      pairs_.assign(Tensor::scalar(static_cast<double>(k + 1), i64));
      scale_.assign(Tensor::scalar(ys / dot(y, y)));
    }
  }
  direction_.assign(direction(gradient));
  gradient_.assign(gradient);
}

// −H g.
Tensor LBFGS::direction(const Tensor& gradient) const {
  const auto n = static_cast<std::size_t>(count(pairs_));
  std::vector<double> rho(n), alpha(n);
  Tensor q = negative(gradient).value();
  for (std::size_t k = n; k-- > 0;) {
    rho[k] = 1 / dot(y_[k].value(), s_[k].value());
    alpha[k] = rho[k] * dot(s_[k].value(), q);
    q = scaled_sum(y_[k].value(), -alpha[k], q);
  }
  q = (Var(q) * scale_.value().item()).value();
  for (std::size_t k = 0; k < n; ++k) {
    q = scaled_sum(s_[k].value(), alpha[k] - rho[k] * dot(y_[k].value(), q), q);
  }
  return q;
}

// A point that obeys the strong Wolfe conditions: by steps that grow, until one of them has passed
// such a point.
LBFGS::Point LBFGS::search(const Closure& evaluate, const Tensor& from, Point start, double t) {
  start.t = 0;
  Point last = start, now = evaluate_at(evaluate, from, t);
  for (int k = 0; k < kMaxSearch; ++k) {
    const bool rises =
        now.loss > start.loss + kDecrease * now.t * start.slope || (k > 1 && now.loss >= last.loss);
    if (rises) return zoom(evaluate, from, start, last, now, kMaxSearch - k);
    if (std::abs(now.slope) <= -kCurvature * start.slope) return now;
    if (now.slope >= 0) return zoom(evaluate, from, start, last, now, kMaxSearch - k);
    const double next = least_of_cubic(last.t, last.loss, last.slope, now.t, now.loss, now.slope,
                                       now.t + 0.01 * (now.t - last.t), now.t * 10);
    last = std::move(now);
    now = evaluate_at(evaluate, from, next);
  }
  return start.loss <= now.loss ? start : now;
}

// The same between two points of which one has passed such a point.
LBFGS::Point LBFGS::zoom(const Closure& evaluate, const Tensor& from, const Point& start, Point low,
                         Point high, int left) {
  if (high.loss < low.loss) std::swap(low, high);
  const double width = largest(direction_.value());
  bool slow = false;
  for (; left > 0; --left) {
    const double a = std::min(low.t, high.t), b = std::max(low.t, high.t);
    if ((b - a) * width < options_.change_tolerance) break;
    double t = least_of_cubic(low.t, low.loss, low.slope, high.t, high.loss, high.slope, a, b);
    const double margin = 0.1 * (b - a);
    const bool near_end = std::min(b - t, t - a) < margin;
    const bool moved = near_end && (slow || t >= b || t <= a);
    if (moved) t = std::abs(t - b) < std::abs(t - a) ? b - margin : a + margin;
    slow = near_end && !moved;
    Point now = evaluate_at(evaluate, from, t);
    if (now.loss > start.loss + kDecrease * t * start.slope || now.loss >= low.loss) {
      high = std::move(now);
      if (high.loss < low.loss) std::swap(low, high);
      continue;
    }
    if (std::abs(now.slope) <= -kCurvature * start.slope) return now;
    if (now.slope * (high.t - low.t) >= 0) high = std::move(low);
    low = std::move(now);
  }
  return low;
}

}  // namespace xtape::optim
