#include "adapters.hpp"

// The family pool of the corpus, and what slides windows or samples between elements.
namespace xtape::conformance {

void add_pooling(Adapters& a);

namespace {

using List = std::vector<Var>;

PerAxis per_axis(const Call& c, const std::string& name, const PerAxis& otherwise = {}) {
  const auto all = c.integers(name);
  return all.empty() ? otherwise : PerAxis(all.begin(), all.end());
}

// Null keeps an extent.
PerAxis size_of(const Call& c) {
  const auto& json = c.raw("output_size");
  if (!json.is_array()) return json.get<std::int64_t>();
  PerAxis out;
  for (const auto& n : json) out.push_back(n.is_null() ? -1 : n.get<std::int64_t>());
  return out;
}

List with_indices(const Call& c, const std::pair<Var, Var>& both) {
  if (!c.flag("return_indices")) return {both.first};
  return {both.first, both.second};
}

template <auto kCall>
List max_pool(const Call& c) {
  return with_indices(c, kCall(c.operand("input"), per_axis(c, "kernel_size"),
                               MaxPoolOptions{.stride = per_axis(c, "stride"),
                                              .padding = per_axis(c, "padding", 0),
                                              .dilation = per_axis(c, "dilation", 1),
                                              .ceil_mode = c.flag("ceil_mode")}));
}

template <auto kCall>
List avg_pool(const Call& c) {
  AvgPoolOptions o{.stride = per_axis(c, "stride"),
                   .padding = per_axis(c, "padding", 0),
                   .ceil_mode = c.flag("ceil_mode"),
                   .count_include_pad = c.flag("count_include_pad", true)};
  if (c.has("divisor_override")) o.divisor_override = c.number("divisor_override");
  return {kCall(c.operand("input"), per_axis(c, "kernel_size"), o)};
}

template <auto kCall>
List adaptive_avg(const Call& c) {
  return {kCall(c.operand("input"), size_of(c))};
}

template <auto kCall>
List adaptive_max(const Call& c) {
  return with_indices(c, kCall(c.operand("input"), size_of(c)));
}

Interpolation mode_of(const std::string& name) {
  if (name == "nearest") return Interpolation::nearest;
  if (name == "nearest-exact") return Interpolation::nearest_exact;
  if (name == "area") return Interpolation::area;
  return name == "bicubic" ? Interpolation::cubic : Interpolation::linear;
}

List resample(const Call& c) {
  InterpolateOptions o{.size = per_axis(c, "size"),
                       .mode = mode_of(c.text("mode", "nearest")),
                       .align_corners = c.flag("align_corners")};
  if (c.has("scale_factor")) {
    const auto& json = c.raw("scale_factor");
    if (json.is_array()) {
      o.scale_factor = json.get<std::vector<double>>();
    } else {
      o.scale_factor = {json.get<double>()};
    }
  }
  return {interpolate(c.operand("input"), o)};
}

List sample_grid(const Call& c) {
  const std::string padding = c.text("padding_mode", "zeros");
  return {grid_sample(c.operand("input"), c.operand("grid"),
                      {.mode = mode_of(c.text("mode", "bilinear")),
                       .padding = padding == "border"       ? GridPadding::border
                                  : padding == "reflection" ? GridPadding::reflection
                                                            : GridPadding::zeros,
                       .align_corners = c.flag("align_corners")})};
}

List windows(const Call& c) {
  return {unfold(c.operand("input"), per_axis(c, "kernel_size"),
                 {.stride = per_axis(c, "stride", 1),
                  .padding = per_axis(c, "padding", 0),
                  .dilation = per_axis(c, "dilation", 1)})};
}

}  // namespace

void add_pooling(Adapters& a) {
  const std::string nn = "nn.functional.";
  a[nn + "max_pool1d"] = max_pool<max_pool1d_with_indices>;
  a[nn + "max_pool2d"] = max_pool<max_pool2d_with_indices>;
  a[nn + "max_pool3d"] = max_pool<max_pool3d_with_indices>;
  a[nn + "avg_pool1d"] = avg_pool<avg_pool1d>;
  a[nn + "avg_pool2d"] = avg_pool<avg_pool2d>;
  a[nn + "avg_pool3d"] = avg_pool<avg_pool3d>;
  a[nn + "adaptive_avg_pool1d"] = adaptive_avg<adaptive_avg_pool1d>;
  a[nn + "adaptive_avg_pool2d"] = adaptive_avg<adaptive_avg_pool2d>;
  a[nn + "adaptive_avg_pool3d"] = adaptive_avg<adaptive_avg_pool3d>;
  a[nn + "adaptive_max_pool1d"] = adaptive_max<adaptive_max_pool1d_with_indices>;
  a[nn + "adaptive_max_pool2d"] = adaptive_max<adaptive_max_pool2d_with_indices>;
  a[nn + "adaptive_max_pool3d"] = adaptive_max<adaptive_max_pool3d_with_indices>;
  for (const char* mode : {"nearest", "linear", "bilinear", "bicubic"}) {
    a[nn + "interpolate." + mode] = resample;
  }
  a[nn + "grid_sample"] = sample_grid;
  a[nn + "unfold"] = windows;
}

}  // namespace xtape::conformance
