#pragma once

#include <iosfwd>

#include "runner.hpp"

namespace xtape::conformance {

/// All that a run found.
struct Report {
  std::vector<Row> rows;
  std::size_t passed() const;
  std::size_t failed() const;
  std::size_t missing() const;
};

/// As text: a line for each row, failed samples (all, or the first 20), exceptions, the totals.
void print(std::ostream& os, const Report& report, const ExceptionTable& table, bool all);
/// The same as JSON.
nlohmann::json to_json(const Report& report, const ExceptionTable& table);

}  // namespace xtape::conformance
