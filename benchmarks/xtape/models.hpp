#pragma once

#include <xtape/xtape.hpp>

#include "../harness/harness.hpp"

// The workloads as a user of xtape writes them, whether they run eagerly or are compiled.
namespace with_xtape {

/// A network, what it is trained with, and its error.
struct Model {
  explicit Model(const bench::Network& net);
  /// Of the outputs for `input`.
  xtape::Var error(const xtape::Var& input, const xtape::Var& target) const;
  /// Of the present parameters, for the check.
  std::vector<double> result() const;

  bench::Network description;
  xtape::Tensor input, target;
  xtape::nn::Sequential net;
  xtape::Parameters parameters;
};

/// One tensor for each parameter of a network.
std::vector<xtape::Tensor> direction(const bench::Network& net);

xtape::Var chain(const bench::Chain& chain, xtape::Var z, const xtape::Var& a, const xtape::Var& b);
xtape::Var gate(const xtape::Var& x, const xtape::Var& a, const xtape::Var& b, const xtape::Var& c);

/// x and g of W10.
struct Rows {
  explicit Rows(const bench::Rows& rows);
  xtape::Tensor x, g;
};

/// A function of W11 with its observations.
class Function {
 public:
  explicit Function(const bench::Function& f);
  xtape::Var operator()(const std::vector<xtape::Var>& parameters) const;

  std::vector<xtape::Tensor> parameters;

 private:
  xtape::Var regression(const std::vector<xtape::Var>& p) const;
  xtape::Var volatility(const std::vector<xtape::Var>& p) const;

  bench::Function f_;
  xtape::Tensor x_, y_;
};

/// All elements of all tensors.
std::vector<double> flat(const std::vector<xtape::Tensor>& tensors);

}  // namespace with_xtape
