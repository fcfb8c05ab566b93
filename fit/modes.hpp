#pragma once

#include <utility>
#include <vector>

#include <xtape/nn/module.hpp>

namespace xtape::fit::detail {

/// The mode of every module of a network, in the order of the tree.
inline std::vector<bool> modes_of(const nn::Module& m) {
  std::vector<bool> all{m.training()};
  for (const nn::Module::Child& c : m.children()) {
    const std::vector<bool> below = modes_of(*c.module);
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

/// Gives them to a network of as many modules, from modes[at] on. Returns where they end.
inline std::size_t set_modes(nn::Module& m, const std::vector<bool>& modes, std::size_t at = 0) {
  m.train(modes[at++]);  // and its children, which come behind it
  for (const nn::Module::Child& c : m.children()) at = set_modes(*c.module, modes, at);
  return at;
}

/// Which of them are frozen.
inline std::vector<bool> frozen_of(const Parameters& all) {
  std::vector<bool> out;
  for (const Parameter& p : all) out.push_back(p.frozen());
  return out;
}

/// Freezes those, and thaws the others.
inline void set_frozen(const Parameters& all, const std::vector<bool>& frozen) {
  for (std::size_t i = 0; i < all.size(); ++i) Parameter(all[i]).freeze(frozen[i]);
}

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
