#include "resumable.hpp"

#include <cstdio>
#include <filesystem>
#include <string>
#include <unistd.h>

#include "fit_run.hpp"

// Trains for ever, saving after each step, until it is killed: the tests of io::Checkpoint do that.
// Arguments: "folder" and a folder for save_in(), or "file" and a path for save(). Goes on from
// what is there, and writes one byte to its output after the first save. A checkpoint that is not
// whole ends it with status 3. "fit" and a folder: the training of fit_run.hpp, which ends with
// status 0, before the byte when little is left.
namespace {

int run_fit(const std::string& folder) {
  xtape::test::FitRun run;
  xtape::fit::Options o = run.options(folder);
  std::int64_t begun = -1;
  bool told = false;
  o.on_step = [&](const xtape::fit::StepReport& r, xtape::fit::Control& control) {
    if (begun < 0) begun = r.step;
    if (told || r.step < begun + 3) return;  // behind the save of an even step
    told = true;
    if (::write(STDOUT_FILENO, "x", 1) != 1) control.stop();
  };
  run.train(o);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace xtape;
  if (argc != 3) return 2;
  const std::string mode = argv[1], place = argv[2];
  try {
    if (mode == "fit") return run_fit(place);
    test::Resumable run;
    std::string path = std::filesystem::exists(place) ? place : "";
    if (mode == "folder") {
      const io::LatestCheckpoint found = io::latest(place);
      if (!found.damaged.empty()) return 3;
      path = found.path;
    }
    if (!path.empty()) run.checkpoint().load(path);
    for (bool first = true;; first = false) {
      run.train(1);
      if (mode == "folder") {
        run.checkpoint().save_in(place, 2);
      } else {
        run.checkpoint().save(place);
      }
      if (first && ::write(STDOUT_FILENO, "x", 1) != 1) return 4;
    }
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 3;
  }
}
