#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include <xtape/autodiff/error.hpp>
#include <xtape/plot/chart.hpp>
#include <xtape/plot/svg.hpp>

namespace xtape::plot {
namespace {

using detail::escape;
using detail::number;

constexpr double kWidth = 520, kHeight = 360;
constexpr double kLeft = 74, kRight = 18, kTop = 40, kBottom = 52;
// Okabe and Ito's palette: told apart also by the colour-blind.
constexpr const char* kColors[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                   "#E69F00", "#56B4E9", "#000000"};

// The numbers an axis shows, and how they map to [0, 1].
struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<double> ticks;

  double scale(double v) const {
    return log ? (std::log10(v) - low) / (high - low) : (v - low) / (high - low);
  }
  bool shows(double v) const { return std::isfinite(v) && (!log || v > 0); }
};

// Steps of 1, 2 or 5 times a power of ten; on a logarithmic axis powers of ten.
Axis make_axis(const std::vector<Series>& series, std::vector<double> Series::*values, bool log) {
  Axis a;
  a.log = log;
  double low = INFINITY, high = -INFINITY;
  for (const Series& s : series) {
    for (const double v : s.*values) {
      if (!a.shows(v)) continue;
      low = std::min(low, log ? std::log10(v) : v);
      high = std::max(high, log ? std::log10(v) : v);
    }
  }
  if (low > high) low = 0, high = 1;
  if (high - low < 1e-12 * std::max(1.0, std::abs(high))) low -= 0.5, high += 0.5;
  double step = std::pow(10, std::floor(std::log10((high - low) / 4)));
  while ((high - low) / step > 8) step *= (high - low) / step > 20 ? 5 : 2;
  if (log) step = std::max(1.0, std::ceil((high - low) / 8));
  a.low = std::floor(low / step + 1e-9) * step;
  a.high = std::ceil(high / step - 1e-9) * step;
  if (a.low == a.high) a.high += step;
  for (int i = 0; a.low + i * step <= a.high + step / 2; ++i) {
    const double v = a.low + i * step;
    a.ticks.push_back(log ? std::pow(10, v) : std::abs(v) < step / 1e6 ? 0 : v);
  }
  return a;
}

class PanelWriter {
 public:
  PanelWriter(std::ostream& os, const Panel& p, double offset)
      : os_(os),
        p_(p),
        offset_(offset),
        x_(make_axis(p.series, &Series::x, false)),
        y_(make_axis(p.series, &Series::y, p.log_y)) {}

  void write() {
    frame();
    for (std::size_t i = 0; i < p_.series.size(); ++i) line(i);
    legend();
  }

 private:
  double px(double v) const { return offset_ + kLeft + x_.scale(v) * (kWidth - kLeft - kRight); }
  double py(double v) const { return kHeight - kBottom - y_.scale(v) * (kHeight - kTop - kBottom); }

  void text(double x, double y, const std::string& s, const char* attributes) {
    os_ << "<text x=\"" << x << "\" y=\"" << y << "\" " << attributes << ">" << escape(s)
        << "</text>\n";
  }

  void frame() {
    const double left = offset_ + kLeft, right = offset_ + kWidth - kRight;
    const double middle = (left + right) / 2, bottom = kHeight - kBottom;
    for (const double v : y_.ticks) {
      os_ << "<path d=\"M" << left << ' ' << py(v) << "H" << right << "\" stroke=\"#ddd\"/>\n";
      text(left - 6, py(v) + 4, number(v), "text-anchor=\"end\"");
    }
    for (const double v : x_.ticks) {
      os_ << "<path d=\"M" << px(v) << ' ' << bottom << "v5\" stroke=\"#333\"/>\n";
      text(px(v), bottom + 18, number(v), "text-anchor=\"middle\"");
    }
    os_ << "<path d=\"M" << left << ' ' << kTop << "V" << bottom << "H" << right
        << "\" fill=\"none\" stroke=\"#333\"/>\n";
    text(middle, 22, p_.title, "text-anchor=\"middle\" font-size=\"15\" font-weight=\"bold\"");
    text(middle, kHeight - 12, p_.x_label, "text-anchor=\"middle\"");
    std::ostringstream turn;
    turn << "text-anchor=\"middle\" transform=\"rotate(-90 " << offset_ + 16 << ' '
         << (kTop + bottom) / 2 << ")\"";
    text(offset_ + 16, (kTop + bottom) / 2, p_.y_label, turn.str().c_str());
  }

