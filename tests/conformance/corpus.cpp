#include "corpus.hpp"

#include <algorithm>
#include <filesystem>

#include <xtape/autodiff/error.hpp>

#include "safetensors.hpp"

namespace xtape::conformance {
namespace {

using nlohmann::json;

// Python's writer of JSON says Infinity and NaN where there is no number: null here.
std::string without_infinities(const std::string& text) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      out += text[i++];
      if (i == text.size()) break;
    } else if (text[i] == '"') {
      quoted = !quoted;
    }
    std::size_t skip = 0;
    for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (!quoted && skip == 0 && text.compare(i, word.size(), word) == 0) skip = word.size();
    }
    if (skip == 0) {
      out += text[i];
    } else {
      out += "null";
      i += skip - 1;
    }
  }
  return out;
}

json read_json(const std::string& path) {
  json v = json::parse(without_infinities(read_file(path)), nullptr, false);
  if (v.is_discarded()) throw DataError("conformance", path + " is no JSON");
  return v;
}

Slot slot(const Item& item, const json& entry, const char* place) {
  return {entry.at(place).get<std::size_t>(), item.tensor(entry.at("key"))};
}

void read_coordinates(const json& fd, Sample& s) {
  if (!fd.is_object() || !fd.contains("exceptions")) return;
  for (const auto& [kind, list] : fd["exceptions"].items()) {
    for (const json& c : list) {
      s.coordinates[kind][c.at(0).get<std::size_t>()].push_back(c.at(1).get<std::int64_t>());
    }
  }
}

void read_second(const Item& item, const json& v, Sample& s) {
  if (!v.contains("w")) return;  // not known to the peer
  s.has_second = true;
  for (const json& w : v["w"]) s.second.weights.push_back(slot(item, w, "input"));
  for (const json& d : v["dx"]) s.second.dx.push_back(slot(item, d, "input"));
  for (const json& d : v["dct"]) s.second.dct.push_back(slot(item, d, "output"));
  if (v.contains("fd")) read_coordinates(v["fd"], s);
}

std::vector<double> errors(const json& check, const char* what, std::size_t n) {
  std::vector<double> out(n, -1);
  const auto it = check.find("f32_abs_err");
  if (it == check.end() || !it->is_object()) return out;
  const json& list = it->at(what);
  for (std::size_t i = 0; i < std::min(n, list.size()); ++i) {
    if (list[i].is_number()) out[i] = list[i].get<double>();
  }
  return out;
}

void read_tensors(const Item& item, const json& v, Sample& s) {
  s.symmetric = item.manifest.value("grad_convention", "") == "sym";
  for (const json& in : v.at("inputs")) {
    if (in.at("diff").get<bool>()) s.differentiable.push_back(s.inputs.size());
    s.inputs.push_back(item.tensor(in.at("key")));
  }
  for (const json& out : v.at("outputs")) {
    if (out.contains("ct")) s.cotangents.push_back({s.outputs.size(), item.tensor(out["ct"])});
    s.outputs.push_back(item.tensor(out.at("key")));
  }
  for (const json& g : v.at("grads")) s.gradients.push_back(slot(item, g, "input"));
  const json& check = v.at("check");
  s.f32_values = errors(check, "out", s.outputs.size());
  s.f32_gradients = errors(check, "grad", s.gradients.size());
  if (v.contains("mutated")) {
    for (const json& m : v["mutated"]) s.outputs.push_back(item.tensor(m.at("key")));
    s.f32_values.resize(s.outputs.size(), 0);
  }
  s.values_informative = s.tagged("nonfinite-input") && check.contains("numpy_ref") &&
                         check["numpy_ref"].is_boolean() && !check["numpy_ref"].get<bool>();
  if (check.contains("fd")) read_coordinates(check["fd"], s);
  if (v.contains("second")) read_second(item, v["second"], s);
}

Sample read_sample(const Item& item, const json& v) {
  Sample s;
  s.id = v.at("id");
  s.tags = v.at("tags").get<std::vector<std::string>>();
  s.params = v.at("params");
  try {
    read_tensors(item, v, s);
  } catch (const ShapeError& e) {
    s.unreadable = e.what();
  }
  return s;
}

}  // namespace

const Tensor& Item::tensor(const std::string& key) const {
  const auto it = tensors.find(key);
  if (it == tensors.end()) throw DataError("conformance", "there is no tensor " + key);
  if (!it->second.defined()) throw ShapeError("conformance", key + " has too many axes for xtape");
  return it->second;
}

Item read_item(const std::string& folder) {
  Item item{read_json(folder + "/manifest.json"), {}};
  const std::string data = folder + "/data.safetensors";
  if (std::filesystem::exists(data)) item.tensors = read_safetensors(data);
  return item;
}

bool Sample::tagged(const std::string& prefix) const {
  return std::any_of(tags.begin(), tags.end(),
                     [&](const std::string& t) { return t.rfind(prefix, 0) == 0; });
}

std::vector<OpSamples> read_index(const std::string& folder) {
  const json index = read_json(folder + "/INDEX.json");
  std::vector<OpSamples> out;
  for (const auto& [name, v] : index.at("ops").items()) {
    out.push_back({name, v.at("family"), folder + "/" + v.at("dir").get<std::string>()});
  }
  return out;
}

std::vector<Sample> read_samples(const std::string& folder) {
  const Item item = read_item(folder);
  std::vector<Sample> out;
  for (const json& v : item.manifest.at("samples")) out.push_back(read_sample(item, v));
  return out;
}

}  // namespace xtape::conformance
