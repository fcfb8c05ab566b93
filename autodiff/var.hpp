#pragma once

#include <concepts>
#include <iosfwd>
#include <type_traits>

#include <xtape/autodiff/parameter.hpp>
#include <xtape/autodiff/tensor.hpp>

namespace xtape {

class Tape;

namespace detail {
struct TapeExtras;
/// Where a Tape can be found, or found gone: slots are never freed, their generation only grows.
struct TapeSlot {
  Tape* tape = nullptr;
  std::uint32_t generation = 0;
  // How large the last tape in this slot became: the next one is likely to.
  std::uint32_t nodes = 32, edges = 64;
};
}  // namespace detail

/// An operand or result of an operation: a value and, where it has one, its place on a Tape.
///
/// Four kinds convert to Var by themselves: a Tensor or xtensor expression (a constant), a plain
/// C++ number (a constant that adopts the dtype of the other operand), a Parameter (which joins the
/// tape of the operation), and what Tape::variable and Tape::input return. Operations on constants
/// alone compute and record nothing.
class Var {
 public:
  Var() = default;
  /// A constant.
  Var(Tensor value) : value_(std::move(value)) {}
  /// A constant from an xtensor container or expression.
  template <ArrayExpression X>
  Var(const X& x) : value_(x) {}
  /// A number that adopts the dtype of the other operand.
  template <class T>
  requires std::is_arithmetic_v<T> Var(T number)
      : kind_(Kind::number), number_(static_cast<double>(number)) {}
  /// The parameter, to join the tape of the operation.
  Var(const Parameter& parameter) : kind_(Kind::parameter), parameter_(parameter) {}

  /// The value; for a Parameter its present one. @throws ValueError for an empty handle.
  const Tensor& value() const&;
  /// The same as a handle: a temporary would take it with it.
  Tensor value() && { return static_cast<const Var&>(*this).value(); }
  /// Extents of the value.
  const Shape& shape() const& { return value().shape(); }
  /// The same by value.
  Shape shape() && { return value().shape(); }
  /// Number of axes.
  int rank() const { return value().rank(); }
  /// Number of elements.
  std::int64_t size() const { return value().size(); }
  /// Element type.
  DType dtype() const { return value().dtype(); }
  /// The only element. @throws ShapeError when there are more.
  double item() const { return kind_ == Kind::number ? number_ : value().item(); }

  /// The tape this is recorded on, or nullptr.
  /// @throws TapeError when that tape is gone or was rewound past this value.
  Tape* tape() const;
  /// The position on the tape, which is also its place in topological order.
  std::uint32_t index() const { return index_; }
  /// False for an empty handle.
  bool defined() const { return kind_ != Kind::constant || value_.defined(); }

 private:
  friend class Tape;
  friend struct Recorder;
  friend struct detail::TapeExtras;
  friend Var no_grad(const Var& x);
  friend Var beside(const Var& x, const Var& other);
  friend std::ostream& operator<<(std::ostream& os, const Var& v);
  enum class Kind : std::uint8_t { constant, number, parameter, taped, no_grad };

  Tensor value_;
  detail::TapeSlot* slot_ = nullptr;
  std::uint32_t generation_ = 0;
  std::uint32_t index_ = 0;
  std::uint32_t epoch_ = 0;
  Kind kind_ = Kind::constant;
  double number_ = 0;
  Parameter parameter_;
};

/// The value of `x` without its history. Operations on the result and parameters compute without
/// recording: `net(no_grad(images))` is inference.
Var no_grad(const Var& x);

/// `x`, joined to the tape of `other` when it is a Parameter: for functions made of several
/// operations, the first of which takes x alone.
Var beside(const Var& x, const Var& other);

std::ostream& operator<<(std::ostream& os, const Var& v);

}  // namespace xtape
