#include <array>
#include <cmath>

#include "hand.hpp"
#include "parallel.hpp"

// One pass over memory, with everything in registers or in the nearest cache.
namespace hand {
namespace {

using Floats = std::vector<float>;
using Sums = std::array<double, 4>;  // value, by a, by b, by c

class Gate : public bench::Task {
 public:
  explicit Gate(const bench::Gate& gate)
      : n_(gate.n),
        a_(static_cast<float>(gate.a)),
        b_(static_cast<float>(gate.b)),
        c_(static_cast<float>(gate.c)),
        x_(bench::make_input(gate)) {}

  void step() override {
    Sums sums{};
    if (n_ < kWorthThreads) {
      sums = block_sums(0, n_);
    } else {
      in_threads(n_, [&](std::int64_t begin, std::int64_t end) {
        const Sums part = block_sums(begin, end);
#pragma omp critical
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += part[i];
      });
    }
    for (double& s : sums) s /= static_cast<double>(n_);
    sums_ = sums;
  }

  std::vector<double> result() override { return {sums_.begin(), sums_.end()}; }

 private:
  static constexpr std::int64_t kBlock = 4096, kWorthThreads = 20'000;

  // Floats are exact enough within a block.
  Sums block_sums(std::int64_t begin, std::int64_t end) const {
    Sums total{};
    for (; begin < end; begin += kBlock) {
      const Sums part = sums(begin, std::min(end, begin + kBlock));
      for (std::size_t i = 0; i < part.size(); ++i) total[i] += part[i];
    }
    return total;
  }

  Sums sums(std::int64_t begin, std::int64_t end) const {
    const float* __restrict data = x_.data();
    float value = 0, by_a = 0, by_b = 0, by_c = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const float x = data[i];
      const float s = 1 / (1 + std::exp(-(a_ * x + b_))), t = std::tanh(c_ * x);
      const float d = s * (1 - s) * t;
      value += s * t + std::exp(-x * x);
      by_a += d * x;
      by_b += d;
      by_c += s * (1 - t * t) * x;
    }
    return {value, by_a, by_b, by_c};
  }

  std::int64_t n_;
  float a_, b_, c_;
  Floats x_;
  Sums sums_{};
};

class Rows : public bench::Task {
 public:
  explicit Rows(const bench::Rows& rows)
      : rows_(rows), data_(bench::make_data(rows)), gradient_(data_.x.size()) {}

  void step() override {
    std::array<double, 64> parts{};
    in_threads(rows_.rows, [&](std::int64_t begin, std::int64_t end) {
      double total = 0;
      for (std::int64_t r = begin; r < end; ++r) {
        total += rows_.kind == bench::Rows::Kind::softmax ? softmax(r) : logsumexp(r);
      }
      parts[static_cast<std::size_t>(omp_get_thread_num())] = total;
    });
    value_ = 0;
    for (const double p : parts) value_ += p;
  }

  std::vector<double> result() override { return {gradient_.begin(), gradient_.end()}; }

 private:
  struct Exponentials {
    float largest, sum;
  };

  Exponentials exponentials(const float* __restrict x, float* __restrict y) const {
    float largest = x[0], sum = 0;
    for (std::int64_t i = 1; i < rows_.columns; ++i) largest = std::max(largest, x[i]);
    for (std::int64_t i = 0; i < rows_.columns; ++i) sum += y[i] = std::exp(x[i] - largest);
    return {largest, sum};
  }

  double logsumexp(std::int64_t r) {
    float* __restrict y = &gradient_[static_cast<std::size_t>(r * rows_.columns)];
    const auto [largest, sum] =
        exponentials(&data_.x[static_cast<std::size_t>(r * rows_.columns)], y);
    const float factor = 1 / sum;
    for (std::int64_t i = 0; i < rows_.columns; ++i) y[i] *= factor;
    return largest + std::log(sum);
  }

  double softmax(std::int64_t r) {
    const auto first = static_cast<std::size_t>(r * rows_.columns);
    float* __restrict y = &gradient_[first];
    const float* __restrict g = &data_.g[first];
    const auto [largest, sum] = exponentials(&data_.x[first], y);
    float dot = 0;
    for (std::int64_t i = 0; i < rows_.columns; ++i) dot += y[i] * g[i];
    const float factor = 1 / sum, mean = dot * factor;
    for (std::int64_t i = 0; i < rows_.columns; ++i) y[i] *= factor * (g[i] - mean);
    return mean;
  }

  bench::Rows rows_;
  bench::RowsData data_;
  Floats gradient_;
  double value_ = 0;
};

}  // namespace

std::unique_ptr<bench::Task> gate(const bench::Gate& gate) { return std::make_unique<Gate>(gate); }
std::unique_ptr<bench::Task> rows(const bench::Rows& rows) { return std::make_unique<Rows>(rows); }

}  // namespace hand
