#include <cstring>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <xtape/autodiff/backend.hpp>
#include <xtape/autodiff/kernels/gemm.hpp>
#include <xtape/autodiff/kernels/gemm_kernels.hpp>
#include <xtape/autodiff/log.hpp>
#include <xtape/autodiff/threads.hpp>

#include "support.hpp"

using namespace xtape;
using kernels::Gemm;
using kernels::GemmSimd;

namespace {

// What the tests change for the whole process, put back at the end.
struct Restore {
  ~Restore() {
    set_num_threads(threads);
    set_blas_backend(backend);
    kernels::set_gemm_simd(simd);
  }
  int threads = num_threads();
  BlasBackend backend = blas_backend();
  GemmSimd simd = kernels::gemm_simd_level();
};

template <class T>
std::vector<T> numbers(std::int64_t n, std::uint32_t seed) {
  std::vector<T> v(static_cast<std::size_t>(n));
  for (T& x : v) {
    seed = seed * 1664525U + 1013904223U;
    x = static_cast<T>(static_cast<double>(seed >> 8) / (1 << 23) - 1);
  }
  return v;
}

template <class T>
struct Problem {
  Gemm g;
  std::vector<T> a, b, c;
  explicit Problem(const Gemm& gemm)
      : g(gemm),
        a(numbers<T>(g.m * g.k, 1)),
        b(numbers<T>(g.k * g.n, 2)),
        c(numbers<T>(g.m * g.n, 3)) {
    // Whoever reads C in spite of beta = 0 spreads this.
    if (g.beta == 0) std::fill(c.begin(), c.end(), std::numeric_limits<T>::quiet_NaN());
  }
  std::vector<T> result() const {
    // A guard behind C sees who writes too far.
    std::vector<T> out(c);
    out.resize(c.size() + 64, T{42});
    kernels::gemm(g, a.data(), b.data(), out.data());
    for (std::size_t i = c.size(); i < out.size(); ++i) {
      if (out[i] != T{42}) FAIL("wrote beyond C");
    }
    out.resize(c.size());
    return out;
  }
  // The largest error, over the size that the sum of its terms' magnitudes allows.
  double error() const {
    const std::vector<T> got = result();
    const auto at = [](const std::vector<T>& v, std::int64_t i) {
      return static_cast<double>(v[static_cast<std::size_t>(i)]);
    };
    double worst = 0;
    for (std::int64_t i = 0; i < g.m; ++i) {
      for (std::int64_t j = 0; j < g.n; ++j) {
        double sum = 0, size = g.beta == 0 ? 1e-3 : std::abs(at(c, i * g.n + j));
        for (std::int64_t p = 0; p < g.k; ++p) {
          const double x = at(a, g.transpose_a ? p * g.m + i : i * g.k + p) *
                           at(b, g.transpose_b ? j * g.k + p : p * g.n + j);
          sum += x;
          size += std::abs(x);
        }
        double want = g.alpha * sum;
        if (g.beta != 0) want += g.beta * at(c, i * g.n + j);
        const double e = std::abs(at(got, i * g.n + j) - want) / size;
        if (!(e <= worst)) worst = e;  // NaN, too
      }
    }
    return worst / static_cast<double>(std::numeric_limits<T>::epsilon());
  }
};

std::string text(const Gemm& g) {
  return std::to_string(g.m) + "×" + std::to_string(g.n) + "×" + std::to_string(g.k) +
         (g.transpose_a ? " T" : " N") + (g.transpose_b ? "T" : "N") + " alpha " +
         std::to_string(g.alpha) + " beta " + std::to_string(g.beta);
}

// The four transpositions and the kinds of alpha and beta of one shape, in both types.
void check(std::int64_t m, std::int64_t n, std::int64_t k) {
  for (int flags = 0; flags < 4; ++flags) {
    for (const auto& [alpha, beta] : {std::pair{1., 0.}, {-0.5, 0.}, {1., 1.}, {2., -0.25}}) {
      const Gemm g{m, n, k, (flags & 1) != 0, (flags & 2) != 0, alpha, beta};
      INFO(text(g));
      CHECK(Problem<float>(g).error() < 8);
      CHECK(Problem<double>(g).error() < 8);
    }
  }
}

const std::vector<GemmSimd> kLevels = {GemmSimd::baseline, GemmSimd::avx2, GemmSimd::avx512};

}  // namespace

TEST_CASE("products of every shape class", "[gemm]") {
  const Restore restore;
  set_blas_backend(BlasBackend::own);
  for (const GemmSimd level : kLevels) {
    if (!kernels::set_gemm_simd(level)) continue;
    INFO("instruction set " << static_cast<int>(level));
    // Edges of vectors and register blocks: all heights and widths up to beyond two vectors.
    for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17}) {
      for (const std::int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 70}) {
        for (const std::int64_t k : {1, 2, 3, 9}) check(m, n, k);
      }
    }
    check(32, 32, 32);
    check(37, 41, 29);
    check(13, 40, 300);   // two passes along k
    check(260, 33, 20);   // two strips of rows
    check(520, 5, 257);   // and both
    check(70, 530, 17);   // B with rows far apart is packed, by the first block where it is full
    check(600, 130, 10);  // A transposed with rows far apart, in f64 …
    check(1030, 128, 9);  // … and in f32
  }
}

TEST_CASE("matrix times vector, column times row", "[gemm]") {
  const Restore restore;
  for (const GemmSimd level : kLevels) {
    if (!kernels::set_gemm_simd(level)) continue;
    INFO("instruction set " << static_cast<int>(level));
    for (const std::int64_t n : {1, 2, 6, 13, 64, 100, 301, 784}) {
      for (const std::int64_t k : {2, 3, 5, 16, 33, 128, 130}) {
        check(1, n, k);
        check(n, 1, k);
      }
      for (const std::int64_t m : {1, 2, 5, 64}) {
        check(m, n, 1);
        check(n, m, 1);
      }
    }
  }
}

