#pragma once

#include <string>
#include <vector>

#include <xtape/xtape.hpp>

// What the command line shows of a training run.
namespace xtape::tools {

/// Accuracy per class, and what each class is most often taken for.
std::string confusion_table(const std::vector<std::vector<std::int64_t>>& counts,
                            const std::vector<std::string>& names);

/// Loss and accuracy over the epochs of every restart, as SVG.
std::string curves(const std::vector<fit::History>& restarts);

/// A bar on standard error when that is a terminal; nothing in a pipe.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(const std::string& what, std::int64_t done, std::int64_t total);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
  std::int64_t last_ = -1;
};

}  // namespace xtape::tools
