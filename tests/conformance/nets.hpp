#pragma once

#include "runner.hpp"

namespace xtape::conformance {

/// What a network of the corpus computes, as "group/name" → value: its "output", "loss" and what
/// else its manifest stores, and the losses of a training ("sgd_loss", "adam_loss"). Recorded as an
/// adapter is; the call has its "param" and "input".
using Net = std::function<std::map<std::string, Var>(const Call&)>;
using Nets = std::map<std::string, Net>;

void add_dense(Nets& nets);

/// A network of the corpus as a module: its parameters and buffers are loaded by name.
struct ModuleNet {
  /// Makes it; shapes of the tensors of the sample by argument.
  std::function<std::shared_ptr<const nn::Module>(const std::map<std::string, Shape>&, DType)> make;
  /// What it computes; the call has the inputs.
  std::function<std::map<std::string, Var>(const nn::Module&, const Call&)> run;
  /// Names of parameters that are others in the corpus.
  std::map<std::string, std::string> renamed = {};
  /// What comes of training it, by a function that records the loss.
  std::function<std::map<std::string, Tensor>(const nn::Module&, const std::function<Var(Tape&)>&)>
      train = {};
};
/// By name.
using ModuleNets = std::map<std::string, ModuleNet>;
void add_modules(ModuleNets& nets);
/// Evaluates a network whose results are to be named so; `parameters` and `buffers` are their names
/// and arguments of the sample.
Computed evaluate_module(const ModuleNet& net, const Sample& sample,
                         const std::vector<std::string>& results, DType dtype, bool program);

/// Runs nets/… of the corpus that INDEX.json lists.
std::vector<Row> run_nets(const std::string& folder, const Modes& modes, ExceptionTable& table);
/// Runs optim/ of the corpus.
std::vector<Row> run_optimizers(const std::string& folder, const Modes& modes);

/// Training runs, which are loops of programs: what differs from the manifest.
std::vector<Failure> check_mazur(const Item& item);
std::vector<Failure> check_fashion_mnist(const Item& item);

}  // namespace xtape::conformance
