#include <benchmark/benchmark.h>

#include "../hand/parallel.hpp"
#include "limit.hpp"

namespace limit {
namespace {

using Floats = std::vector<float>;

// Reads one array.
class Gate : public bench::Task {
 public:
  explicit Gate(const bench::Gate& gate) : x_(bench::make_input(gate)) {}

  void step() override {
    const auto n = static_cast<std::int64_t>(x_.size());
    if (n < 20'000) return part(0, n);
    hand::in_threads(n, [&](std::int64_t begin, std::int64_t end) { part(begin, end); });
  }
  std::vector<double> result() override { return {}; }

 private:
  void part(std::int64_t begin, std::int64_t end) const {
    const float* __restrict x = x_.data();
    float sum = 0;
    for (std::int64_t i = begin; i < end; ++i) sum += x[i];
    benchmark::DoNotOptimize(sum);
  }

  Floats x_;
};

// Reads one or two arrays and writes one.
class Rows : public bench::Task {
 public:
  explicit Rows(const bench::Rows& rows)
      : data_(bench::make_data(rows)), gradient_(data_.x.size()) {}

  void step() override {
    hand::in_threads(static_cast<std::int64_t>(data_.x.size()),
                     [&](std::int64_t begin, std::int64_t end) {
                       data_.g.empty() ? copy(begin, end) : multiply(begin, end);
                     });
    benchmark::ClobberMemory();
  }
  std::vector<double> result() override { return {}; }

 private:
  void copy(std::int64_t begin, std::int64_t end) {
    const float* __restrict x = data_.x.data();
    float* __restrict out = gradient_.data();
    for (std::int64_t i = begin; i < end; ++i) out[i] = 2 * x[i];
  }
  void multiply(std::int64_t begin, std::int64_t end) {
    const float* __restrict x = data_.x.data(), * __restrict g = data_.g.data();
    float* __restrict out = gradient_.data();
    for (std::int64_t i = begin; i < end; ++i) out[i] = g[i] * x[i];
  }

  bench::RowsData data_;
  Floats gradient_;
};

}  // namespace

std::unique_ptr<bench::Task> gate(const bench::Gate& gate) { return std::make_unique<Gate>(gate); }
std::unique_ptr<bench::Task> rows(const bench::Rows& rows) { return std::make_unique<Rows>(rows); }

}  // namespace limit