  void line(std::size_t i) {
    const Series& s = p_.series[i];
    const char* color = kColors[i % std::size(kColors)];
    std::ostringstream path;
    path.precision(6);
    bool pen = false;
    for (std::size_t k = 0; k < s.x.size(); ++k) {
      if (!x_.shows(s.x[k]) || !y_.shows(s.y[k])) {
        pen = false;
        continue;
      }
      path << (pen ? 'L' : 'M') << px(s.x[k]) << ' ' << py(s.y[k]);
      pen = true;
      if (s.x.size() <= 40) {
        os_ << "<circle cx=\"" << px(s.x[k]) << "\" cy=\"" << py(s.y[k]) << "\" r=\"2.5\" fill=\""
            << color << "\"/>\n";
      }
    }
    os_ << "<path d=\"" << path.str() << "\" fill=\"none\" stroke=\"" << color
        << "\" stroke-width=\"1.8\"/>\n";
  }

  // In the corner that the lines leave emptiest: above right where they end low, else below.
  void legend() {
    if (p_.series.size() < 2) return;
    double end = 0;
    int lines = 0;
    for (const Series& s : p_.series) {
      if (s.y.empty() || !y_.shows(s.y.back())) continue;
      end += y_.scale(s.y.back());
      ++lines;
    }
    const double rows = static_cast<double>(p_.series.size());
    const bool top = lines == 0 || end / lines < 0.5;
    double y = top ? kTop + 8 : kHeight - kBottom - 16 * rows - 2;
    const double x = offset_ + kWidth - kRight - 150;
    os_ << "<rect x=\"" << x - 8 << "\" y=\"" << y - 6 << "\" width=\"156\" height=\""
        << 16 * rows + 6 << "\" fill=\"#fff\" fill-opacity=\"0.85\"/>\n";
    for (std::size_t i = 0; i < p_.series.size(); ++i, y += 16) {
      os_ << "<path d=\"M" << x << ' ' << y + 5 << "h18\" stroke=\""
          << kColors[i % std::size(kColors)] << "\" stroke-width=\"3\"/>\n";
      text(x + 24, y + 9, p_.series[i].name, "");
    }
  }

  std::ostream& os_;
  const Panel& p_;
  double offset_;
  Axis x_, y_;
};

}  // namespace

std::string svg(const std::vector<Panel>& panels) {
  std::ostringstream os;
  const double width = kWidth * static_cast<double>(std::max<std::size_t>(panels.size(), 1));
  os << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << kHeight
     << "\" viewBox=\"0 0 " << width << ' ' << kHeight
     << "\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
     << "<rect width=\"" << width << "\" height=\"" << kHeight << "\" fill=\"#fff\"/>\n";
  for (std::size_t i = 0; i < panels.size(); ++i) {
    for (const Series& s : panels[i].series) {
      if (s.x.size() != s.y.size()) {
        throw ValueError("svg", "series '" + s.name + "' has " + std::to_string(s.x.size()) +
                                    " x and " + std::to_string(s.y.size()) + " y");
      }
    }
    PanelWriter(os, panels[i], kWidth * static_cast<double>(i)).write();
  }
  os << "</svg>\n";
  return os.str();
}

void save(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp" + std::to_string(::getpid());
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  if (!file) {
    std::filesystem::remove(temporary, error);
    throw DataError(path, "cannot be written");
  }
  std::filesystem::rename(temporary, path, error);
  if (error) {
    const std::string why = error.message();
    std::filesystem::remove(temporary, error);
    throw DataError(path, "cannot be written: " + why);
  }
}

}  // namespace xtape::plot
