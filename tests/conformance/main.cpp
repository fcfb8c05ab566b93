#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>

#include "nets.hpp"
#include "report.hpp"

// Runs a conformance corpus, see tests/data/conformance/README.md.
namespace xtape::conformance {
namespace {

struct Options {
  std::string folder, json, family, mode = "both";
  std::vector<std::string> ops;
  bool verbose = false;
};

bool wanted(const Options& o, const OpSamples& op) {
  if (!o.family.empty() && op.family != o.family) return false;
  return o.ops.empty() || std::find(o.ops.begin(), o.ops.end(), op.name) != o.ops.end();
}

Adapters all_adapters() {
  Adapters a;
  add_pointwise(a);
  add_reductions(a);
  add_shapes(a);
  add_linalg(a);
  add_products(a);
  add_networks(a);
  add_losses(a);
  return a;
}

void append(Report& report, const std::vector<Row>& rows) {
  report.rows.insert(report.rows.end(), rows.begin(), rows.end());
}

int run(const Options& o) {
  const Adapters adapters = all_adapters();
  const Modes modes{o.mode != "program", o.mode != "eager"};
  ExceptionTable table(exceptions());
  Report report;
  for (const OpSamples& op : read_index(o.folder)) {
    if (!wanted(o, op)) continue;
    const auto it = adapters.find(op.name);
    const Adapter* adapter = it == adapters.end() ? nullptr : &it->second;
    report.rows.push_back(run_op(op, read_samples(op.folder), adapter, modes, table));
  }
  const bool everything = o.ops.empty() && o.family.empty();
  if (everything || o.family == "nets") append(report, run_nets(o.folder, modes, table));
  if (everything || o.family == "optim") append(report, run_optimizers(o.folder, modes));
  print(std::cout, report, table, o.verbose);
  if (!o.json.empty()) {
    std::ofstream out(o.json);
    out << to_json(report, table).dump(1) << '\n';
    if (!out) throw DataError("conformance", o.json + " cannot be written");
  }
  return report.failed() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace xtape::conformance

int main(int argc, char** argv) {
  xtape::conformance::Options o;
  CLI::App app("Compares xtape with reference data");
  app.add_option("folder", o.folder, "The corpus")->required();
  app.add_option("--json", o.json, "Write what was found to this file");
  app.add_option("--op", o.ops, "Only this op (may stand several times)");
  app.add_option("--family", o.family, "Only this family, nets or optim");
  app.add_option("--mode", o.mode, "eager, program or both")
      ->check(CLI::IsMember({"eager", "program", "both"}));
  app.add_flag("-v", o.verbose, "List all failed samples");
  CLI11_PARSE(app, argc, argv);
  try {
    return xtape::conformance::run(o);
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
  }
}
