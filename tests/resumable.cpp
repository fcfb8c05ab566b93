#include "resumable.hpp"

#include <cstdio>
#include <filesystem>
#include <string>
#include <unistd.h>

// Trains for ever, saving after each step, until it is killed: the tests of io::Checkpoint do that.
// Arguments: "folder" and a folder for save_in(), or "file" and a path for save(). Goes on from
// what is there, and writes one byte to its output after the first save. A checkpoint that is not
// whole ends it with status 3.
int main(int argc, char** argv) {
  using namespace xtape;
  if (argc != 3) return 2;
  const std::string mode = argv[1], place = argv[2];
  try {
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
