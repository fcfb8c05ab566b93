#pragma once

#include "../harness/harness.hpp"

// libtorch, eager.
namespace with_torch {

/// As its documentation shows: modules, backward(), torch::optim::SGD.
std::unique_ptr<bench::Task> training(const bench::Network& net);
/// Less idiomatic and faster: functions, autograd::grad, the update written by hand.
std::unique_ptr<bench::Task> lean_training(const bench::Network& net);
std::unique_ptr<bench::Task> hessian_vector(const bench::Network& net);
std::unique_ptr<bench::Task> chain(const bench::Chain& chain);
std::unique_ptr<bench::Task> gate(const bench::Gate& gate);
std::unique_ptr<bench::Task> rows(const bench::Rows& rows);
std::unique_ptr<bench::Task> function(const bench::Function& f);

void set_threads(int n);

}  // namespace with_torch
