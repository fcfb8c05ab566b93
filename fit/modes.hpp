#pragma once

#include <utility>
#include <vector>

#include <xtape/nn/module.hpp>

namespace xtape::fit::detail {

/// Gives every module of a network the mode back that it had, whatever happened meanwhile.
class Modes {
 public:
  explicit Modes(nn::Module& net) { note(net); }
  Modes(const Modes&) = delete;
  Modes& operator=(const Modes&) = delete;
  ~Modes() {
    // Parents stand before their children, whom they take along.
    for (auto& [module, training] : before_) module->train(training);
  }

 private:
  void note(nn::Module& m) {
    before_.emplace_back(&m, m.training());
    for (const nn::Module::Child& c : m.children()) note(*c.module);
  }

  std::vector<std::pair<nn::Module*, bool>> before_;
};

}  // namespace xtape::fit::detail
