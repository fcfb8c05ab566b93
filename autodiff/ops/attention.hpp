#pragma once

#include <optional>

#include <xtape/autodiff/random.hpp>

// Attention: what each query takes from the values, by how its key fits.
namespace xtape {

/// Of scaled_dot_product_attention().
struct AttentionOptions {
  /// Broadcasts to [..., queries, keys]: boolean, true where a query may attend to a key; or
  /// numbers that are added to the products, −∞ where it may not.
  Var mask = {};
  bool causal = false;   ///< Query i may attend to the keys 0, …, i only; together with `mask`.
  double dropout_p = 0;  ///< Of the weights, see dropout().
  Generator* generator = nullptr;    ///< For dropout; needed when dropout_p is not 0.
  std::optional<double> scale = {};  ///< Of the products; 1/√d without one.
};
/// What attention gives.
struct Attention {
  Var output;   ///< [..., queries, features]: weights · v.
  Var weights;  ///< [..., queries, keys]: each row sums to 1, or is 0 where there is no key that
                ///< the query may attend to.
};
/// softmax(q kᵀ · scale + mask) v for q [..., queries, d], k [..., keys, d], v [..., keys,
/// features]. Vaswani et al., "Attention is all you need", 2017. No gradient goes through what is
/// masked.
/// @throws ShapeError when they do not fit; DTypeError; ValueError for dropout without generator.
Attention scaled_dot_product_attention(const Var& q, const Var& k, const Var& v,
                                       const AttentionOptions& options = {});

}  // namespace xtape
