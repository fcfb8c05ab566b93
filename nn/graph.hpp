#pragma once

#include <string>
#include <vector>

#include <xtape/nn/module.hpp>

namespace xtape::nn {

/// A network of any shape, put together by names at run time: inputs, nodes (a module and the names
/// of what it takes) and outputs. Nodes may be added in any order, and one module may stand at
/// several nodes, with the same parameters. Modules are children under the names of their (first)
/// nodes.
///
///     nn::Graph g;
///     g.input("x").add("h", nn::Dense(8, 8), {"x"}).add("y", nn::Add(), {"h", "x"}).output("y");
///
/// Whatever is wrong with it (a cycle, an unknown name, what no output needs) is said by check(),
/// which the first run calls: call it, and build() what has open sizes, before threads share a
/// graph.
class Graph : public Joining<Graph> {
 public:
  Graph() = default;
  /// Declares the next input. @throws ValueError for a name that is taken or no name (a letter or
  /// _, then letters, digits, _).
  Graph& input(const std::string& name);
  /// Adds a node. `word` is what describe() says for the module, if not its own description.
  /// @throws ValueError as input(), without inputs, or for a null module.
  Graph& add(const std::string& name, std::shared_ptr<Module> module,
             const std::vector<std::string>& inputs, std::string word = {});
  /// Adds a module by value; a temporary is drawn by its place, as by Sequential::add.
  template <LayerType M>
  Graph& add(const std::string& name, M&& module, const std::vector<std::string>& inputs) {
    if constexpr (!std::is_lvalue_reference_v<M>) module.draw_untouched(parameters().size());
    return add(name,
               std::static_pointer_cast<Module>(
                   std::make_shared<std::remove_cvref_t<M>>(std::forward<M>(module))),
               inputs);
  }
  /// Declares the next output. @throws ValueError when it is one already.
  Graph& output(const std::string& name);

  /// @throws ValueError for an unknown name, a cycle (showing it), a node or input that no output
  /// needs, or no output.
  void check() const;
  /// All outputs, in order; of several, forward hooks are told the first. @throws as check(), and
  /// ValueError for another number of inputs.
  std::vector<Var> run(std::span<const Var> xs) const;
  /// The only output. @throws ValueError when there are several: call run().
  Var forward_all(std::span<const Var> xs) const override;
  /// A line for each input and node, and one of the outputs: what nn::parse_network reads, where
  /// the modules came from texts.
  std::string describe() const override;
  DType input_dtype() const override;
  /// The dtype of input k: that of the first node that takes it. @throws std::out_of_range.
  DType input_dtype(std::size_t k) const;

  /// Names of the inputs, in order.
  const std::vector<std::string>& inputs() const { return inputs_; }
  /// Names of the outputs, in order.
  const std::vector<std::string>& outputs() const { return outputs_; }
  /// What describe() says behind `name = ` of input k; "input" unless told.
  void describe_input(std::size_t k, std::string word) { input_words_.at(k) = std::move(word); }
  /// The module of a node. @throws ValueError for an unknown one.
  std::shared_ptr<Module> node(const std::string& name) const;

 private:
  struct Node {
    std::string name;
    std::size_t child;  // of children()
    std::vector<std::string> inputs;
    std::string word;
  };
  /// Nodes in an order in which they can run, and where each finds its inputs: values are the
  /// inputs, then the nodes in the order of addition.
  struct Plan {
    std::vector<std::size_t> order;
    std::vector<std::vector<std::size_t>> operands;
    std::vector<std::size_t> outputs;
  };
  Plan plan() const;
  void sort(Plan& plan) const;
  void refuse_unused(const Plan& plan) const;
  std::size_t find(const std::string& name, const std::string& user) const;
  void check_name(const std::string& name) const;
  const std::string& name_of(std::size_t value) const;

  std::vector<std::string> inputs_, input_words_, outputs_;
  std::vector<Node> nodes_;
  mutable std::shared_ptr<const Plan> plan_;  // of the present nodes
};

}  // namespace xtape::nn
