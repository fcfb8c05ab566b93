#include <xtape/plot/chart.hpp>
#include <xtape/plot/diagnosis.hpp>

namespace xtape::plot {

std::string diagnosis(const std::vector<LayerNumbers>& layers) {
  Series output{"outputs", {}, {}}, gradient{"gradients", {}, {}};
  Series dead{"dead", {}, {}}, saturated{"saturated", {}, {}};
  const auto note = [](Series& s, std::size_t i, double y) {
    s.x.push_back(static_cast<double>(i));
    s.y.push_back(y);
  };
  for (std::size_t i = 0; i < layers.size(); ++i) {
    note(output, i, layers[i].output);
    note(gradient, i, layers[i].gradient);
    // Layers between have no such units: the line goes on.
    if (layers[i].dead >= 0) note(dead, i, layers[i].dead);
    if (layers[i].saturated >= 0) note(saturated, i, layers[i].saturated);
  }
  std::vector<Panel> panels{{"Outputs", "layer", "rms of the output", {output}, true},
                            {"Gradients", "layer", "rms of the gradient", {gradient}, true}};
  Panel units{"Units without a gradient", "layer", "share", {}, false};
  for (Series* s : {&dead, &saturated}) {
    if (!s->x.empty()) units.series.push_back(std::move(*s));
  }
  if (units.series.size() == 1) units.title = "Share of units: " + units.series[0].name;
  if (!units.series.empty()) panels.push_back(std::move(units));
  return svg(panels);
}

}  // namespace xtape::plot
