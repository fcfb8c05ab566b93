#pragma once

#include "runner.hpp"

namespace xtape::conformance {

/// What a network of the corpus computes, as "group/name" → value: its "output", "loss" and what
/// else its manifest stores, and the losses of a training ("sgd_loss", "adam_loss"). Recorded as an
/// adapter is; the call has its "param" and "input".
using Net = std::function<std::map<std::string, Var>(const Call&)>;
using Nets = std::map<std::string, Net>;

void add_recurrent(Nets& nets);
void add_dense(Nets& nets);
void add_convolutional(Nets& nets);

/// Runs nets/… of the corpus that INDEX.json lists.
std::vector<Row> run_nets(const std::string& folder, const Modes& modes, ExceptionTable& table);
/// Runs optim/ of the corpus.
std::vector<Row> run_optimizers(const std::string& folder, const Modes& modes);

/// Training runs, which are loops of programs: what differs from the manifest.
std::vector<Failure> check_mazur(const Item& item);
std::vector<Failure> check_fashion_mnist(const Item& item);

}  // namespace xtape::conformance
