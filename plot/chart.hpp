#pragma once

#include <string>
#include <vector>

// Pictures without dependencies: line charts as SVG.
namespace xtape::plot {

/// One line of a chart: y[i] over x[i]. Points that are not finite interrupt it.
struct Series {
  /// For the legend.
  std::string name;
  std::vector<double> x;  ///< Where the points are.
  std::vector<double> y;  ///< Their heights, as many as x.
};

/// One pair of axes. A logarithmic axis leaves out what is not positive.
struct Panel {
  std::string title;    ///< Above the axes.
  std::string x_label;  ///< Below them.
  std::string y_label;  ///< At their left.
  /// The lines, drawn in this order.
  std::vector<Series> series;
  /// Powers of ten on the y axis.
  bool log_y = false;
};

/// The panels side by side, as a complete SVG document.
/// @throws ValueError when x and y of a series differ in length.
std::string svg(const std::vector<Panel>& panels);

/// Writes `text` to `path` so that a reader sees the whole of it or nothing: to a temporary file in
/// the same folder, which is then renamed. @throws DataError saying what could not be written.
void save(const std::string& path, const std::string& text);

}  // namespace xtape::plot
