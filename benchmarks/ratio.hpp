#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

// For programs that print what one piece of work costs in units of another.
namespace bench {

using Work = std::function<void()>;

/// Seconds that one of `times` runs takes.
inline double seconds(const Work& work, int times) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / times;
}

/// How often `work` fits into about five milliseconds; runs it three times.
inline int repeats(const Work& work) {
  work();
  return std::max(1, static_cast<int>(5e-3 / seconds(work, 2)));
}

/// The element below which `share` of them lie.
inline double quantile(std::vector<double> v, double share) {
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(share * static_cast<double>(v.size() - 1))];
}

/// What several pieces of work take, round by round: in each round they take turns.
class Rounds {
 public:
  Rounds(int rounds, const std::vector<Work>& works) : times_(works.size()) {
    std::vector<int> n;
    for (const Work& w : works) n.push_back(repeats(w));
    for (int r = 0; r < rounds; ++r) {
      for (std::size_t k = 0; k < works.size(); ++k) {
        times_[k].push_back(seconds(works[k], n[k]));
      }
    }
  }
  /// Median time of work k in microseconds.
  double microseconds(std::size_t k) const { return 1e6 * quantile(times_[k], 0.5); }
  /// Quantile of the ratios, within a round, of work k to work `unit`.
  double ratio(std::size_t k, std::size_t unit, double share = 0.5) const {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < times_[k].size(); ++r) {
      ratios.push_back(times_[k][r] / times_[unit][r]);
    }
    return quantile(std::move(ratios), share);
  }

 private:
  std::vector<std::vector<double>> times_;
};

}  // namespace bench
