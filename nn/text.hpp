#pragma once

#include <string>

#include <xtape/nn/graph.hpp>
#include <xtape/nn/kinds.hpp>

namespace xtape::nn {

/// A network read from text, and what it takes.
struct TextNetwork {
  /// The layers; of a text in lines, a single Graph.
  Sequential net;
  /// Extent of the last axis of the (first) input.
  std::int64_t inputs = 0;
  /// Extents of one sample of each input.
  std::vector<Shape> samples = {};
  /// The network as text again: words as short as can be.
  std::string text = {};
  /// The graph of a text in lines, null else.
  std::shared_ptr<const Graph> graph = nullptr;
};

/// Builds a network at run time from a text: words for layers one after the other, behind the
/// extents of a sample,
///
///     784 dense:128 sigmoid dense:64 relu dense:10
///     2 neurons:sigmoid,relu,tanh,softplus dense:1:nobias sigmoid
///     1x28x28 conv2d:16:3:padding=1 batchnorm relu maxpool2d:2 flatten dropout:0.5 dense:10
///
/// or lines that name what they make and say, in brackets, what it takes:
///
///     x = input:3x8x8
///     a = conv2d:8:3:padding=same (x)
///     b = conv2d:8:1 (x)
///     s = add (a, b)          # a residual
///     t = same:a (x)          # the module of a again, with its parameters
///     y = dense:10 (f)
///     f = flatten (s)
///     output (y, t)           # the last line's where there is none
///
/// A word is a kind of layers and its arguments: in order, by name (`padding=1`), and flags
/// (`nobias`). The kinds are in nn/kinds.hpp (`kind_names()`), further words are activations (all
/// of activation(), or options.activations). Recurrent and attention layers take [batch, time,
/// features]. Sizes that follow from the input are never written. `#` begins a comment.
/// @throws ParseError that shows the line with the word marked.
TextNetwork parse_network(const std::string& text, const TextOptions& options = {});

}  // namespace xtape::nn
