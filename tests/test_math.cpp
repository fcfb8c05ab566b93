#include <bit>
#include <cstdio>
#include <cstdlib>

#include <xtape/autodiff/kernels/simd.hpp>

#include "support.hpp"

// The functions of the elementwise kernels against the C library's at a higher precision, at every
// level of SIMD: errors in units of the last place, special values, and that an element's bits
// depend on nothing but the element.
namespace xtape {
namespace {

using Wide = long double;
constexpr double kInf = std::numeric_limits<double>::infinity();

constexpr Simd kLevels[] = {Simd::baseline, Simd::avx2, Simd::avx512};
const char* const kLevelNames[] = {"baseline", "avx2", "avx512"};

// Calls f once per level that the machine has; the best one is in use afterwards.
template <class F>
void at_each_level(F&& f) {
  for (const Simd level : kLevels) {
    if (level > best_simd_level()) break;
    set_simd_level(level);
    f(level);
  }
  set_simd_level(best_simd_level());
}

template <class S>
S sigmoid_of(S x) {
  const S e = std::exp(-std::abs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
template <class S>
S softplus_of(S x) {
  return std::max(x, S{0}) + std::log1p(std::exp(-std::abs(x)));
}

struct MathFunction {
  const char* name;
  Var (*f)(const Var&);
  double (*exact)(double);
  Wide (*exact_wide)(Wide);
  double ulps32, ulps64;
};
#define XTAPE_FUNCTION(name, reference, ulps32, ulps64)                                            \
  {                                                                                                \
#name, name,                                                                                   \
        [](double x) { return reference(x); }, [](Wide x) { return reference(x); }, ulps32, ulps64 \
  }
const MathFunction kFunctions[] = {
    XTAPE_FUNCTION(exp, std::exp, 1.0, 1.0),         XTAPE_FUNCTION(expm1, std::expm1, 2.0, 2.5),
    XTAPE_FUNCTION(log, std::log, 1.0, 1.0),         XTAPE_FUNCTION(log1p, std::log1p, 1.0, 1.0),
    XTAPE_FUNCTION(tanh, std::tanh, 1.5, 3.0),       XTAPE_FUNCTION(sigmoid, sigmoid_of, 2.0, 2.0),
    XTAPE_FUNCTION(softplus, softplus_of, 2.0, 2.0), XTAPE_FUNCTION(erf, std::erf, 1.5, 2.0),
    XTAPE_FUNCTION(sin, std::sin, 2.0, 2.5),         XTAPE_FUNCTION(cos, std::cos, 2.0, 2.5),
};

// |computed − exact| in units of the last place that T has at `exact`; 0 where both are NaN, or
// where `exact` rounds to the same infinity.
template <class T, class S>
double ulps(T computed, S exact) {
  const T rounded = static_cast<T>(exact);
  if (std::isnan(rounded) || std::isnan(computed)) {
    return std::isnan(rounded) && std::isnan(computed) ? 0 : kInf;
  }
  if (std::isinf(rounded) || std::isinf(computed)) return computed == rounded ? 0 : kInf;
  const S size = std::abs(exact);
  const int exponent = size == 0 ? -10000 : std::ilogb(size);
  const int least = std::numeric_limits<T>::min_exponent - 1;
  const S unit = std::ldexp(S{1}, std::max(exponent, least) - std::numeric_limits<T>::digits + 1);
  return static_cast<double>(std::abs(static_cast<S>(computed) - exact) / unit);
}

template <class T, class S>
void check_errors(const MathFunction& c, const std::vector<T>& points, S (*exact)(S),
                  double allowed) {
  const Tensor x = Tensor::from(points);
  std::vector<S> want;
  for (const T p : points) want.push_back(exact(static_cast<S>(p)));
  at_each_level([&](Simd level) {
    const Tensor y = c.f(x).value();
    const T* got = y.data<T>();
    double worst = 0;
    std::size_t where = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const double error = ulps(got[i], want[i]);
      if (error > worst) worst = error, where = i;
    }
    const char* name = kLevelNames[static_cast<int>(level)];
    if (std::getenv("XTAPE_PRINT_ULPS") != nullptr) {
      std::printf("%-8s f%zu %-8s %.3f ulp at %.9g\n", c.name, 8 * sizeof(T), name, worst,
                  static_cast<double>(points[where]));
    }
    INFO(c.name << " f" << 8 * sizeof(T) << ' ' << name << " at " << points[where]);
    CHECK(worst <= allowed);
  });
}

// Numbers that make trouble: ends of ranges, and where formulas change.
const double kSpecial[] = {0.0,     -0.0,   kInf,    -kInf,     std::nan(""), 1,       -1,
                           5e-324,  2e-308, 1e-300,  1.4e-45,   1e-38,        1.2e-38, 0.5,
                           0.7071,  1.4142, 1e300,   3.4e38,    88.72283,     88.7229, -87.33655,
                           -103.97, -104,   709.782, 709.7828,  -708.4,       -745.13, -745.2,
                           9.01,    19.06,  1e6,     1000000.1, 1e22};

// A stride of all 2^32 patterns.
std::vector<float> float_points() {
  std::vector<float> out;
  for (const double s : kSpecial) {
    out.push_back(static_cast<float>(s));
    out.push_back(static_cast<float>(-s));
  }
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 2003) {
    out.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  return out;
}

// Every order of magnitude, the range where most happens densely, and random ones.
std::vector<double> double_points() {
  std::vector<double> out;
  for (const double s : kSpecial) out.insert(out.end(), {s, -s});
  for (double x = 5e-324; x < 1e308; x *= x < 1e-306 ? 2 : 1.037) out.insert(out.end(), {x, -x});
  for (double x = -12; x < 12; x += 0.000317) out.push_back(x);
  for (double x = -760; x < 760; x += 0.0371) out.push_back(x);
  Rng rng(3);
  for (int i = 0; i < 60000; ++i) {
    const double u = rng.uniform();
    out.insert(out.end(), {u, 4 * u - 2, 1 + (u - 0.5) / 256, 2e5 * u - 1e5});
  }
  return out;
}

}  // namespace

TEST_CASE("f32 functions are right to the last place or two over the whole range", "[math]") {
  const auto points = float_points();
  for (const MathFunction& c : kFunctions) check_errors(c, points, c.exact, c.ulps32);
}

TEST_CASE("f64 functions are right to a few units in the last place", "[math]") {
  const auto points = double_points();
  for (const MathFunction& c : kFunctions) check_errors(c, points, c.exact_wide, c.ulps64);
}

TEST_CASE("functions keep the sign of zero", "[math]") {
  at_each_level([](Simd) {
    for (const DType dtype : {f32, f64}) {
      for (const auto f : {expm1, log1p, tanh, erf, sin}) {
        const Tensor y = f(Tensor({0.0, -0.0}, dtype)).value();
        CHECK(y.flat(0) == 0);
        CHECK_FALSE(std::signbit(y.flat(0)));
        CHECK(y.flat(1) == 0);
        CHECK(std::signbit(y.flat(1)));
      }
    }
  });
}

TEST_CASE("an element's bits depend neither on its place nor on the length of the array",
          "[math]") {
  const auto same = [](const Tensor& part, const Tensor& whole, std::int64_t n) {
    return identical(part, slice(whole, 0, {0, n}).value());
  };
  const auto affine = [](const Var& x) { return multiply_add(x, 1.1, x * x); };
  std::vector<Var (*)(const Var&)> functions{affine};
  for (const MathFunction& c : kFunctions) functions.push_back(c.f);
  Rng rng(11);
  at_each_level([&](Simd level) {
    for (const DType dtype : {f32, f64}) {
      const Tensor x = rng.normal({5000}, 0, 3, dtype);
      for (std::size_t k = 0; k < functions.size(); ++k) {
        const Tensor whole = functions[k](x).value();
        bool equal = true;
        for (std::int64_t n = 1; n <= 100; ++n) {
          equal = equal && same(functions[k](slice(x, 0, {0, n})).value(), whole, n);
        }
        const Tensor second = functions[k](slice(x, 0, {1, 5000})).value();
        equal = equal && identical(second, slice(whole, 0, {1, 5000}).value());
        INFO("function " << k << ' ' << name(dtype) << ' ' << kLevelNames[static_cast<int>(level)]);
        CHECK(equal);
      }
    }
  });
}

TEST_CASE("an operand that repeats gives the bits of one that was repeated", "[math]") {
  Rng rng(12);
  at_each_level([&](Simd) {
    for (const DType dtype : {f32, f64}) {
      const Tensor x = rng.normal({37}, 0, 3, dtype), one = rng.normal({1}, 0, 3, dtype);
      const Tensor many = broadcast_to(one, {37}).value();
      CHECK(identical(multiply_add(x, one, one).value(), multiply_add(x, many, many).value()));
      CHECK(identical(multiply_add(one, one, x).value(), multiply_add(many, many, x).value()));
      CHECK(identical(tanh_grad(x, one).value(), tanh_grad(x, many).value()));
    }
  });
}

TEST_CASE("large arguments of sin and cos are right, and leave their neighbours alone", "[math]") {
  at_each_level([](Simd) {
    const Tensor x({1, 1e22, 2, -3e7, kInf});
    CHECK(sin(x).value().flat(1) == std::sin(1e22));
    CHECK(cos(x).value().flat(3) == std::cos(-3e7));
    CHECK(std::isnan(sin(x).value().flat(4)));
    CHECK(sin(x).value().flat(2) == sin(Tensor({2.0})).value().flat(0));
  });
}

TEST_CASE("reductions agree with plain loops at every length and level", "[math]") {
  Rng rng(13);
  at_each_level([&](Simd) {
    for (const DType dtype : {f32, f64}) {
      for (const std::int64_t n : {1, 2, 15, 16, 17, 63, 64, 65, 127, 1000, 70001}) {
        const Tensor x = rng.normal({n}, 0, 3, dtype);
        double total = 0, largest = -kInf, least = kInf, terms = 0;
        for (std::int64_t i = 0; i < n; ++i) {
          total += x.flat(i);
          largest = std::max(largest, x.flat(i));
          least = std::min(least, x.flat(i));
          terms += std::exp(x.flat(i));
        }
        const double unit = dtype == f32 ? 1e-6 : 1e-13;
        CHECK(std::abs(sum(x).item() - total) <= unit * static_cast<double>(n));
        CHECK(max(x).item() == largest);
        CHECK(min(x).item() == least);
        CHECK(logsumexp(x).item() == Approx(std::log(terms)).epsilon(unit));
        const Var column = reshape(x, {n, 1}) + Tensor::zeros({1, 3}, dtype);
        CHECK(max(column, 0).value().flat(2) == largest);
        CHECK(logsumexp(column, 0).value().flat(1) == Approx(std::log(terms)).epsilon(unit));
        CHECK(sum(softmax(x, 0)).item() == Approx(1).epsilon(10 * unit));
        CHECK(exp(log_softmax(x, 0)).value().flat(0) ==
              Approx(softmax(x, 0).value().flat(0)).epsilon(10 * unit));
      }
    }
  });
}

TEST_CASE("sums have the same bits at every level", "[math]") {
  Rng rng(14);
  const Tensor x = rng.normal({70, 301}, 0, 1, f32);
  std::vector<Tensor> rows, columns;
  at_each_level([&](Simd) {
    rows.push_back(sum(x, 1).value());
    columns.push_back(sum(x, 0).value());
  });
  for (const Tensor& r : rows) CHECK(identical(r, rows[0]));
  for (const Tensor& c : columns) CHECK(identical(c, columns[0]));
}

}  // namespace xtape