TEST_CASE("products without elements, and sums without terms", "[gemm]") {
  check(0, 3, 4);
  check(3, 0, 4);
  check(3, 4, 0);
  check(40, 50, 0);
  check(1, 7, 0);
  check(0, 0, 0);
}

TEST_CASE("products by each backend", "[gemm]") {
  const Restore restore;
  for (const BlasBackend backend :
       {BlasBackend::automatic, BlasBackend::openblas, BlasBackend::onednn}) {
    if (backend == BlasBackend::onednn && !backend_info().has_onednn) {
      REQUIRE_ERROR(set_blas_backend(backend), ValueError, "built without it");
      continue;
    }
    set_blas_backend(backend);
    CHECK(blas_backend() == backend);
    for (const GemmSimd level : kLevels) {
      if (!kernels::set_gemm_simd(level)) continue;
      INFO("backend " << static_cast<int>(backend) << ", instruction set "
                      << static_cast<int>(level));
      check(2, 2, 2);
      check(33, 20, 47);
      check(64, 65, 66);
      check(150, 170, 130);  // in pieces
    }
  }
}

TEST_CASE("the number of threads changes no bit", "[gemm]") {
  const Restore restore;
  const auto check_bits = [](const auto& p) {
    set_num_threads(1);
    const auto one = p.result();
    for (const int threads : {2, 5}) {
      set_num_threads(threads);
      const auto many = p.result();
      CHECK(std::memcmp(one.data(), many.data(), one.size() * sizeof one[0]) == 0);
    }
  };
  for (const BlasBackend backend :
       {BlasBackend::automatic, BlasBackend::own, BlasBackend::openblas, BlasBackend::onednn}) {
    if (backend == BlasBackend::onednn && !backend_info().has_onednn) continue;
    set_blas_backend(backend);
    for (const auto& [m, n, k] : std::vector<std::tuple<int, int, int>>{
             {256, 128, 300}, {64, 784, 128}, {520, 260, 270}, {1, 2100, 1030}, {1500, 1800, 1}}) {
      for (int flags = 0; flags < 4; ++flags) {
        const Problem<float> p({m, n, k, (flags & 1) != 0, (flags & 2) != 0, 0.5, 0.25});
        INFO(text(p.g) << ", backend " << static_cast<int>(backend));
        check_bits(p);
        if (flags == 2) CHECK(p.error() < 8);
      }
    }
  }
  // Our own kernels are cut as the threads ask for: at every level the blocks must round alike.
  set_blas_backend(BlasBackend::own);
  for (const GemmSimd level : kLevels) {
    if (!kernels::set_gemm_simd(level)) continue;
    INFO("instruction set " << static_cast<int>(level));
    for (int flags = 0; flags < 4; ++flags) {
      for (const auto& [alpha, beta] : {std::pair{0.3, 0.}, {0.3, 1.}, {0.3, 0.7}}) {
        const Gemm g{300, 203, 301, (flags & 1) != 0, (flags & 2) != 0, alpha, beta};
        INFO(text(g));
        check_bits(Problem<float>(g));
        check_bits(Problem<double>(g));
      }
    }
  }
}

TEST_CASE("batches of products are shared out, with the same bits", "[gemm]") {
  const Restore restore;
  Rng rng(7);
  const Tensor a = rng.normal({6, 1, 64, 60}), b = rng.normal({5, 60, 70});
  set_num_threads(1);
  const Tensor one = matmul(a, b).value();
  set_num_threads(2);
  const Tensor two = matmul(a, b).value();
  REQUIRE(one.shape() == Shape{6, 5, 64, 70});
  CHECK(std::memcmp(one.data<float>(), two.data<float>(),
                    static_cast<std::size_t>(one.size()) * sizeof(float)) == 0);
  // Each product is that of its matrices.
  for (const auto& [i, j] : {std::pair{0, 0}, {0, 3}, {4, 1}, {5, 4}}) {
    const auto at = [](const Var& x, std::int64_t axis, std::int64_t k) {
      return slice(x, axis, {.start = k, .stop = k + 1});
    };
    const Var single = matmul(reshape(at(a, 0, i), {64, 60}), reshape(at(b, 0, j), {60, 70}));
    const Var in_batch = reshape(at(at(two, 0, i), 1, j), {64, 70});
    CHECK(test::relative_difference(in_batch.value(), single.value()) < 1e-6);
  }
}

TEST_CASE("the backend says what it is", "[gemm]") {
  const Restore restore;
  const BackendInfo info = backend_info();
  CHECK(info.threads == num_threads());
  CHECK(!info.blas.empty());
  CHECK_FALSE((info.is_openblas && info.is_reference));
  CHECK_THAT(info.str(), ContainsSubstring(info.simd) && ContainsSubstring("thread"));
  kernels::set_gemm_simd(GemmSimd::baseline);
  CHECK(backend_info().simd == "baseline");
}

TEST_CASE("messages go to the sink that the caller set", "[log]") {
  CHECK_FALSE(detail::log("nobody listens"));
  std::vector<std::string> heard;
  set_log_sink(
      [](void* context, const char* message) {
        static_cast<std::vector<std::string>*>(context)->emplace_back(message);
      },
      &heard);
  CHECK(detail::log("something"));
  set_log_sink(nullptr);
  CHECK_FALSE(detail::log("nobody listens again"));
  CHECK(heard == std::vector<std::string>{"something"});
}
