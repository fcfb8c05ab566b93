#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <xtape/autodiff/program/graph.hpp>
#include <xtape/nn/export_parts.hpp>
#include <xtape/nn/module.hpp>

// Between the files that write exported headers, by family of ops: not for users.
namespace xtape::nn::exporting {

using program::Id;
using program::Node;

/// A forward pass of one sample, and which layer each node belongs to.
struct Trace {
  /// A call of a layer made the nodes behind `begin`, up to `end`.
  struct Call {
    Id begin;          ///< The last of its inputs.
    Id end;            ///< Its output.
    std::string path;  ///< Of the layer.
    std::string kind;  ///< What describe() says.
  };
  program::Graph graph;     ///< The recording.
  std::vector<Call> calls;  ///< Innermost first.

  /// Records `net`, whose inputs have these specs, a batch axis in front.
  Trace(Module& net, std::span<const Spec> inputs);
  /// The innermost call that made node `i`, or null.
  const Call* call_of(Id i) const;
};

/// Writes the body of predict(), node by node.
class Writer {
 public:
  /// For a recording, which must stay.
  explicit Writer(const Trace& trace);

  /// Everything that the outputs need. @throws as export_predictor.
  void write();
  /// The definitions of all tables.
  const std::string& tables() const { return tables_; }
  /// The statements.
  const std::string& body() const { return body_; }
  /// Floats of workspace.
  std::int64_t used() const { return used_; }

  /// The recording.
  const program::Graph& graph() const { return g_; }
  /// Of node `i`.
  const Shape& shape(Id i) const { return g_.nodes[i].spec.shape; }
  /// The expression that points to the elements of node `i`.
  const std::string& name(Id i) const { return names_[i]; }
  /// Says that node `i` has the elements of node `from`.
  void alias(Id i, Id from) { names_[i] = names_[from]; }
  /// Gives node `i` a place in the workspace.
  std::string fresh(Id i);
  /// Adds a statement.
  void line(const std::string& s) { body_ += "  " + s + "\n"; }
  /// Adds `run::function(arguments…)`.
  void call(const std::string& function, const std::vector<std::string>& arguments);

  /// A table of f32 or of booleans (as 0 and 1); gives its name.
  std::string floats(const Tensor& values);
  /// A table of numbers in double.
  std::string doubles(std::span<const double> values);
  /// A table of whole numbers.
  std::string integers(const std::vector<std::int64_t>& values, const char* type = "std::int32_t");

  /// The elements of node `i`, where they do not depend on the input. @throws ValueError else.
  const Tensor& fixed(Id i) const;
  /// @throws ValueError that says why the present node cannot be exported, and in what it stands.
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  void node(Id i);
  void leaf(Id i, const Tensor& value, const std::string& parameter);
  void operation(Id i);
  /// ", in Dense(3 → 2)", or nothing.
  std::string place() const;

  const Trace& t_;
  const program::Graph& g_;
  std::vector<std::string> names_;
  std::vector<bool> needed_;
  std::string tables_, body_;
  std::int64_t used_ = 0, tables_made_ = 0;
  Id now_ = 0;
};

/// How an op is written.
struct Translation {
  std::string_view op;                      ///< Its name.
  void (*write)(Writer&, Id, const Node&);  ///< Writes a node of it.
};
/// What moves elements.
std::span<const Translation> moving_ops();
/// Writes an elementwise op that has an expression (see expression_of).
void write_elementwise(Writer& w, Id i, const Node& n);
/// Products and convolutions.
std::span<const Translation> product_ops();
/// Reductions, pooling, normalization, softmax.
std::span<const Translation> reducing_ops();

}  // namespace xtape::nn::exporting
