#pragma once

#include <map>
#include <string>

#include <xtape/nn/layers.hpp>

namespace xtape::nn {

/// What parse_network makes layers with.
struct TextOptions {
  /// For every dense:N and neurons:….
  DenseOptions dense = {};
  /// Activations that the text may name besides the library's own.
  std::map<std::string, Activation> activations = {};
};

/// A network read from text, and how many numbers its input has.
struct TextNetwork {
  /// The layers.
  Sequential net;
  /// Extent of the last axis of the input.
  std::int64_t inputs;
};

/// Builds a network at run time from words: the number of inputs, then layers.
///
///     784 dense:128 sigmoid dense:64 relu dense:10
///     2 neurons:sigmoid,relu,tanh,softplus dense:1:nobias sigmoid
///
/// `dense:N` is a fully connected layer of N neurons (`:nobias` without biases), `neurons:A,B,…`
/// one with an activation for each neuron, and any other word an activation of all neurons
/// (sigmoid, relu, tanh, softplus, softmax, identity, or one of options.activations).
/// @throws ParseError that shows the text with the word marked.
TextNetwork parse_network(const std::string& text, const TextOptions& options = {});

}  // namespace xtape::nn
