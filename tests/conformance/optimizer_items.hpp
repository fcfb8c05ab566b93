#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include <xtape/xtape.hpp>

// How the items of optim/ are said in xtape.
namespace xtape::conformance {

/// The optimizer of an item with its groups, null when there is none of this name.
std::unique_ptr<optim::Optimizer> make_optimizer(const nlohmann::json& item, const Parameters& p);

/// Sets the learning rate (and momentum) of step k; `metric` is that of the step before.
using Driver = std::function<void(optim::Optimizer&, std::int64_t k, double metric)>;
/// That of an item, empty when it has no scheduler. @throws DataError for an unknown one.
Driver make_driver(const nlohmann::json& item);

}  // namespace xtape::conformance
