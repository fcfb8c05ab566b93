#pragma once

#include <span>
#include <string_view>

namespace xtape::conformance {

/// What an exception forgives.
enum class Excuse : unsigned char {
  coordinates,  ///< Gradients at the coordinates that the sample lists as of kind `kind`.
  at_nan,       ///< Outputs where an input is NaN.
  at_tie,       ///< Gradients where both inputs are equal.
  values,       ///< The outputs.
  gradients,    ///< The gradients, of both orders; of samples with the tag `kind`, if there is one.
  second,       ///< The second-order products.
  bar,          ///< Errors up to `bar`, relative to the largest element of the tensor.
  single,       ///< Everything in f32; of samples with the tag `kind`, if there is one.
  program,      ///< Everything in programs.
  sample,       ///< Everything.
};

/// A known difference between xtape and the reference data.
struct Exception {
  std::string_view op;         ///< Its name in the corpus.
  std::string_view sample;     ///< The id; empty for all samples of the op.
  Excuse excuse;               ///< What is forgiven.
  std::string_view reason;     ///< One line.
  std::string_view kind = {};  ///< Of coordinates ("kink", "jump", "domain-edge"), or a tag.
  double bar = 0;              ///< For Excuse::bar.
};

/// All of them.
std::span<const Exception> exceptions();

/// "coordinates of kind kink", "values", …
const char* name(Excuse e);

}  // namespace xtape::conformance
