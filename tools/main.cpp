// The xtape command: trains networks, checks and explains gradients, says what is wrong with a
// network, exports one as a C++ header, runs the benchmarks. Exit codes: 0 done, 1 a check failed
// or training broke down, 2 wrong use or unusable data.
#include <cstdio>
#include <fmt/format.h>

#include <xtape/autodiff/error.hpp>

#include "bench.hpp"
#include "diagnose.hpp"
#include "explain.hpp"
#include "export.hpp"
#include "train.hpp"

int main(int argc, char** argv) {
  using namespace xtape;
  CLI::App app{"xtape: networks trained by reverse-mode differentiation, gradients checked"};
  app.require_subcommand(1);
  app.set_version_flag("--version", XTAPE_VERSION);
  tools::TrainOptions train;
  tools::GradcheckCommand check;
  tools::ExplainCommand why;
  tools::DiagnoseCommand health;
  tools::ExportCommand header;
  tools::BenchCommand bench;
  CLI::App* train_app = app.add_subcommand("train", "train a network and show what it learned");
  CLI::App* check_app =
      app.add_subcommand("gradcheck", "check a network's gradients against finite differences");
  CLI::App* why_app =
      app.add_subcommand("explain", "say why a gradient is what it is: the sum over paths");
  CLI::App* health_app =
      app.add_subcommand("diagnose", "say what keeps a network from learning, layer by layer");
  CLI::App* header_app = app.add_subcommand("export", "write a trained network as one C++ header");
  CLI::App* bench_app =
      app.add_subcommand("bench", "measure against libtorch and hand-written code");
  train.add_to(*train_app);
  check.add_to(*check_app);
  why.add_to(*why_app);
  health.add_to(*health_app);
  header.add_to(*header_app);
  bench.add_to(*bench_app);
  const auto fail = [](const std::exception& e, int code) {
    fmt::print(stderr, "xtape: {}\n", e.what());
    return code;
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    const auto parsed = app.get_subcommands();
    if (parsed.empty()) {
      fmt::print(stderr,
                 "xtape: {}: write xtape train, gradcheck, explain, diagnose, export or bench "
                 "(xtape --help)\n",
                 argc > 1 ? "'" + std::string(argv[1]) + "' is no command" : "no command");
      return 2;
    }
    fmt::print(stderr, "xtape: {} (xtape {} --help lists the options)\n", e.what(),
               parsed.front()->get_name());
    return 2;
  }
  try {
    if (health_app->parsed()) return tools::diagnose(health);
    if (why_app->parsed()) return tools::explain(why);
    if (header_app->parsed()) return tools::export_network(header);
    if (bench_app->parsed()) return tools::bench(bench);
    return train_app->parsed() ? tools::train(train) : tools::gradcheck(check);
  } catch (const DataError& e) {
    return fail(e, 2);
  } catch (const ParseError& e) {
    return fail(e, 2);
  } catch (const std::exception& e) {
    return fail(e, 1);
  }
}
