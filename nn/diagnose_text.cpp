#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <xtape/nn/diagnose.hpp>

// A diagnosis for people and for programs.
namespace xtape::nn {
namespace {

using nlohmann::ordered_json;

std::string cell(double v, bool share = false) {
  if (!std::isfinite(v)) return "-";
  char text[32];
  if (share) {
    std::snprintf(text, sizeof text, "%.1f %%", 100 * v);
  } else {
    std::snprintf(text, sizeof text, "%.3g", v);
  }
  return text;
}
std::string cell(const Statistics& s, double (Statistics::*f)() const) {
  return s.count > s.nonfinite ? cell((s.*f)()) : "-";
}
std::string bad(const Statistics& a, const Statistics& b) {
  const std::int64_t n = a.nonfinite + b.nonfinite;
  return n ? std::to_string(n) : "";
}

// Columns as the terminal counts them: bytes that continue a character take no place.
std::size_t width_of(const std::string& s) {
  return static_cast<std::size_t>(
      std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The first `left` columns are texts, the others numbers.
std::string table(const std::vector<std::vector<std::string>>& rows, std::size_t left) {
  std::vector<std::size_t> width(rows[0].size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], width_of(row[i]));
  }
  std::string s;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(width[i] - width_of(row[i]), ' ');
      line += (i ? "  " : "") + (i < left ? row[i] + gap : gap + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    s += line + "\n";
  }
  return s;
}

ordered_json json_of(const Statistics& s) {
  if (s.count == s.nonfinite) return {{"count", s.count}, {"nonfinite", s.nonfinite}};
  return {{"count", s.count},     {"nonfinite", s.nonfinite}, {"mean", s.mean()},
          {"stddev", s.stddev()}, {"rms", s.rms()},           {"norm", s.norm()}};
}

}  // namespace

std::string Diagnosis::str() const {
  using S = Statistics;
  std::vector<std::vector<std::string>> rows{{"layer", "", "output mean", "std", "ratio",
                                              "gradient mean", "std", "rms", "ratio", "dead",
                                              "saturated", "not finite"}};
  for (const LayerHealth& l : layers) {
    rows.push_back({l.path, l.kind, cell(l.output, &S::mean), cell(l.output, &S::stddev),
                    cell(l.output_ratio), cell(l.gradient, &S::mean), cell(l.gradient, &S::stddev),
                    cell(l.gradient, &S::rms), cell(l.gradient_ratio), cell(l.dead, true),
                    cell(l.saturated, true), bad(l.output, l.gradient)});
  }
  std::string s = loss ? "loss " + std::to_string(*loss) + "\n" : "";
  s += table(rows, 2);
  rows = {{"parameter", "norm", "mean", "std", "gradient norm", "mean", "std", "update/weight",
           "equal rows", "not finite"}};
  for (const ParameterHealth& p : parameters) {
    rows.push_back({p.path, cell(p.value, &S::norm), cell(p.value, &S::mean),
                    cell(p.value, &S::stddev), cell(p.gradient, &S::norm),
                    cell(p.gradient, &S::mean), cell(p.gradient, &S::stddev), cell(p.update),
                    p.rows ? std::to_string(p.equal_rows) : "-", bad(p.value, p.gradient)});
  }
  s += "\n" + table(rows, 1) + "\n";
  if (!unseen.empty()) s += unseen + "\n";
  if (unseen.empty() && findings.empty()) s += "no findings\n";
  for (const Finding& f : findings) s += std::string(name_of(f.kind)) + ": " + f.sentence + "\n";
  return s;
}

std::string Diagnosis::json() const {
  ordered_json j{{"loss", loss ? ordered_json(*loss) : ordered_json()},
                 {"layers", ordered_json::array()},
                 {"parameters", ordered_json::array()},
                 {"findings", ordered_json::array()},
                 {"unseen", unseen.empty() ? ordered_json() : ordered_json(unseen)}};
  for (const LayerHealth& l : layers) {
    j["layers"].push_back({{"path", l.path},
                           {"kind", l.kind},
                           {"output", json_of(l.output)},
                           {"output_ratio", l.output_ratio},
                           {"gradient", json_of(l.gradient)},
                           {"gradient_ratio", l.gradient_ratio},
                           {"samples", l.samples},
                           {"dead", l.dead},
                           {"saturated", l.saturated}});
  }
  for (const ParameterHealth& p : parameters) {
    j["parameters"].push_back({{"path", p.path},
                               {"value", json_of(p.value)},
                               {"gradient", json_of(p.gradient)},
                               {"update", p.update},
                               {"rows", p.rows},
                               {"equal_rows", p.equal_rows}});
  }
  for (const Finding& f : findings) {
    j["findings"].push_back({{"kind", name_of(f.kind)},
                             {"path", f.path},
                             {"value", f.value},
                             {"sentence", f.sentence}});
  }
  return j.dump(2) + "\n";
}

}  // namespace xtape::nn
