#include "network.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace xtape::tools {
nn::TextNetwork kept_network(const std::string& weights, const std::optional<std::string>& net,
                             const nn::TextOptions& options) {
  const io::Safetensors file = io::load_safetensors(weights);
  const auto said = file.metadata.find("network");
  if (!net && said == file.metadata.end()) {
    throw ParseError("--net", weights + " does not say which network it holds: give its text");
  }
  nn::TextNetwork n = nn::parse_network(net ? network_text(*net) : said->second, options);
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

}  // namespace xtape::tools
