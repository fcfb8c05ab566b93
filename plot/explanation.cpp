#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <vector>

#include <xtape/plot/explanation.hpp>
#include <xtape/plot/svg.hpp>

namespace xtape::plot {
namespace {

using detail::escape;
using detail::number;

constexpr double kColumn = 170, kRow = 44, kMargin = 70, kTop = 64, kRadius = 6, kBend = 0.9 * kRow;
constexpr double kLetter = 6.8, kTitleLetter = 8.6;  // widths, about
constexpr const char *kAdds = "#0072B2", *kTakes = "#D55E00";

// Characters of UTF-8.
double letters(const std::string& s) {
  const auto first = [](char c) { return (c & 0xC0) != 0x80; };
  return static_cast<double>(std::count_if(s.begin(), s.end(), first));
}

struct Place {
  int column = 0;  // steps to the input
  double x = 0, y = 0;
};

class Drawing {
 public:
  Drawing(const Explanation& e, const ExplanationOptions& options) : e_(e) {
    arrows_ = e.dependencies;
    const auto most = static_cast<std::size_t>(std::max(1, options.arrows));
    if (arrows_.size() > most) {
      left_out_ = arrows_.size() - most;
      std::vector<double> strengths;
      for (const Dependency& d : arrows_) strengths.push_back(d.strength);
      std::nth_element(strengths.begin(), strengths.begin() + static_cast<std::ptrdiff_t>(most) - 1,
                       strengths.end(), std::greater<>());
      const double least = strengths[most - 1];
      std::erase_if(arrows_, [&](const Dependency& d) { return d.strength < least; });
    }
    place();
  }

  std::string str() {
    std::ostringstream os;
    os << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width_ << "\" height=\""
       << height_ << "\" viewBox=\"0 0 " << width_ << ' ' << height_
       << "\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n"
       << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
    text(os, width_ / 2, 22, title(),
         "text-anchor=\"middle\" font-size=\"15\" font-weight=\"bold\"");
    text(os, width_ / 2, 40, subtitle(), "text-anchor=\"middle\" fill=\"#555\"");
    // Strong arrows on top.
    std::sort(arrows_.begin(), arrows_.end(),
              [](const Dependency& a, const Dependency& b) { return a.strength < b.strength; });
    for (const Dependency& d : arrows_) arrow(os, d);
    for (const auto& [name, p] : places_) {
      os << "<circle cx=\"" << p.x << "\" cy=\"" << p.y << "\" r=\"" << kRadius
         << "\" fill=\"#333\"/>\n";
      text(os, p.x, p.y - 11, name, "text-anchor=\"middle\"");
    }
    os << "</svg>\n";
    return os.str();
  }

 private:
  static void text(std::ostream& os, double x, double y, const std::string& s,
                   const char* attributes) {
    os << "<text x=\"" << x << "\" y=\"" << y << "\" " << attributes << ">" << escape(s)
       << "</text>\n";
  }

  std::string title() const {
    return "d" + e_.of + "/d" + e_.by + " = " + number(e_.gradient) + ", the sum of " +
           number(e_.count) + (e_.count == 1 ? " path" : " paths");
  }
  std::string subtitle() const {
    return left_out_
               ? "the strongest arrows; " + std::to_string(left_out_) + " weaker ones left out"
               : "thick: much of the gradient passes here; orange: with a negative sign";
  }

  // Whether an arrow passes a column by, where it must not lie on what stands there.
  bool skips(const Dependency& d) const {
    return places_.at(d.of).column - places_.at(d.by).column > 1;
  }

  // Columns by the longest way to the input, rows by the order in which elements appear.
  void place() {
    places_[e_.by];
    places_[e_.of];
    for (std::size_t i = arrows_.size(); i-- > 0;) {  // what depends comes first in the list
      const Dependency& d = arrows_[i];
      const int under = places_[d.by].column;
      Place& p = places_[d.of];
      p.column = std::max(p.column, under + 1);
    }
    std::map<int, std::vector<Place*>> columns;
    for (auto& [name, p] : places_) columns[p.column].push_back(&p);
    std::size_t rows = 1;
    for (const auto& [column, in_it] : columns) rows = std::max(rows, in_it.size());
    double longest = 0;
    for (const auto& [name, p] : places_) longest = std::max(longest, kLetter * letters(name));
    // The number of an arrow stands at a third of it, beside the name.
    const double between = std::max(kColumn, 1.6 * longest);
    const double chart = between * std::max(1, columns.rbegin()->first);
    const double heading =
        std::max(kTitleLetter * letters(title()), kLetter * letters(subtitle())) + 20;
    width_ = std::max(heading, chart + 2 * std::max(kMargin, longest / 2 + 10));
    const double left = (width_ - chart) / 2;
    const bool bent =
        std::any_of(arrows_.begin(), arrows_.end(), [this](const auto& d) { return skips(d); });
    const double top = kTop + (bent ? kBend / 2 : 0);
    height_ = top + static_cast<double>(rows) * kRow + 30;
    for (const auto& [column, in_it] : columns) {
      const double gap = (height_ - top - 20) / static_cast<double>(in_it.size());
      for (std::size_t k = 0; k < in_it.size(); ++k) {
        in_it[k]->x = left + between * column;
        in_it[k]->y = top + gap * (static_cast<double>(k) + 0.5);
      }
    }
  }

  void arrow(std::ostream& os, const Dependency& d) const {
    const Place &from = places_.at(d.by), &to = places_.at(d.of);
    const double share = e_.magnitude > 0 ? d.strength / e_.magnitude : 0;
    const double middle = (from.x + to.x) / 2, up = skips(d) ? kBend : 0;
    os << "<path d=\"M" << from.x << ' ' << from.y << "C" << middle << ' ' << from.y - up << ' '
       << middle << ' ' << to.y - up << ' ' << to.x << ' ' << to.y << "\" fill=\"none\" stroke=\""
       << (d.contribution < 0 ? kTakes : kAdds) << "\" stroke-opacity=\"0.75\" stroke-width=\""
       << number(0.6 + 11 * share) << "\"><title>d" << escape(d.of) << "/d" << escape(d.by) << " = "
       << number(d.slope) << "; paths through it sum to " << number(d.contribution)
       << "</title></path>\n";
    if (arrows_.size() <= 24) {
      // Nearer to where the arrow begins, where those of other elements are apart.
      text(os, from.x + 0.342 * (to.x - from.x), from.y + 0.216 * (to.y - from.y) - 0.63 * up - 6,
           number(d.slope), "text-anchor=\"middle\" font-size=\"10\" fill=\"#555\"");
    }
  }

  const Explanation& e_;
  std::vector<Dependency> arrows_;
  std::size_t left_out_ = 0;
  std::map<std::string, Place> places_;
  double width_ = 0, height_ = 0;
};

}  // namespace

std::string explanation(const Explanation& e, const ExplanationOptions& options) {
  return Drawing(e, options).str();
}

}  // namespace xtape::plot
