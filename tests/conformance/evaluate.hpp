#pragma once

#include "adapters.hpp"
#include "corpus.hpp"

namespace xtape::conformance {

/// Values, gradients and second-order products of one sample as computed.
struct Computed {
  std::vector<Tensor> outputs, gradients, dx, dct;
};

/// Calls the adapter on a tape (`program` false) or in a program. `second`: with second-order
/// products. @throws what the adapter throws, and std::runtime_error for results that do not fit.
Computed evaluate(const Sample& sample, const Adapter& adapter, DType dtype, bool program,
                  bool second);

}  // namespace xtape::conformance
