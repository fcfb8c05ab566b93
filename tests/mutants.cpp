#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <xtape/autodiff/mutant.hpp>
#include <xtape/autodiff/sample.hpp>
#include <xtape/xtape.hpp>

// Is the suite able to see a wrong gradient? For each input of each op, mistakes are made in its
// gradient rule, one at a time (a factor of 1.001, a wrong sign, no gradient, one term of a sum
// dropped, the sum over a broadcast replaced by its first term), and the registry's tests run on
// that op. Prints a table of how many are caught, and every survivor.
//   xtape-mutants PATH/xtape-registry-tests > docs/mutants.md
namespace {

using namespace xtape;

struct Tally {
  int made = 0, caught = 0;
};

// Runs every sample's gradient of second order, so that the rules of the op run.
void run_samples(const Op& op) {
  Rng rng(20240701);
  for (const Sample& s : op.samples(Sampler{rng, f64, op})) {
    Tape tape;
    std::vector<Var> in;
    for (const Tensor& t : s.inputs) {
      in.push_back(is_floating(t.dtype()) ? tape.variable(t) : tape.input(t));
    }
    const Var y = s.call(in);
    if (!is_floating(y.dtype()) || !y.tape()) continue;
    const GradientOptions zero{.unconnected = Unconnected::zero};
    Var total = 0;
    for (const Var& g : gradient(sum(y * y), in, zero)) {
      if (is_floating(g.dtype())) total = total + sum(g);
    }
    if (total.tape()) tape.gradient(total, in, zero);
  }
}

bool caught(const std::string& tests, const std::string& mutant, const std::string& only) {
  const std::string command = "XTAPE_ONLY='" + only + "' XTAPE_MUTANT='" + mutant +
                              "' timeout 300 " + tests + " '[registry]' >/dev/null 2>&1";
  return std::system(command.c_str()) != 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::string tests = argv[1], chosen = argc > 2 ? argv[2] : "";
  std::map<std::string, Tally> tallies;
  std::vector<std::string> survivors;
  int ops = 0, flat = 0;
  for (const Op* op : registry()) {
    if (op->composed() || (!chosen.empty() && op->name != chosen)) continue;
    ++ops;
    for (int input = 0; input < (op->arity < 0 ? 1 : op->arity); ++input) {
      if (!op->differentiable(input)) continue;
      detail::Mutant& m = detail::mutant();
      m = {};
      m.op = op->name;
      m.input = input;
      m.kind = "count";
      m.most = -1;
      run_samples(*op);
      if (m.most < 0) continue;  // never asked for
      if (!m.nonzero) {  // 0 by definition, as that of sign(): these mistakes change nothing
        ++flat;
        continue;
      }
      std::vector<std::string> kinds = {"factor", "sign", "zero"};
      if (m.happened) kinds.emplace_back("broadcast");
      for (int term = 0; term < m.most; ++term) kinds.push_back("term/" + std::to_string(term));
      for (const std::string& kind : kinds) {
        const std::string name(op->name);
        const std::string mutant = name + "/" + std::to_string(input) + "/" + kind;
        Tally& t = tallies[kind.substr(0, kind.find('/'))];
        ++t.made;
        if (caught(tests, mutant, name)) {
          ++t.caught;
        } else {
          survivors.push_back(mutant);
        }
        m = {};
      }
    }
  }
  int made = 0, all = 0;
  std::printf(
      "# Mistakes in gradient rules, and whether the tests see them\n\n"
      "One mistake at a time in the rule of one input of one op: a factor of 1.001, a wrong sign, "
      "no\n"
      "gradient, one term of a sum dropped, the sum over a broadcast replaced by its first term. "
      "Caught\n"
      "is what makes the registry's tests (`tests/test_registry.cpp`) fail. Made by\n\n"
      "    cmake -S . -B build/mutants -G Ninja -DCMAKE_BUILD_TYPE=Release -DXTAPE_MUTATIONS=ON\n"
      "    cmake --build build/mutants --target xtape-mutants xtape-registry-tests\n"
      "    build/mutants/tests/xtape-mutants build/mutants/tests/xtape-registry-tests > "
      "docs/mutants.md\n\n");
  std::printf("| mistake | made | caught |\n|---|--:|--:|\n");
  for (const auto& [kind, t] : tallies) {
    std::printf("| %s | %d | %d |\n", kind.c_str(), t.made, t.caught);
    made += t.made;
    all += t.caught;
  }
  std::printf("| all, in %d ops | %d | %d |\n\n", ops, made, all);
  std::printf("Left out: %d rules of functions that are flat.\n\n", flat);
  for (const std::string& s : survivors) std::printf("* not caught: `%s`\n", s.c_str());
  return made == 0 || all < 0.99 * made;
}
