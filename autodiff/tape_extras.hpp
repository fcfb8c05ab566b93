#pragma once

#include <map>
#include <string>
#include <vector>

#include <xtape/autodiff/diagnostics.hpp>

// What few tapes have: regions, hooks, a watch for what is not finite. Part of the engine.
namespace xtape::detail {

struct Hooks final : HookList {
  std::vector<Ref<Hook>> list;
};

struct TapeExtras {
  struct Region {
    std::string label;
    SourceLocation where;
    std::uint32_t begin, end;
  };

  bool watching = false;  // for anomalies
  AnomalyOptions options;
  int rules = 0;  // gradient rules that run: what they compute on the way may be infinite
  std::vector<Region> regions;
  std::map<std::uint32_t, SourceLocation> places;  // of leaves
  std::map<std::uint32_t, Hooks> hooks;            // by node

  static void add(const Var& x, const Ref<Hook>& hook);
  static const Hooks* find(const Parameter& p);
  void forget_from(std::uint32_t mark);
  bool anomalous(const Tensor& t) const;
};

/// How many elements of a tensor there are, and between what: for messages.
std::string range(const Tensor& t);
/// `g`, as hooks leave it.
Var call_hooks(const Hooks& hooks, Var g);

}  // namespace xtape::detail
