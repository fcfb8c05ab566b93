#pragma once

#include <functional>
#include <vector>

#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// Calls `f` once for each layer of `net`, children before parents, first places first: for every
/// module but those that only put others together (Sequential, Graph).
void for_each_layer(Module& net, const std::function<void(Module&)>& f);

/// Labels what each layer of `net` records from now on by the layer's kind and path ("Dense0",
/// "sigmoid1", "encoder.2"), for explain(), messages and drawings of the tape. Layers that only put
/// others together (Sequential, Graph) get none. Removing the handles stops it.
std::vector<ForwardHook> label_outputs(Module& net);

}  // namespace xtape::nn
