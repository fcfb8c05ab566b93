#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <xtape/xtape.hpp>

// How the calls of the conformance corpus (PyTorch's names and arguments) are said in xtape: one
// adapter for each op of the corpus, one file for each family.
namespace xtape::conformance {

/// One sample: the arguments by name, as in its "params".
class Call {
 public:
  Call(const nlohmann::json& params, std::span<const Var> inputs)
      : params_(params), inputs_(inputs) {}

  /// Present and not null.
  bool has(const std::string& name) const;
  /// A tensor argument, or a plain number in its place (which adopts the dtype of the others).
  Var operand(const std::string& name) const;
  /// The same, `otherwise` where it is absent or null.
  Var operand(const std::string& name, const Var& otherwise) const;
  /// A list of tensors.
  std::vector<Var> operands(const std::string& name) const;
  double number(const std::string& name, double otherwise = 0) const;
  std::int64_t integer(const std::string& name, std::int64_t otherwise = 0) const;
  bool flag(const std::string& name, bool otherwise = false) const;
  std::string text(const std::string& name, const std::string& otherwise = "") const;
  /// A list of integers, or a single one as a list of one; empty where absent or null.
  std::vector<std::int64_t> integers(const std::string& name) const;
  Axes axes(const std::string& name) const;    ///< integers() as axes.
  Shape shape(const std::string& name) const;  ///< integers() as a shape.
  /// The JSON as it stands, for what the others do not cover.
  const nlohmann::json& raw(const std::string& name) const;
  const nlohmann::json& all() const { return params_; }
  /// A JSON value: {"$t": i} as tensor i, a number as a number.
  Var value(const nlohmann::json& v) const;

 private:
  const nlohmann::json& params_;
  std::span<const Var> inputs_;
};

/// Gives the outputs in the order of the corpus. Reads no values: it is also recorded by compile().
using Adapter = std::function<std::vector<Var>(const Call&)>;
/// By the name of the op in the corpus.
using Adapters = std::map<std::string, Adapter>;

// One file each: tests/conformance/<family>.cpp.
void add_pointwise(Adapters& a);
void add_reductions(Adapters& a);
void add_shapes(Adapters& a);
void add_linalg(Adapters& a);
void add_products(Adapters& a);
void add_networks(Adapters& a);
void add_losses(Adapters& a);
void add_normalization(Adapters& a);  // called by add_losses

}  // namespace xtape::conformance
