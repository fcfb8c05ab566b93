#include "network.hpp"

#include <algorithm>
#include <fmt/format.h>

#include <xtape/autodiff/shown.hpp>

namespace xtape::tools {

nn::TextNetwork kept_network(const std::string& weights, const std::optional<std::string>& net,
                             const nn::TextOptions& options) {
  const io::Safetensors file = io::load_safetensors(weights);
  const auto said = file.metadata.find("network");
  if (!net && said == file.metadata.end()) {
    throw ParseError("--net", weights + " does not say which network it holds: give its text");
  }
  nn::TextNetwork n = nn::parse_network(net ? network_text(*net) : said->second, options);
  if (net && said != file.metadata.end()) {
    const std::string kept = nn::parse_network(said->second, options).text;
    if (kept != n.text) {
      throw ParseError("--net", fmt::format("{} holds another network, {}: leave --net out",
                                            weights, xtape::detail::shown(kept, 60)));
    }
  }
  const auto in_model = [](const io::NamedTensor& t) { return t.name.rfind("model.", 0) == 0; };
  if (std::any_of(file.tensors.begin(), file.tensors.end(), in_model)) {
    io::Checkpoint checkpoint;
    checkpoint.add("model", n.net.state());
    const io::LoadReport r = checkpoint.load(weights, {.strict = false, .convert = true});
    std::string why;
    if (!r.missing.empty()) why += fmt::format("; missing: {}", fmt::join(r.missing, ", "));
    if (!r.mismatched.empty())
      why += fmt::format("; other shapes: {}", fmt::join(r.mismatched, ", "));
    if (!why.empty()) throw DataError(weights, "does not fit the network" + why);
    return n;
  }
  io::load(weights, n.net.state(), {.convert = true});
  return n;
}

void check_fit(const nn::TextNetwork& n, const data::Dataset& d) {
  const std::int64_t inputs = d.inputs.shape()[1], wanted = outputs_of(d);
  if (n.samples.size() != 1) {
    throw ParseError("--net",
                     fmt::format("the network has {} inputs, the data one", n.samples.size()));
  }
  if (n.samples[0].size() != inputs) {
    throw ParseError("--net",
                     fmt::format("the network takes {} numbers, the data has {}: begin with {}",
                                 n.samples[0].size(), inputs, inputs));
  }
  const Shape out = n.net.output_shape(shaped(Tensor::zeros({2, inputs}), n).shape());
  if (out.rank() != 2) {
    throw ParseError("--net", fmt::format("the network's output is {} for two samples: must be a "
                                          "vector for each, end with flatten",
                                          out.str()));
  }
  const bool binary = !is_regression(d) && out[1] == 1 && wanted <= 2;
  if (out[1] == wanted || binary) return;
  throw ParseError(
      "--net", fmt::format("the network has {} outputs, the data {} {}: end with dense:{}", out[1],
                           wanted, is_regression(d) ? "targets" : "classes", wanted));
}

}  // namespace xtape::tools
