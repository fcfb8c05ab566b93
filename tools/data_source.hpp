#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include <xtape/data/data.hpp>

// Where the command line gets its examples from.
namespace xtape::tools {

struct DataOptions {
  std::string source = "digits";  ///< digits, fashion-mnist[:FOLDER], mnist:FOLDER, csv:FILE,
                                  ///< idx:IMAGES,LABELS
  std::string test;               ///< csv: or idx: of the test set; else a part is split off.
  double test_fraction = 0.2;
  std::string csv_labels = "last";  ///< first, last, a column number, one-hot:COUNT,
                                    ///< or targets:COUNT.
  bool csv_header = false;
  double scale = 1;
  std::int64_t limit = 0;  ///< Use the first so many training examples; 0 uses all.

  void add_to(CLI::App& app);
};

/// Refuses everything but a whole number from `low`, in few words.
CLI::Validator whole_from(std::int64_t low);

/// Loads the examples, flattened to [n, features] f32. @throws DataError, ParseError.
data::Split load(const DataOptions& options, Rng& rng);

}  // namespace xtape::tools
