#include <cmath>
#include <numbers>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/autodiff/random.hpp>
#include <xtape/autodiff/rng.hpp>
#include <xtape/autodiff/threads.hpp>

namespace xtape {
namespace {

using namespace rules;

struct RandomAttrs {
  bool normal;
  std::string str() const { return normal ? "normal" : "uniform"; }
  bool operator==(const RandomAttrs&) const = default;
};

// Words of 32 bits that an element takes: 24 or 53 random bits make a number, two a normal one.
std::int64_t words(DType dtype, bool normal) { return (dtype == f64 ? 2 : 1) * (normal ? 2 : 1); }
std::int64_t blocks(std::int64_t n, DType dtype, bool normal) {
  return (n * words(dtype, normal) + 3) / 4;
}

using Words = std::array<std::uint32_t, 4>;

template <class T>
T uniform_of(const std::uint32_t* w) {
  if constexpr (std::is_same_v<T, float>) {
    return static_cast<float>(w[0] >> 8) * 0x1p-24F;
  } else {
    const std::uint64_t bits = (std::uint64_t{w[0] >> 5} << 26) | (w[1] >> 6);
    return static_cast<double>(bits) * 0x1p-53;
  }
}

template <class T>
T normal_of(const std::uint32_t* w) {
  const T u = 1 - uniform_of<T>(w);  // (0, 1]: its logarithm is finite
  const T v = uniform_of<T>(w + words(dtype_of<T>(), false));
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi_v<T> * v);
}

// Where numbers come from.
struct Place {
  std::uint64_t seed, stream, position;
};

// Elements of the blocks [first, last): what an element is depends on its place alone.
template <class T>
void fill(bool normal, Place at, T* out, std::int64_t n, std::int64_t first, std::int64_t last) {
  const std::int64_t w = words(dtype_of<T>(), normal), per_block = 4 / w;
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  for (std::int64_t b = first; b < last; ++b) {
    const std::uint64_t counter = at.position + static_cast<std::uint64_t>(b);
    const Words r = Rng::philox({low(counter), high(counter), low(at.stream), high(at.stream)},
                                {low(at.seed), high(at.seed)});
    const std::int64_t end = std::min(n, (b + 1) * per_block);
    for (std::int64_t i = b * per_block, k = 0; i < end; ++i, k += w) {
      out[i] = normal ? normal_of<T>(&r[static_cast<std::size_t>(k)])
                      : uniform_of<T>(&r[static_cast<std::size_t>(k)]);
    }
  }
}

void random_kernel(const KernelArgs& args) {
  constexpr std::int64_t kPiece = 4096;  // blocks that one thread fills at a time
  const bool normal = get_attrs<RandomAttrs>(args.attrs).normal;
  const auto* const position = static_cast<const std::int64_t*>(args.in[1].data);
  const auto* const key = static_cast<const std::int64_t*>(args.in[2].data);
  const Place at{static_cast<std::uint64_t>(key[0]), static_cast<std::uint64_t>(key[1]),
                 static_cast<std::uint64_t>(*position)};
  const std::int64_t n = args.spec.shape.size(), all = blocks(n, args.spec.dtype, normal);
  dispatch_floating(args.spec.dtype, [&](auto zero) {
    auto* out = static_cast<decltype(zero)*>(args.out);
    detail::parallel_for((all + kPiece - 1) / kPiece, [&](std::int64_t piece) {
      fill(normal, at, out, n, piece * kPiece, std::min(all, (piece + 1) * kPiece));
    });
  });
}

Spec random_infer(const InferArgs& a) {
  floating_unary(a);
  if (a.in[1]->dtype != i64 || a.in[1]->shape.size() != 1) {
    throw DTypeError("random", "the position must be one i64 number");
  }
  if (a.in[2]->dtype != i64 || a.in[2]->shape != Shape{2}) {
    throw DTypeError("random", "seed and stream must be two i64 numbers");
  }
  return *a.in[0];
}

std::vector<Sample> random_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}, Shape{0}}) {
    for (const bool normal : {false, true}) {
      out.push_back({shape.str(), {s.draw(shape)}, [normal](std::span<const Var> in) {
                       Generator g(3);  // the same numbers at every call, and for both dtypes
                       const Var wide = cast(in[0], f64);
                       const Var r = normal ? normal_like(wide, g) : uniform_like(wide, g);
                       return in[0] * cast(r, in[0].dtype());
                     }});
    }
  }
  return out;
}

constexpr Op kRandom{.name = "random",
                     .math = "y = random numbers in the shape of x",
                     .gradient = "none: y does not depend on x",
                     .arity = 3,
                     .infer = random_infer,
                     .kernel = random_kernel,
                     .samples = random_samples};

Var random_like(const Var& x, Generator& g, bool normal) {
  Parameter position = g.position();
  const bool recording = x.tape() && x.tape()->recording();
  const auto read = [&](const Parameter& p) { return recording ? beside(p, x) : Var(p.value()); };
  const Var at = read(position), key = read(g.key());
  Var y = apply(kRandom, {&x, &at, &key}, make_attrs(RandomAttrs{normal}));
  const Var next = at + static_cast<double>(blocks(x.size(), x.dtype(), normal));
  if (recording) {
    assign(position, next);
  } else {
    position.assign(next.value());
  }
  return y;
}

}  // namespace

namespace {
Tensor key_of(std::uint64_t seed, std::uint64_t stream) {
  const std::int64_t both[] = {static_cast<std::int64_t>(seed), static_cast<std::int64_t>(stream)};
  return Tensor::from(std::span<const std::int64_t>(both), {2});
}
std::uint64_t part(const Parameter& key, std::size_t i) {
  return static_cast<std::uint64_t>(key.value().data<std::int64_t>()[i]);
}
}  // namespace

Generator::Generator(std::uint64_t seed, std::uint64_t stream)
    : key_(Parameter::buffer(key_of(seed, stream), "generator.key")),
      position_(Parameter::buffer(Tensor::scalar(0, i64), "generator")) {}

std::uint64_t Generator::seed() const { return part(key_, 0); }
std::uint64_t Generator::stream() const { return part(key_, 1); }

void Generator::reseed(std::uint64_t seed, std::uint64_t stream) {
  key_.assign(key_of(seed, stream));
  seek(0);
}

void Generator::seek(std::int64_t position) {
  position_.assign(Tensor::scalar(static_cast<double>(position), i64));
}

Var uniform_like(const Var& x, Generator& g) { return random_like(x, g, false); }
Var normal_like(const Var& x, Generator& g) { return random_like(x, g, true); }

Var dropout(const Var& x, double p, Generator& g) {
  if (!(p >= 0 && p < 1)) {
    throw ValueError("dropout", "p = " + detail::text(p) + ": must be in [0, 1)");
  }
  return where(uniform_like(x, g) >= p, x * (1 / (1 - p)), 0);
}

namespace families {
Family random() { return {&kRandom}; }
}  // namespace families

}  // namespace xtape
