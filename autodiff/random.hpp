#pragma once

#include <xtape/autodiff/parameter.hpp>
#include <xtape/autodiff/var.hpp>

namespace xtape {

/// Where recorded random operations take their numbers from: a seed, a stream and a place in it
/// (Philox, as Rng). All three are buffers: a program reads them at every run and moves the place
/// on, so that every run draws fresh numbers, and the same seed gives the same ones, eagerly or in
/// a program, also in one that was recorded before reseed(). Copies of a Generator share them.
class Generator {
 public:
  /// At the beginning of that stream.
  explicit Generator(std::uint64_t seed = 0, std::uint64_t stream = 0);
  /// As given.
  std::uint64_t seed() const;
  /// As given.
  std::uint64_t stream() const;
  /// Seed and stream, the bits of both as i64 [2].
  const Parameter& key() const { return key_; }
  /// How many blocks of 128 random bits were used; i64.
  const Parameter& position() const { return position_; }
  /// Goes to a position of before.
  void seek(std::int64_t position);
  /// Goes to the beginning of that stream, for copies and for programs, too.
  void reseed(std::uint64_t seed, std::uint64_t stream = 0);

 private:
  Parameter key_, position_;
};

/// Independent numbers, uniform on [0, 1), in the shape and dtype (f32 or f64) of `x`.
Var uniform_like(const Var& x, Generator& g);
/// Independent normal numbers of mean 0 and variance 1 (Box–Muller), in the shape and dtype of `x`.
Var normal_like(const Var& x, Generator& g);
/// Each element of `x` is 0 with probability `p`, else x/(1 − p), so that the mean stays.
/// Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR
/// 2014. @throws ValueError unless 0 ≤ p < 1.
Var dropout(const Var& x, double p, Generator& g);

}  // namespace xtape
