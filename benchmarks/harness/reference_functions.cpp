#include <algorithm>
#include <cmath>

#include "workloads.hpp"

// Values and gradients of the other workloads in plain loops over double.
namespace bench {
namespace {

using Vector = std::vector<double>;

double total(const Vector& x) {
  double s = 0;
  for (const double v : x) s += v;
  return s;
}

Vector simple(const Function& f, const Vector& x) {
  using Kind = Function::Kind;
  const auto n = static_cast<double>(x.size());
  double value = f.kind == Kind::product ? 1 : 0;
  for (const double v : x) {
    const double z = (v - Function::kMean) / Function::kDeviation;
    if (f.kind == Kind::sum) value += v;
    if (f.kind == Kind::product) value *= v;
    if (f.kind == Kind::logsumexp) value += std::exp(v);
    if (f.kind == Kind::normal) value -= z * z / 2;
  }
  Vector out{value};
  if (f.kind == Kind::logsumexp) out[0] = std::log(value);
  if (f.kind == Kind::normal) out[0] -= n * std::log(Function::kDeviation);
  for (const double v : x) {
    const double z = (v - Function::kMean) / Function::kDeviation;
    out.push_back(f.kind == Kind::sum         ? 1
                  : f.kind == Kind::product   ? value / v
                  : f.kind == Kind::logsumexp ? std::exp(v) / value
                                              : -z / Function::kDeviation);
  }
  return out;
}

Vector matrix(const Function& f, const FunctionData& d) {
  const auto side = static_cast<std::size_t>(f.side());
  const Vector &a = d.parameters[0], &b = d.parameters[1];
  Vector out(1 + 2 * side * side, 0);
  double *by_a = &out[1], *by_b = by_a + side * side;
  for (std::size_t i = 0; i < side; ++i) {
    for (std::size_t k = 0; k < side; ++k) {
      for (std::size_t j = 0; j < side; ++j) {
        out[0] += a[i * side + k] * b[k * side + j];
        by_a[i * side + k] += b[k * side + j];
        by_b[k * side + j] += a[i * side + k];
      }
    }
  }
  return out;
}

Vector regression(const FunctionData& d) {
  const Vector& w = d.parameters[0];
  const double b = d.parameters[1][0], deviation = d.parameters[2][0];
  const std::size_t n = w.size();
  Vector out{0};
  for (const double v : w) out.push_back(-v);
  double by_b = -b, squares = 0;
  for (std::size_t s = 0; s < d.y.size(); ++s) {
    double z = d.y[s] - b;
    for (std::size_t i = 0; i < n; ++i) z -= d.x[s * n + i] * w[i];
    squares += z * z;
    by_b += z / (deviation * deviation);
    for (std::size_t i = 0; i < n; ++i) {
      out[1 + i] += z / (deviation * deviation) * d.x[s * n + i];
    }
  }
  const auto samples = static_cast<double>(d.y.size());
  out[0] = -squares / (2 * deviation * deviation) - samples * std::log(deviation) - b * b / 2;
  for (const double v : w) out[0] -= v * v / 2;
  out.push_back(by_b);
  out.push_back(squares / std::pow(deviation, 3) - samples / deviation);
  return out;
}

double cauchy(double x, double scale) { return -std::log(scale * (1 + std::pow(x / scale, 2))); }
double cauchy_slope(double x, double scale) { return -2 * x / (scale * scale + x * x); }

Vector volatility(const FunctionData& d) {
  const Vector &s = d.parameters[0], &y = d.y;
  const double phi = d.parameters[1][0], sigma = d.parameters[2][0], mu = d.parameters[3][0];
  const double root = std::sqrt(1 - phi * phi);
  const std::size_t n = s.size();
  Vector h(n);
  for (std::size_t i = 0; i < n; ++i) {
    h[i] = mu + (i == 0 ? sigma * s[0] / root : sigma * s[i] + phi * (h[i - 1] - mu));
  }
  Vector out(n + 4, 0);
  out[0] = cauchy(sigma, 5) + cauchy(mu, 10);
  double ct = 0, by_phi = 0, by_sigma = cauchy_slope(sigma, 5), by_mu = cauchy_slope(mu, 10);
  for (std::size_t i = n; i-- > 0;) {
    const double square = y[i] * y[i] * std::exp(-h[i]);
    out[0] -= (square + h[i] + s[i] * s[i]) / 2;
    ct = (square - 1) / 2 + phi * ct;
    out[1 + i] = -s[i] + ct * sigma / (i == 0 ? root : 1);
    by_sigma += ct * s[i] / (i == 0 ? root : 1);
    by_phi += ct * (i == 0 ? sigma * s[0] * phi / std::pow(root, 3) : h[i - 1] - mu);
    by_mu += ct * (i == 0 ? 1 : 1 - phi);
  }
  out[n + 1] = by_phi;
  out[n + 2] = by_sigma;
  out[n + 3] = by_mu;
  return out;
}

}  // namespace

// Forward derivatives, so that a mistake in reverse cannot be in here, too.
std::vector<double> expected(const Chain& c) {
  double z = c.z, by_a = 0, by_b = 0;
  for (std::int64_t i = 0; i < c.length; ++i) {
    by_a = by_a * c.a + z;
    by_b = by_b * c.a + 1;
    z = z * c.a + c.b;
  }
  return {by_a, by_b};
}

std::vector<double> expected(const Gate& gate) {
  Vector sums(4, 0);
  for (const double x : make_input(gate)) {
    const double s = 1 / (1 + std::exp(-(gate.a * x + gate.b))), t = std::tanh(gate.c * x);
    sums[0] += s * t + std::exp(-x * x);
    sums[1] += s * (1 - s) * t * x;
    sums[2] += s * (1 - s) * t;
    sums[3] += s * (1 - t * t) * x;
  }
  for (double& v : sums) v /= static_cast<double>(gate.n);
  return sums;
}

std::vector<double> expected(const Rows& rows) {
  const RowsData data = make_data(rows);
  const auto columns = static_cast<std::size_t>(rows.columns);
  Vector all;
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows.rows); ++r) {
    Vector y(columns);
    for (std::size_t j = 0; j < columns; ++j) y[j] = std::exp(data.x[r * columns + j]);
    const double sum = total(y);
    double mean = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      y[j] /= sum;
      if (rows.kind == Rows::Kind::softmax) mean += y[j] * data.g[r * columns + j];
    }
    for (std::size_t j = 0; j < columns; ++j) {
      all.push_back(rows.kind == Rows::Kind::softmax ? y[j] * (data.g[r * columns + j] - mean)
                                                     : y[j]);
    }
  }
  return all;
}

std::vector<double> expected(const Function& f) {
  const FunctionData d = make_data(f);
  switch (f.kind) {
    case Function::Kind::matrix:
      return matrix(f, d);
    case Function::Kind::regression:
      return regression(d);
    case Function::Kind::volatility:
      return volatility(d);
    default:
      return simple(f, d.parameters[0]);
  }
}

}  // namespace bench
