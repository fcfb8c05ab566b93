#include "support.hpp"

// Random graphs: whatever passes a program goes through, it computes what eager code does, with any
// number of threads, in whatever blocks its groups run.
namespace xtape {
namespace {

// Relative to the largest element, or to 1: sums that cancel have no digits to compare.
double difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0, size = 1;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(a.flat(i) - b.flat(i));
    if (std::isnan(d)) return d;
    worst = std::max(worst, d);
    size = std::max(size, std::abs(b.flat(i)));
  }
  return worst / size;
}

// Grows a graph of values that have the shapes [m, n], [m, 1], [1, n], [n] and [] at random.
class Growth {
 public:
  explicit Growth(std::uint64_t seed) : rng_(seed) {}

  std::vector<Var> operator()(std::span<const Var> inputs) {
    Rng rng = rng_;  // the same choices in every recording
    std::vector<Var> v(inputs.begin(), inputs.end());
    const auto pick = [&] { return v[static_cast<std::size_t>(rng.integer(std::ssize(v)))]; };
    for (int i = 0; i < 25; ++i) v.push_back(grow(rng, pick(), pick()));
    Var loss = sum(v.back());
    for (int i = 0; i < 3; ++i) loss = loss + mean(pick());
    std::vector<Var> out{loss, v.back(), v[v.size() - 2]};
    for (const Var& g : gradient(loss, std::vector<Var>(inputs.begin(), inputs.end()),
                                 {.unconnected = Unconnected::zero})) {
      if (g.tape()) out.push_back(g);
    }
    return out;
  }

 private:
  Var grow(Rng& rng, const Var& a, const Var& b) const {
    switch (rng.integer(20)) {
      case 0:
        return a + b;
      case 1:
        return a - b;
      case 2:
        return a * b;
      case 3:
        return tanh(a);
      case 4:
        return sigmoid(a - b);
      case 5:
        return exp(-square(a));
      case 6:
        return maximum(a, b);
      case 7:
        return where(a > b, a, 0.5 * b);
      case 8:
        return a.rank() > 0 ? sum(a, 0) / 50 : a * a;
      case 9:
        return a.rank() > 0 ? mean(a, -1, true) : -a;
      case 10:
        return a.rank() == 2 ? softmax(a) : sin(a);
      case 11:
        return a.rank() == 2 ? logsumexp(a, {-1}, true) : cos(a);
      case 12:
        return a.rank() == 2 ? log_softmax(a) : a / (1 + square(b));
      case 13:
        return a.rank() == 2 ? a - max(a, -1, true) : min(a);
      case 14:
        return reshape(reshape(a, {-1}), a.shape());
      case 15:
        return matmul_of(a, b);
      case 16:
        return a * 2 + 0 * 1.0;
      case 17:
        return -(-a) * 1 + b;
      case 18:
        return stop_gradient(a) * b;
      default:
        return relu(a) + broadcast_to(b, broadcast("", a.shape(), b.shape()));
    }
  }

  static Var matmul_of(const Var& a, const Var& b) {
    if (a.rank() != 2 || b.rank() != 2) return a + b;
    if (a.shape()[1] == b.shape()[1]) return tanh(matmul(matmul(a, transpose(b)), b) / 1000);
    return a * b;
  }

  Rng rng_;
};

Passes random_passes(Rng& rng) {
  const auto coin = [&] { return rng.integer(2) == 1; };
  return {coin(), coin(), coin(), coin(), coin(), coin(), coin(), coin()};
}

}  // namespace

TEST_CASE("programs of random graphs agree with eager code, by any passes", "[program][random]") {
  const int threads = num_threads();
  struct Size {
    std::int64_t rows, cols;
  };
  // One block; several blocks of several rows; rows longer than a block; more than one chunk.
  const Size sizes[] = {{3, 4}, {130, 60}, {3, 2500}, {2, 9000}, {700, 90}};
  for (std::uint64_t seed = 0; seed < 120; ++seed) {
    const Size size = sizes[seed % std::size(sizes)];
    Rng rng(seed, 1);
    const std::vector<Tensor> x{rng.uniform({size.rows, size.cols}, -1, 1, f64),
                                rng.uniform({size.rows, size.cols}, -1, 1, f64),
                                rng.uniform({size.rows, 1}, -1, 1, f64),
                                rng.uniform({size.cols}, -1, 1, f64), rng.uniform({}, -1, 1, f64)};
    Growth f(seed);
    Tape tape;
    std::vector<Var> vars;
    for (const Tensor& t : x) vars.push_back(tape.variable(t));
    const std::vector<Var> want = f(vars);
    std::vector<Spec> specs;
    for (const Tensor& t : x) specs.push_back(t.spec());
    for (int variant = 0; variant < 4; ++variant) {
      const Passes passes = variant == 0   ? Passes{}
                            : variant == 1 ? Passes::none()
                                           : random_passes(rng);
      Program p = compile(f, specs, {.passes = passes});
      set_num_threads(1);
      const std::vector<Tensor> got = p.run(x);  // copies: the next run must leave them alone
      set_num_threads(3);
      const std::vector<Tensor>& again = p.run(x);
      set_num_threads(threads);
      CHECK((!passes.plan_memory ||
             static_cast<double>(p.arena_bytes()) <= 1.1 * static_cast<double>(p.least_bytes())));
      INFO("seed " << seed << " variant " << variant << '\n' << p.str());
      REQUIRE(got.size() == want.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        INFO("output " << i);
        CHECK(difference(got[i], want[i].value()) < 1e-10);
        CHECK(identical(got[i], again[i]));
      }
    }
  }
}

}  // namespace xtape
