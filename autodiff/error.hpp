#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace xtape {

namespace detail {
/// A number as people write it, for messages: "0.5", "1e+300".
std::string text(double v);
}  // namespace detail

/// Base of every exception that xtape throws on purpose.
///
/// The text reads `[where] what met: the rule it broke; what to write instead`. Errors are thrown
/// before anything changes: after one, every object is as it was.
class Error : public std::runtime_error {
 public:
  /// An error whose text is `[where] what`.
  Error(std::string_view where, const std::string& what);
  /// The op, function, layer or parameter that threw, e.g. "matmul" or "Dense".
  const std::string& where() const noexcept { return where_; }
  /// The path of the module of a network in which it happened, "encoder.2"; empty outside of one.
  const std::string& module() const noexcept { return module_; }
  /// Puts a module's path in front of the text, `[path] where: what`, unless one is there: the
  /// innermost module counts.
  void set_module(const std::string& path);

 private:
  std::string where_, module_;
};

/// Shapes that do not fit the op's rule.
class ShapeError : public Error {
  using Error::Error;
};
/// Dtypes that differ, or that the op does not take.
class DTypeError : public Error {
  using Error::Error;
};
/// A misused tape: two tapes in one op, a parameter and no tape, a handle that outlived its tape.
class TapeError : public Error {
  using Error::Error;
};
/// A gradient that does not exist: unconnected target, non-scalar output, consumed tape.
class GradientError : public Error {
  using Error::Error;
};
/// An argument outside its range.
class ValueError : public Error {
  using Error::Error;
};
/// The first value or gradient that is not finite, see Tape::detect_anomaly.
class AnomalyError : public Error {
  using Error::Error;
};
/// A file that is missing, truncated, or says what is not so.
class DataError : public Error {
  using Error::Error;
};
/// More memory than a memory::Limit allows.
class MemoryError : public Error {
  using Error::Error;
};
/// A text that does not follow its grammar; the message points at the word.
class ParseError : public Error {
  using Error::Error;
};

}  // namespace xtape
