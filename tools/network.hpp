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

/// The network of a file of `train --save`, or of a checkpoint (which holds it under "model.", and
/// does not say what it is: `net` does), with its weights, converted to the dtype of the options.
/// @throws ParseError, DataError.
nn::TextNetwork kept_network(const std::string& weights, const std::optional<std::string>& net,
                             const nn::TextOptions& options);

/// Samples of data, vectors, in the shape that the network takes.
inline Tensor shaped(const Tensor& x, const nn::TextNetwork& n) {
  Shape s{x.shape()[0]};
  for (const std::int64_t extent : n.samples.at(0)) s.push_back(extent);
  return x.reshape(s);
}

/// Refuses a network that does not fit the data before anything is trained.
inline void check_fit(const nn::TextNetwork& n, std::int64_t inputs, std::int64_t classes) {
  if (n.samples.size() != 1) {
    throw ParseError(
        "--net", "the network has " + std::to_string(n.samples.size()) + " inputs, the data one");
  }
  if (n.samples[0].size() != inputs) {
    throw ParseError("--net", "the network takes " + std::to_string(n.samples[0].size()) +
                                  " numbers, the data has " + std::to_string(inputs) +
                                  ": begin with " + std::to_string(inputs));
  }
  const Shape out = n.net.output_shape(shaped(Tensor::zeros({2, inputs}), n).shape());
  if (out.rank() != 2) {
    throw ParseError("--net", "the network's output is " + out.str() +
                                  " for two samples: must be a vector for each, end with flatten");
  }
  const std::int64_t outputs = out[1];
  if (outputs == classes || (outputs == 1 && classes <= 2)) return;
  throw ParseError("--net", "the network has " + std::to_string(outputs) + " outputs, the data " +
                                std::to_string(classes) +
                                " classes: end with dense:" + std::to_string(classes));
}

}  // namespace xtape::tools
