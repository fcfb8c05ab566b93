#pragma once

#include "../harness/harness.hpp"

// What no implementation goes below: the bare matrix products of a step, or one pass over what has
// to be read and written. Computes no result.
namespace limit {

std::unique_ptr<bench::Task> training(const bench::Network& net);
std::unique_ptr<bench::Task> hessian_vector(const bench::Network& net);
std::unique_ptr<bench::Task> gate(const bench::Gate& gate);
std::unique_ptr<bench::Task> rows(const bench::Rows& rows);

}  // namespace limit
