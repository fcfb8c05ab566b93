#pragma once

#include <string>

#include <xtape/xtape.hpp>

// A network, a loss and labels, fitted to each other: shared by the commands.
namespace xtape::tools {

/// Refuses a network that does not fit the data before anything is trained.
inline void check_fit(const nn::TextNetwork& n, std::int64_t inputs, std::int64_t classes) {
  if (n.inputs != inputs) {
    throw ParseError("--net", "the network takes " + std::to_string(n.inputs) +
                                  " numbers, the data has " + std::to_string(inputs) +
                                  ": begin with " + std::to_string(inputs));
  }
  const std::int64_t outputs = n.net.output_shape({2, inputs})[1];
  if (outputs == classes || (outputs == 1 && classes <= 2)) return;
  throw ParseError("--net", "the network has " + std::to_string(outputs) + " outputs, the data " +
                                std::to_string(classes) +
                                " classes: end with dense:" + std::to_string(classes));
}

}  // namespace xtape::tools
