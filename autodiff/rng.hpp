#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <xtape/autodiff/tensor.hpp>

namespace xtape {

/// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
/// as 1, 2, 3", SC 2011). The n-th number of a (seed, stream) pair is a pure function of n, so the
/// same seed gives the same bits on every run. There is no global generator: pass one.
class Rng {
 public:
  /// The generator of that seed and stream, at its beginning.
  explicit Rng(std::uint64_t seed = 0, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  /// 32 random bits.
  std::uint32_t next();
  /// Uniform on [0, 1), 53 random bits.
  double uniform();
  /// Normal, mean 0 and variance 1, by the Box–Muller transform.
  double normal();
  /// Uniform on {0, …, n−1}, without bias (Lemire, "Fast random integer generation in an
  /// interval", 2019). @throws ValueError unless n ≥ 1.
  std::int64_t integer(std::int64_t n);

  /// Independent uniform numbers on [low, high).
  Tensor uniform(const Shape& shape, double low = 0, double high = 1, DType dtype = f32);
  /// Independent normal numbers.
  Tensor normal(const Shape& shape, double mean = 0, double stddev = 1, DType dtype = f32);
  /// A random order of 0, …, n−1 (Fisher–Yates).
  std::vector<std::int64_t> permutation(std::int64_t n);

  /// A generator whose numbers are independent of this one's: the same seed, stream `k` of this
  /// stream. Does not advance this generator.
  Rng split(std::uint64_t k) const;

  /// As given.
  std::uint64_t seed() const { return seed_; }
  /// As given, or chosen by split().
  std::uint64_t stream() const { return stream_; }
  /// How many 32-bit words were drawn; restoring it restores the sequence.
  std::uint64_t position() const { return position_; }
  /// Goes to a position() of before.
  void seek(std::uint64_t position) { position_ = position; }

  /// One Philox4x32-10 block (exposed for the known-answer test).
  static std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                             std::array<std::uint32_t, 2> key);

 private:
  std::uint64_t seed_, stream_, position_ = 0;
  std::uint64_t block_ = ~std::uint64_t{0};
  std::array<std::uint32_t, 4> words_{};
};

}  // namespace xtape
