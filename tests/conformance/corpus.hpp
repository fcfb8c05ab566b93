#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <xtape/autodiff/tensor.hpp>

// The reference data, see tests/data/conformance/FORMAT.md.
namespace xtape::conformance {

/// A manifest and the tensors that it speaks of.
struct Item {
  nlohmann::json manifest;
  std::map<std::string, Tensor> tensors;
  /// @throws DataError when there is none of this name, ShapeError when xtape cannot hold it.
  const Tensor& tensor(const std::string& key) const;
};

/// Reads manifest.json and data.safetensors of `folder`; the latter may be absent.
Item read_item(const std::string& folder);

/// An output that is to be differentiated, an input's gradient: a place and its tensor.
struct Slot {
  std::size_t place = 0;
  Tensor value;
};

/// Second-order products of one sample.
struct Second {
  std::vector<Slot> weights, dx, dct;
};

/// One sample of an op with all its tensors.
struct Sample {
  std::string id;
  std::vector<std::string> tags;
  nlohmann::json params;
  std::string unreadable;  ///< Why there are no tensors below, or "".
  bool symmetric = false;  ///< See "grad_convention".
  std::vector<Tensor> inputs;
  std::vector<std::size_t> differentiable;  ///< Of the inputs.
  std::vector<Tensor> outputs;              ///< Then what the op updates in place.
  std::vector<Slot> cotangents;             ///< By output.
  std::vector<Slot> gradients;              ///< By input.
  bool has_second = false;
  Second second;
  /// "check" and "second" → "fd" → "exceptions": kind → input → coordinates.
  std::map<std::string, std::map<std::size_t, std::vector<std::int64_t>>> coordinates;
  /// The peer's own errors in f32, negative where it is not comparable; by output, by gradient.
  std::vector<double> f32_values, f32_gradients;
  /// Values at infinite or NaN inputs that NumPy has otherwise: for information only.
  bool values_informative = false;

  bool tagged(const std::string& prefix) const;
};

/// The samples of one op.
struct OpSamples {
  std::string name, family, folder;
};

/// The ops of INDEX.json. @throws DataError.
std::vector<OpSamples> read_index(const std::string& folder);
/// The samples of one. @throws DataError.
std::vector<Sample> read_samples(const std::string& folder);

}  // namespace xtape::conformance
