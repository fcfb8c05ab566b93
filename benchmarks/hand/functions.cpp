#include <algorithm>
#include <cblas.h>
#include <cmath>

#include "hand.hpp"

// Hand-derived gradients: what the derivative costs someone who has worked it out.
namespace hand {
namespace {

using Kind = bench::Function::Kind;

class Function : public bench::Task {
 public:
  explicit Function(const bench::Function& f)
      : f_(f), data_(bench::make_data(f)), scratch_(static_cast<std::size_t>(f.n)) {
    for (const auto& p : data_.parameters) gradient_.emplace_back(p.size());
  }

  void step() override {
    switch (f_.kind) {
      case Kind::sum:
        return sum();
      case Kind::product:
        return product();
      case Kind::logsumexp:
        return logsumexp();
      case Kind::matrix:
        return matrix();
      case Kind::normal:
        return normal();
      case Kind::regression:
        return regression();
      case Kind::volatility:
        return volatility();
    }
  }

  std::vector<double> result() override { return bench::flat(value_, gradient_); }

 private:
  const double* x() const { return data_.parameters[0].data(); }
  double* g() { return gradient_[0].data(); }
  std::size_t n() const { return data_.parameters[0].size(); }
  double scalar(std::size_t i) const { return data_.parameters[i][0]; }

  void sum() {
    const double* __restrict x = this->x();
    double* __restrict g = this->g();
    double total = 0;
    for (std::size_t i = 0; i < n(); ++i) {
      total += x[i];
      g[i] = 1;
    }
    value_ = total;
  }

  void product() {
    const double* __restrict x = this->x();
    double* __restrict g = this->g();
    double all = 1;
    for (std::size_t i = 0; i < n(); ++i) all *= x[i];
    for (std::size_t i = 0; i < n(); ++i) g[i] = all / x[i];
    value_ = all;
  }

  void logsumexp() {
    const double* __restrict x = this->x();
    double* __restrict g = this->g();
    double largest = x[0], total = 0;
    for (std::size_t i = 1; i < n(); ++i) largest = std::max(largest, x[i]);
    for (std::size_t i = 0; i < n(); ++i) total += g[i] = std::exp(x[i] - largest);
    const double factor = 1 / total;
    for (std::size_t i = 0; i < n(); ++i) g[i] *= factor;
    value_ = largest + std::log(total);
  }

  // The value by the product that defines it; the gradient is sums of rows of B and columns of A.
  void matrix() {
    const auto side = static_cast<std::size_t>(f_.side());
    scratch_.resize(side * side);
    const double* __restrict a = x(), * __restrict b = data_.parameters[1].data();
    double* __restrict by_a = g(), * __restrict by_b = gradient_[1].data();
    double* __restrict sums = scratch_.data();
    const auto extent = static_cast<int>(side);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, extent, extent, extent, 1, a, extent, b,
                extent, 0, sums, extent);
    double total = 0;
    for (std::size_t i = 0; i < side * side; ++i) total += sums[i];
    value_ = total;
    for (std::size_t k = 0; k < side; ++k) {
      double s = 0;
      for (std::size_t j = 0; j < side; ++j) s += b[k * side + j];
      by_a[k] = s;
    }
    for (std::size_t i = 1; i < side; ++i) std::copy_n(by_a, side, by_a + i * side);
    std::fill_n(sums, side, 0.0);
    for (std::size_t i = 0; i < side; ++i) {
      for (std::size_t k = 0; k < side; ++k) sums[k] += a[i * side + k];
    }
    for (std::size_t k = 0; k < side; ++k) std::fill_n(by_b + k * side, side, sums[k]);
  }

  void normal() {
    const double* __restrict x = this->x();
    double* __restrict g = this->g();
    constexpr double kFactor = -1 / (bench::Function::kDeviation * bench::Function::kDeviation);
    double squares = 0;
    for (std::size_t i = 0; i < n(); ++i) {
      const double d = x[i] - bench::Function::kMean;
      squares += d * d;
      g[i] = kFactor * d;
    }
    value_ =
        kFactor / 2 * squares - static_cast<double>(n()) * std::log(bench::Function::kDeviation);
  }

  // X is read once: a row is still in the cache when its residual is known.
  void regression() {
    const double* __restrict w = x();
    double* __restrict by_w = g();
    const double b = scalar(1), deviation = scalar(2), weight = 1 / (deviation * deviation);
    double squares = 0, residuals = 0, prior = 0;
    for (std::size_t i = 0; i < n(); ++i) {
      prior += w[i] * w[i];
      by_w[i] = -w[i];
    }
    for (std::size_t s = 0; s < data_.y.size(); ++s) {
      const double* __restrict row = &data_.x[s * n()];
      double dot = 0;
      for (std::size_t i = 0; i < n(); ++i) dot += row[i] * w[i];
      const double z = data_.y[s] - b - dot;
      squares += z * z;
      residuals += z;
      for (std::size_t i = 0; i < n(); ++i) by_w[i] += weight * z * row[i];
    }
    const auto samples = static_cast<double>(data_.y.size());
    value_ = -(weight * squares + prior + b * b) / 2 - samples * std::log(deviation);
    gradient_[1][0] = weight * residuals - b;
    gradient_[2][0] = (weight * squares - samples) / deviation;
  }

  static double cauchy(double x, double scale) { return -std::log(scale + x * x / scale); }
  static double cauchy_slope(double x, double scale) { return -2 * x / (scale * scale + x * x); }

  // The recurrences run alone, so that the loop over exp is SIMD code.
  void volatility() {
    const double* __restrict s = x();
    const double* __restrict y = data_.y.data();
    double* __restrict by_s = g(), * __restrict d = scratch_.data();
    const double phi = scalar(1), sigma = scalar(2), mu = scalar(3);
    const double root = std::sqrt(1 - phi * phi);
    d[0] = sigma * s[0] / root;
    for (std::size_t i = 1; i < n(); ++i) d[i] = sigma * s[i] + phi * d[i - 1];
    double total = 0;
    for (std::size_t i = 0; i < n(); ++i) {
      const double square = y[i] * y[i] * std::exp(-(d[i] + mu));
      total += square + d[i] + mu + s[i] * s[i];
      by_s[i] = (square - 1) / 2;
    }
    double ct = 0, cts = 0, by_phi = 0, by_sigma = 0;
    for (std::size_t i = n(); i-- > 1;) {
      ct = by_s[i] + phi * ct;
      by_s[i] = sigma * ct - s[i];
      cts += ct;
      by_sigma += ct * s[i];
      by_phi += ct * d[i - 1];
    }
    ct = by_s[0] + phi * ct;
    by_s[0] = sigma / root * ct - s[0];
    value_ = -total / 2 + cauchy(sigma, 5) + cauchy(mu, 10);
    gradient_[1][0] = by_phi + ct * sigma * s[0] * phi / (root * root * root);
    gradient_[2][0] = by_sigma + ct * s[0] / root + cauchy_slope(sigma, 5);
    gradient_[3][0] = ct + (1 - phi) * cts + cauchy_slope(mu, 10);
  }

  bench::Function f_;
  bench::FunctionData data_;
  std::vector<double> scratch_;
  std::vector<std::vector<double>> gradient_;
  double value_ = 0;
};

}  // namespace

std::unique_ptr<bench::Task> function(const bench::Function& f) {
  return std::make_unique<Function>(f);
}

}  // namespace hand
