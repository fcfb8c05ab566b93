#include "exceptions.hpp"

namespace xtape::conformance {
namespace {

// One line each, under the file of the adapter. The run reports those that no sample needs.
constexpr Exception kExceptions[] = {
    // pointwise
    {"clamp", "", Excuse::coordinates, "xtape's slope at the bounds is 0, the reference's 1",
     "kink"},
    {"clamp_min", "", Excuse::coordinates, "xtape's slope at the bounds is 0, the reference's 1",
     "kink"},
    {"clamp_max", "", Excuse::coordinates, "xtape's slope at the bounds is 0, the reference's 1",
     "kink"},
    {"nn.functional.hardswish", "", Excuse::coordinates,
     "xtape's slope at the bounds is 0 and 1, the reference's 0.5 − 0.5 and 1", "kink"},
    {"fmax", "", Excuse::at_tie,
     "ties share equally in xtape, as in maximum; the reference gives all to the first"},
    {"fmin", "", Excuse::at_tie,
     "ties share equally in xtape, as in maximum; the reference gives all to the first"},
    {"nn.functional.celu", "", Excuse::bar, "the reference rounds 1/α to f32", "", 1e-7},
    {"nn.functional.hardsigmoid", "", Excuse::bar, "the reference rounds 1/6 to f32", "", 1e-7},
    {"nn.functional.softshrink", "", Excuse::at_nan, "xtape keeps NaN, the reference gives 0"},
    {"digamma", "", Excuse::bar,
     "the reference's trigamma has eight digits; Σ 1/(x+k)² agrees with xtape", "", 1e-8},
    {"special.log_ndtr", "", Excuse::gradients,
     "the reference's slope is lost below −10⁶; it is |x|", "large"},
    {"pow", "", Excuse::single, "a large exponent rounds to an integer in f32", "large"},
    {"float_power", "", Excuse::single, "a large exponent rounds to an integer in f32", "large"},

    // reductions
    {"linalg.vector_norm", "7db3eba51e", Excuse::bar,
     "the reference rounds the order −2.1 to f32 first", "", 1e-7},

    // shapes
    {"clone", "e0a7e253dc", Excuse::sample, "9 axes: xtape has at most 8"},
    {"clone", "e8edcf0102", Excuse::sample, "9 axes: xtape has at most 8"},
    {"__getitem__", "f6a5ed1dcb", Excuse::program, "the shape depends on the values of a mask"},
    {"index_put", "7b935e159a", Excuse::program, "the shape depends on the values of a mask"},
    {"index_put", "f8e139dae1", Excuse::program, "the shape depends on the values of a mask"},
    {"masked_select", "", Excuse::program, "the shape depends on the values of a mask"},
    {"narrow", "79bcca900e", Excuse::program,
     "the position is a number: a tensor in its place is read"},
    {"narrow", "1f6f9fefa3", Excuse::program,
     "the position is a number: a tensor in its place is read"},
    {"narrow", "23b1fcb275", Excuse::program,
     "the position is a number: a tensor in its place is read"},
    {"repeat_interleave", "680189dbf1", Excuse::program,
     "the shape depends on the values of a tensor"},
    {"tensor_split", "e3132f8bfa", Excuse::program, "the shape depends on the values of a tensor"},
    {"tensor_split", "7ce21eb675", Excuse::program, "the shape depends on the values of a tensor"},
    {"tensor_split", "863456e384", Excuse::program, "the shape depends on the values of a tensor"},
    {"tensor_split", "d94e60080b", Excuse::program, "the shape depends on the values of a tensor"},
    {"tensor_split", "508744d8f0", Excuse::program, "the shape depends on the values of a tensor"},
    {"tensor_split", "00101c3179", Excuse::program, "the shape depends on the values of a tensor"},

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
    case Excuse::at_nan:
      return "where an input is NaN";
    case Excuse::at_tie:
      return "where the inputs are equal";
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
