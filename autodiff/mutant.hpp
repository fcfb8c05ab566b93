#pragma once

// Mistakes on purpose, for tests/mutants: only in builds with XTAPE_MUTATIONS, which nobody
// installs.
#ifdef XTAPE_MUTATIONS
#include <cstdlib>
#include <sstream>
#include <string>

#include <xtape/autodiff/op.hpp>

namespace xtape::detail {

/// One mistake in the gradient rule of one input of one op: XTAPE_MUTANT=op/input/kind/term.
struct Mutant {
  std::string op, kind;
  int input = -1, term = 0;
  bool inside = false;  ///< The rule runs.
  int seen = 0;         ///< Additions in this run of the rule.
  int most = 0;         ///< The most there were in any run.
  bool happened = false;
  bool nonzero = false;  ///< Whether a gradient of the rule was ever other than 0.

  bool is(const Op& o, int i) const { return o.name == op && (i == input || o.arity < 0); }
};

inline Mutant& mutant() {
  static Mutant m = [] {
    Mutant parsed;
    const char* text = std::getenv("XTAPE_MUTANT");
    std::istringstream in(text ? text : "");
    std::string input, term;
    std::getline(in, parsed.op, '/');
    std::getline(in, input, '/');
    std::getline(in, parsed.kind, '/');
    std::getline(in, term, '/');
    if (!input.empty()) parsed.input = std::stoi(input);
    if (!term.empty()) parsed.term = std::stoi(term);
    return parsed;
  }();
  return m;
}

}  // namespace xtape::detail
#endif
