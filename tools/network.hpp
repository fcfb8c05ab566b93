#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include <xtape/xtape.hpp>

// A network, a loss and labels, fitted to each other: shared by the commands.
namespace xtape::tools {

/// The text that `--net` means: that of the file of this name, where there is one.
inline std::string network_text(const std::string& net) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(net, none)) return net;
  std::ifstream file(net);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) throw DataError(net, "cannot be read");
  return text;
}

/// The network of a file of `train --save`, or of a checkpoint (which holds it under "model."),
/// with its weights, converted to the dtype of the options; `net` says what it is where the file
/// does not. @throws ParseError, DataError.
nn::TextNetwork kept_network(const std::string& weights, const std::optional<std::string>& net,
                             const nn::TextOptions& options);

/// Samples of data, vectors, in the shape that the network takes.
inline Tensor shaped(const Tensor& x, const nn::TextNetwork& n) {
  Shape s{x.shape()[0]};
  for (const std::int64_t extent : n.samples.at(0)) s.push_back(extent);
  return x.reshape(s);
}

/// Whether the examples are of no class, but have numbers to answer.
inline bool is_regression(const data::Dataset& d) { return d.classes == 0; }
/// How many outputs a network for these examples has: classes, or targets.
inline std::int64_t outputs_of(const data::Dataset& d) {
  return is_regression(d) ? d.labels.shape()[1] : d.classes;
}

/// Refuses a network that does not fit the data before anything is trained.
void check_fit(const nn::TextNetwork& n, const data::Dataset& d);

}  // namespace xtape::tools
