#include "report.hpp"

#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <numeric>
#include <unistd.h>

namespace xtape::tools {

std::string confusion_table(const std::vector<std::vector<std::int64_t>>& counts,
                            const std::vector<std::string>& names) {
  std::string out = fmt::format("{:<14} {:>7} {:>7} {:>9}  {}\n", "class", "images", "right",
                                "accuracy", "most often taken for");
  const auto label = [&](std::size_t k) { return k < names.size() ? names[k] : std::to_string(k); };
  for (std::size_t k = 0; k < counts.size(); ++k) {
    const auto& row = counts[k];
    const std::int64_t n = std::accumulate(row.begin(), row.end(), std::int64_t{0});
    std::size_t other = k == 0 ? 1 : 0;
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (j != k && row[j] > row[other]) other = j;
    }
    const double share = n ? static_cast<double>(row[k]) / static_cast<double>(n) : 0;
    out += fmt::format("{:<14} {:>7} {:>7} {:>8.1f}%", label(k), n, row[k], 100 * share);
    if (other < row.size() && row[other] > 0) {
      out += fmt::format("  {} ({})", label(other), row[other]);
    }
    out += '\n';
  }
  return out;
}

std::string curves(const std::vector<fit::History>& restarts) {
  plot::Panel loss{"Training loss", "epoch", "loss", {}};
  const auto& names = restarts.at(0).metric_names;
  const std::string metric = names.empty() ? "accuracy" : names[0];
  plot::Panel judged{"Test " + metric, "epoch", metric, {}};
  for (std::size_t r = 0; r < restarts.size(); ++r) {
    const fit::History& h = restarts[r];
    const std::string name = fmt::format("restart {}", r);
    std::vector<double> numbers;
    for (const fit::Epoch& e : h.epochs) numbers.push_back(static_cast<double>(e.number));
    loss.series.push_back({name, numbers, h.values("loss")});
    const bool has = !h.metric_names.empty();
    judged.series.push_back(
        {name, numbers, has ? h.values(metric) : std::vector<double>(numbers.size(), NAN)});
  }
  return plot::svg({loss, judged});
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void Progress::show(const std::string& what, std::int64_t done, std::int64_t total) {
  constexpr std::int64_t kCells = 30;
  if (!terminal_ || total <= 0) return;
  const std::int64_t percent = 100 * done / total;
  if (percent == last_) return;
  last_ = percent;
  const std::int64_t full = kCells * done / total;
  std::string bar;
  for (std::int64_t i = 0; i < kCells; ++i) bar += i < full ? "█" : "░";
  std::fputs(fmt::format("\r{} {} {:3}%", what, bar, percent).c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
  last_ = -1;
}

}  // namespace xtape::tools
