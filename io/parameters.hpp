#pragma once

#include <functional>
#include <string>
#include <vector>

#include <xtape/autodiff/parameter.hpp>
#include <xtape/io/safetensors.hpp>

namespace xtape::io {

/// How parameters are written.
struct SaveOptions {
  bool allow_nonfinite = false;  ///< Writes NaN and infinities instead of refusing them.
  Metadata metadata = {};        ///< Free text for the file.
};

/// How a file meets the parameters.
struct LoadOptions {
  /// Anything that does not fit is an error; otherwise what fits is loaded, the rest reported.
  bool strict = true;
  /// F32 and F64 (F16, BF16) are converted to the dtype of the parameter; otherwise they must
  /// agree. A number that is too large for that dtype is an error.
  bool convert = false;
  /// From the key in the file to the name of the parameter, where they differ: state_dicts of
  /// PyTorch have the layouts of ours (weights [out, in] and [out, in / groups, k…], biases [out])
  /// but the names of their attributes. An empty result skips the key.
  std::function<std::string(const std::string&)> rename = {};
};

/// What a file and the parameters do not share.
struct LoadReport {
  std::vector<std::string> missing;     ///< Names of parameters that the file lacks.
  std::vector<std::string> unexpected;  ///< Keys of the file that no parameter has.
  std::vector<std::string> mismatched;  ///< Name, and both shapes and dtypes that differ.
  Metadata metadata;                    ///< That of the file.
  /// Nothing missing, unexpected or mismatched.
  bool complete() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
};

/// Writes every parameter under its name, in the safetensors format, atomically: see
/// save_safetensors(). A network is its parameters and its buffers (running statistics):
/// io::save(path, net.state()). A parameter that stands several times (tied weights) is written
/// once.
/// @throws ValueError, before the file is touched, when two parameters share a name, and for an
///   element that is not finite unless allowed. @throws DataError when it cannot be written.
void save(const std::string& path, const Parameters& parameters, const SaveOptions& options = {});

/// Assigns to each parameter the tensor of its name: io::load(path, net.state()).
/// @throws DataError as load_safetensors; for a number that is too large for the dtype it is
///   converted to; and, when strict, listing everything that is missing,
///   unexpected or mismatched. No parameter has changed then. @throws ValueError when two
///   parameters share a name or `rename` gives one name to two keys.
LoadReport load(const std::string& path, const Parameters& parameters,
                const LoadOptions& options = {});

}  // namespace xtape::io
