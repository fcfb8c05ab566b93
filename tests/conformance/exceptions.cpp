#include "exceptions.hpp"

namespace xtape::conformance {
namespace {

// One line each, under the file of the adapter. The run reports those that no sample needs.
constexpr Exception kExceptions[] = {
    // pointwise
    {"clamp", "", Excuse::coordinates, "xtape's slope at the bounds is 0, the reference's 1",
     "kink"},

    // reductions

    // shapes
    {"clone", "e0a7e253dc", Excuse::sample, "9 axes: xtape has at most 8"},
    {"clone", "e8edcf0102", Excuse::sample, "9 axes: xtape has at most 8"},

    // linalg

    // networks

    // losses
    {"nn.functional.binary_cross_entropy", "49b86e3b5a", Excuse::gradients,
     "at p = 1e-12 and 1 - 1e-12 the reference bounds p (1 - p) in its gradient"},
    {"nn.functional.batch_norm", "e732d71502", Excuse::sample, "one axis: there are no channels"},
    {"nn.functional.embedding", "5f708041c2", Excuse::second,
     "the reference's second order forgets the scale by frequency"},
};

}  // namespace

std::span<const Exception> exceptions() { return kExceptions; }

const char* name(Excuse e) {
  switch (e) {
    case Excuse::coordinates:
      return "coordinates";
    case Excuse::values:
      return "values";
    case Excuse::gradients:
      return "gradients";
    case Excuse::second:
      return "second order";
    case Excuse::bar:
      return "bar";
    case Excuse::single:
      return "f32";
    case Excuse::program:
      return "programs";
    case Excuse::sample:
      break;
  }
  return "sample";
}

}  // namespace xtape::conformance
