#pragma once

#include <optional>
#include <span>

#include <xtape/autodiff/tape.hpp>

namespace xtape {

/// A use of an op inside a program, as its rewriting rules see it (Op::simplify, Op::expand).
class Rewrite {
 public:
  /// For the passes.
  Rewrite(Tape& tape, const Op& op, std::span<const Var* const> in, const Attrs* attrs,
          const Spec& spec)
      : tape_(tape), op_(op), in_(in), attrs_(attrs), spec_(spec) {}

  /// The op itself.
  const Op& op() const { return op_; }
  /// Input i.
  const Var& in(std::size_t i) const { return *in_[i]; }
  /// Number of inputs.
  std::size_t size() const { return in_.size(); }
  /// Shape and dtype of the result, which a replacement must have.
  const Spec& spec() const { return spec_; }
  /// The attributes of the op, of the type it was recorded with.
  template <class T>
  const T& attrs() const {
    return get_attrs<T>(attrs_);
  }
  /// The same whatever their type.
  const Attrs* raw_attrs() const { return attrs_; }
  /// The one value that every element of the constant input i has; nothing for other inputs.
  std::optional<double> constant(std::size_t i) const;
  /// The op whose result `v` is; nullptr for leaves.
  const Op* maker(const Var& v) const;
  /// Operand k of the op whose result `v` is.
  Var operand(const Var& v, std::size_t k) const;
  /// The attributes of that op.
  const Attrs* attrs_of(const Var& v) const;
  /// Input i when it has the spec of the result, else an undefined Var.
  Var same(std::size_t i) const { return in(i).value().spec() == spec_ ? in(i) : Var(); }

 private:
  Tape& tape_;
  const Op& op_;
  std::span<const Var* const> in_;
  const Attrs* attrs_;
  const Spec& spec_;
};

}  // namespace xtape
