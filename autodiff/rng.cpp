#include <cmath>
#include <numbers>
#include <numeric>
#include <string>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/rng.hpp>

namespace xtape {
namespace {

__extension__ typedef unsigned __int128 Wide;

constexpr std::uint32_t low(std::uint64_t v) { return static_cast<std::uint32_t>(v); }
constexpr std::uint32_t high(std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); }

}  // namespace

std::array<std::uint32_t, 4> Rng::philox(std::array<std::uint32_t, 4> c,
                                         std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c[2];
    c = {high(b) ^ c[1] ^ k[0], low(b), high(a) ^ c[3] ^ k[1], low(a)};
    k = {k[0] + 0x9E3779B9U, k[1] + 0xBB67AE85U};
  }
  return c;
}

std::uint32_t Rng::next() {
  if (const std::uint64_t block = position_ / 4; block != block_) {
    words_ =
        philox({low(block), high(block), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
    block_ = block;
  }
  return words_[position_++ % 4];
}

double Rng::uniform() {
  const std::uint64_t a = next() >> 5, b = next() >> 6;
  return static_cast<double>((a << 26) | b) * 0x1p-53;
}

double Rng::normal() {
  const double u = 1 - uniform();  // (0, 1]: its logarithm is finite
  const double v = uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

std::int64_t Rng::integer(std::int64_t n) {
  if (n < 1) throw ValueError("Rng::integer", "n = " + std::to_string(n) + ": must be 1 or more");
  const auto range = static_cast<std::uint64_t>(n);
  const std::uint64_t threshold = (0 - range) % range;
  while (true) {
    const std::uint64_t hi_word = next();
    const std::uint64_t x = (hi_word << 32) | next();
    const Wide product = static_cast<Wide>(x) * range;
    if (static_cast<std::uint64_t>(product) >= threshold) {
      return static_cast<std::int64_t>(product >> 64);
    }
  }
}

Tensor Rng::uniform(const Shape& shape, double lo, double hi, DType dtype) {
  Tensor t = Tensor::empty(shape, f64);
  auto* out = static_cast<double*>(t.raw());
  for (std::int64_t i = 0; i < t.size(); ++i) out[i] = lo + (hi - lo) * uniform();
  return t.to(dtype);
}

Tensor Rng::normal(const Shape& shape, double mean, double stddev, DType dtype) {
  Tensor t = Tensor::empty(shape, f64);
  auto* out = static_cast<double*>(t.raw());
  for (std::int64_t i = 0; i < t.size(); ++i) out[i] = mean + stddev * normal();
  return t.to(dtype);
}

std::vector<std::int64_t> Rng::permutation(std::int64_t n) {
  if (n < 0) throw ValueError("Rng::permutation", "n = " + std::to_string(n) + ": must be >= 0");
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(integer(i + 1))]);
  }
  return order;
}

Rng Rng::split(std::uint64_t k) const {
  const auto h = philox({low(k), high(k), low(stream_), high(stream_)}, {low(seed_), 0x5eed5011U});
  return Rng(seed_, (std::uint64_t{h[0]} << 32) | h[1]);
}

}  // namespace xtape
