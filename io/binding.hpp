#pragma once

#include <string>
#include <utility>
#include <vector>

#include <xtape/io/parameters.hpp>
#include <xtape/io/safetensors_header.hpp>

namespace xtape::io::detail {

/// A parameter and its key in a file.
struct Binding {
  std::string key;
  Parameter parameter;
};

/// Each parameter once. @throws ValueError when two of them have one key.
std::vector<Binding> unique(const std::string& where, std::vector<Binding> bindings);
/// The values, checked. @throws ValueError naming the first that is not finite, unless allowed.
std::vector<NamedTensor> values(const std::string& where, const std::vector<Binding>& bindings,
                                bool allow_nonfinite);

/// What a file will change, read and checked, before it does.
struct Loading {
  LoadReport report;
  std::vector<std::pair<Parameter, Tensor>> assignments;
  /// Assigns. Does not throw.
  void commit();
};
/// @throws DataError and ValueError as load().
Loading prepare(const Source& source, const Header& header, const std::vector<Binding>& bindings,
                const LoadOptions& options);

}  // namespace xtape::io::detail
