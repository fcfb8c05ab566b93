#include "nets.hpp"

#include <filesystem>

#include <xtape/autodiff/error.hpp>

#include "safetensors.hpp"

namespace xtape::conformance {
namespace {

using nlohmann::json;

// What enters and what comes out; "grad" belongs to the gradients, "ct" to the cotangents.
bool enters(const std::string& group) {
  return group == "param" || group == "input" || group == "v" || group == "buffers_before";
}
bool differentiated(const std::string& group) { return group == "param" || group == "input"; }

// A network as one sample: floating parameters and inputs that have a gradient are differentiated.
Sample sample_of(const Item& item, std::vector<std::string>& names) {
  Sample s;
  s.id = item.manifest.at("name");
  const json& groups = item.manifest.at("tensors");
  const json none = json::object();
  const json& grads = groups.contains("grad") ? groups["grad"] : none;
  const json& cts = groups.contains("ct") ? groups["ct"] : none;
  for (const auto& [group, list] : groups.items()) {
    for (const auto& [name, key] : list.items()) {
      const Tensor& t = item.tensor(key);
      if (enters(group)) {
        const std::string argument = differentiated(group) ? name : group + "/" + name;
        s.params[argument] = {{"$t", s.inputs.size()}};
        if (differentiated(group) && is_floating(t.dtype())) {
          s.differentiable.push_back(s.inputs.size());
        }
        if (differentiated(group) && grads.contains(name)) {
          s.gradients.push_back({s.inputs.size(), item.tensor(grads[name])});
        }
        s.inputs.push_back(t);
      } else if (group != "grad" && group != "ct") {
        if (group == "loss") s.cotangents.push_back({s.outputs.size(), Tensor::ones({}, f64)});
        if (group == "output" && cts.contains(name)) {
          s.cotangents.push_back({s.outputs.size(), item.tensor(cts[name])});
        }
        s.outputs.push_back(t);
        names.push_back(group + "/" + name);
      }
    }
  }
  for (const char* course : {"adam_loss", "sgd_loss"}) {
    if (!item.manifest.contains(course)) continue;
    s.outputs.push_back(Tensor::from(item.manifest[course].get<std::vector<double>>()));
    names.push_back(course);
  }
  s.f32_values.assign(s.outputs.size(), 0);
  s.f32_gradients.assign(s.gradients.size(), 0);
  return s;
}

Row row_of(const std::string& name, std::vector<Failure> failures) {
  Row row{"nets", name, "nets", 1, failures.empty(), !failures.empty(), 0, {}, {}};
  if (!failures.empty()) row.failures.push_back({name, {}, std::move(failures)});
  return row;
}

Row run_net(const Item& item, const Nets& nets, const ModuleNets& modules, const Modes& modes,
            ExceptionTable& table) {
  const std::string name = item.manifest.at("name");
  if (name == "mazur_2_2_2") return row_of(name, check_mazur(item));
  if (name == "fmnist_mlp") {
    if (std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
      return row_of(name, check_fashion_mnist(item));
    }
    return {"nets", name + " (no data)", "nets", 1, 0, 0, 1, {}, {}};
  }
  const auto it = nets.find(name);
  std::vector<std::string> names;
  const Sample sample = sample_of(item, names);
  if (const auto module = modules.find(name); module != modules.end()) {
    const Evaluator evaluator = [&](const Sample& s, DType dtype, bool program, bool) {
      return evaluate_module(module->second, s, names, dtype, program);
    };
    Row row = run_op({name, "nets", ""}, {sample}, evaluator, modes, table);
    row.section = "nets";
    return row;
  }
  Adapter adapter;
  if (it != nets.end()) {
    adapter = [&](const Call& c) {
      const std::map<std::string, Var> results = it->second(c);
      std::vector<Var> out;
      for (const std::string& n : names) out.push_back(results.at(n));
      return out;
    };
  }
  Row row = run_op({name, "nets", ""}, {sample}, adapter ? &adapter : nullptr, modes, table);
  row.section = "nets";
  return row;
}

}  // namespace

std::vector<Row> run_nets(const std::string& folder, const Modes& modes, ExceptionTable& table) {
  Nets nets;
  add_dense(nets);
  ModuleNets modules;
  add_modules(modules);
  std::vector<Row> rows;
  const json index = json::parse(read_file(folder + "/INDEX.json"));
  for (const json& path : index.at("nets")) {
    const Item item = read_item(folder + "/" + path.get<std::string>());
    rows.push_back(run_net(item, nets, modules, modes, table));
  }
  return rows;
}

}  // namespace xtape::conformance
