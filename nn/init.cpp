#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/ops.hpp>
#include <xtape/nn/init.hpp>

namespace xtape::nn {
namespace {

double fan_of(Fans f, Fan fan) {
  const auto in = static_cast<double>(f.fan_in), out = static_cast<double>(f.fan_out);
  return fan == Fan::in ? in : fan == Fan::out ? out : (in + out) / 2;
}

// Φ and its inverse.
double below(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

Tensor truncated(const Shape& shape, double mean, double stddev, double low, double high,
                 DType dtype, Rng& rng) {
  const double from = below((low - mean) / stddev), to = below((high - mean) / stddev);
  const Var u = rng.uniform(shape, from, to, f64);
  const Var x = mean + stddev * std::sqrt(2.0) * erfinv(2 * u - 1);
  return clamp(x, low, high).value().to(dtype);
}

// The standard deviation of a normal distribution cut off at two of its own.
constexpr double kCutAtTwo = 0.87962566103423978;

Initializer scaled(std::string name, double gain, Fan fan, Spread spread) {
  if (!(gain > 0)) throw ValueError(name, "gain " + detail::text(gain) + ": must be positive");
  auto draw = [=](const Shape& shape, Fans fans, DType dtype, Rng& rng) {
    const double stddev = gain / std::sqrt(fan_of(fans, fan)), bound = std::sqrt(3.0) * stddev;
    if (spread == Spread::uniform) return rng.uniform(shape, -bound, bound, dtype);
    if (spread == Spread::normal) return rng.normal(shape, 0, stddev, dtype);
    const double wide = stddev / kCutAtTwo;
    return truncated(shape, 0, wide, -2 * wide, 2 * wide, dtype, rng);
  };
  return {std::move(name), std::move(draw)};
}

[[noreturn]] void wrong_rank(const char* name, const Shape& s, const char* want) {
  throw ShapeError(name, "a parameter of shape " + s.str() + ": must be " + want);
}

// Rows i < n of x, each of m numbers, made orthonormal: twice through, as once loses digits (Giraud
// et al., "The loss of orthogonality in the Gram–Schmidt process", 2005).
void orthonormalise(double* x, std::int64_t n, std::int64_t m) {
  for (std::int64_t i = 0; i < n; ++i) {
    double* row = x + i * m;
    for (int pass = 0; pass < 2; ++pass) {
      for (std::int64_t j = 0; j < i; ++j) {
        const double* other = x + j * m;
        const double part = std::inner_product(row, row + m, other, 0.0);
        for (std::int64_t k = 0; k < m; ++k) row[k] -= part * other[k];
      }
    }
    const double norm = std::sqrt(std::inner_product(row, row + m, row, 0.0));
    for (std::int64_t k = 0; k < m; ++k) row[k] /= norm;
  }
}

std::vector<double> numbers(const std::string& text, std::size_t from) {
  std::vector<double> out;
  while (from != std::string::npos) {
    const std::size_t end = text.find(':', from + 1);
    const std::string word = text.substr(from + 1, end - from - 1);
    double v = 0;
    const auto [p, error] = std::from_chars(word.data(), word.data() + word.size(), v);
    if (error != std::errc() || p != word.data() + word.size() || !std::isfinite(v)) {
      throw ParseError("initializer", "'" + word + "' in '" + text + "' is not a number");
    }
    out.push_back(v);
    from = end;
  }
  return out;
}

}  // namespace

Initializer constant(double value) {
  return {"constant", [value](const Shape& shape, Fans, DType dtype, Rng&) {
            return Tensor::full(shape, value, dtype);
          }};
}

Initializer uniform(double low, double high) {
  return {"uniform", [=](const Shape& shape, Fans, DType dtype, Rng& rng) {
            return rng.uniform(shape, low, high, dtype);
          }};
}

Initializer normal(double mean, double stddev) {
  return {"normal", [=](const Shape& shape, Fans, DType dtype, Rng& rng) {
            return rng.normal(shape, mean, stddev, dtype);
          }};
}

Initializer truncated_normal(double mean, double stddev, double low, double high) {
  if (!(low < high) || !(stddev > 0)) {
    throw ValueError("truncated_normal", "[" + detail::text(low) + ", " + detail::text(high) +
                                             "] of stddev " + detail::text(stddev) +
                                             ": must not be empty");
  }
  return {"truncated_normal", [=](const Shape& shape, Fans, DType dtype, Rng& rng) {
            return truncated(shape, mean, stddev, low, high, dtype, rng);
          }};
}

double gain(const std::string& activation, double slope) {
  if (activation == "tanh") return 5.0 / 3;
  if (activation == "relu") return std::sqrt(2.0);
  if (activation == "leaky_relu") return std::sqrt(2 / (1 + slope * slope));
  if (activation == "selu") return 0.75;
  return 1;
}

Initializer variance_scaling(double gain, Fan fan, Spread spread) {
  return scaled("variance_scaling", gain, fan, spread);
}
Initializer xavier_uniform(double gain) {
  return scaled("xavier_uniform", gain, Fan::average, Spread::uniform);
}
Initializer xavier_normal(double gain) {
  return scaled("xavier_normal", gain, Fan::average, Spread::normal);
}
Initializer he_uniform(Fan fan) {
  return scaled("he_uniform", std::sqrt(2.0), fan, Spread::uniform);
}
Initializer he_normal(Fan fan) { return scaled("he_normal", std::sqrt(2.0), fan, Spread::normal); }
Initializer lecun_uniform() { return scaled("lecun_uniform", 1, Fan::in, Spread::uniform); }
Initializer lecun_normal() { return scaled("lecun_normal", 1, Fan::in, Spread::normal); }
Initializer scaled_normal() { return scaled("scaled_normal", 1, Fan::out, Spread::normal); }

Initializer orthogonal(double gain) {
  return {"orthogonal", [gain](const Shape& shape, Fans, DType dtype, Rng& rng) {
            if (shape.rank() < 2) wrong_rank("orthogonal", shape, "of rank 2 or more");
            const std::int64_t rows = shape[0], columns = rows ? shape.size() / rows : 0;
            const std::int64_t few = std::min(rows, columns), many = std::max(rows, columns);
            Tensor x = rng.normal({few, many}, 0, 1, f64);
            orthonormalise(x.mutable_data<double>(), few, many);
            const Var w = rows <= columns ? Var(x) : transpose(x);
            return reshape(w * gain, shape).value().to(dtype);
          }};
}

Initializer identity() {
  return {"identity", [](const Shape& shape, Fans, DType dtype, Rng&) {
            if (shape.rank() != 2) wrong_rank("identity", shape, "a matrix");
            Tensor x = Tensor::zeros(shape, f64);
            for (std::int64_t i = 0; i < std::min(shape[0], shape[1]); ++i) {
              x.mutable_data<double>()[i * shape[1] + i] = 1;
            }
            return x.to(dtype);
          }};
}

Initializer dirac(std::int64_t groups) {
  return {"dirac", [groups](const Shape& shape, Fans, DType dtype, Rng&) {
            if (shape.rank() < 3 || shape.rank() > 5 || groups < 1 || shape[0] % groups != 0) {
              wrong_rank("dirac", shape, "[out, in, window…] with groups that divide out");
            }
            Tensor x = Tensor::zeros(shape, f64);
            const std::int64_t out = shape[0] / groups;
            std::int64_t window = 1, middle = 0;
            for (int axis = 2; axis < shape.rank(); ++axis) {
              middle = middle * shape[axis] + shape[axis] / 2;
              window *= shape[axis];
            }
            for (std::int64_t g = 0; g < groups; ++g) {
              for (std::int64_t c = 0; c < std::min(out, shape[1]); ++c) {
                x.mutable_data<double>()[((g * out + c) * shape[1] + c) * window + middle] = 1;
              }
            }
            return x.to(dtype);
          }};
}

Initializer sparse(double sparsity, double stddev) {
  if (!(sparsity >= 0 && sparsity <= 1)) {
    throw ValueError("sparse", "sparsity " + detail::text(sparsity) + ": must be in [0, 1]");
  }
  return {"sparse", [=](const Shape& shape, Fans, DType dtype, Rng& rng) {
            if (shape.rank() != 2) wrong_rank("sparse", shape, "a matrix");
            Tensor x = rng.normal(shape, 0, stddev, f64);
            const auto zeros =
                static_cast<std::size_t>(std::ceil(sparsity * static_cast<double>(shape[0])));
            for (std::int64_t c = 0; c < shape[1]; ++c) {
              const std::vector<std::int64_t> order = rng.permutation(shape[0]);
              for (std::size_t k = 0; k < zeros; ++k) {
                x.mutable_data<double>()[order[k] * shape[1] + c] = 0;
              }
            }
            return x.to(dtype);
          }};
}

Initializer values(const Tensor& value) {
  return {"values", [value](const Shape& shape, Fans, DType dtype, Rng&) {
            if (value.shape() != shape) {
              throw ShapeError("values", "initial values of shape " + value.shape().str() +
                                             " for a parameter of shape " + shape.str());
            }
            return value.to(dtype).clone();
          }};
}

namespace {

using Numbers = const std::vector<double>&;
struct Known {
  const char* name;
  std::size_t least, most;  // numbers
  const char* usage;
  Initializer (*make)(Numbers);
};

double at(Numbers v, std::size_t i, double usual) { return i < v.size() ? v[i] : usual; }

constexpr Known kKnown[] = {
    {"zeros", 0, 0, "", [](Numbers) { return constant(0); }},
    {"ones", 0, 0, "", [](Numbers) { return constant(1); }},
    {"xavier_uniform", 0, 1, "[:GAIN]", [](Numbers v) { return xavier_uniform(at(v, 0, 1)); }},
    {"xavier_normal", 0, 1, "[:GAIN]", [](Numbers v) { return xavier_normal(at(v, 0, 1)); }},
    {"he_uniform", 0, 0, "", [](Numbers) { return he_uniform(); }},
    {"he_normal", 0, 0, "", [](Numbers) { return he_normal(); }},
    {"lecun_uniform", 0, 0, "", [](Numbers) { return lecun_uniform(); }},
    {"lecun_normal", 0, 0, "", [](Numbers) { return lecun_normal(); }},
    {"scaled_normal", 0, 0, "", [](Numbers) { return scaled_normal(); }},
    {"orthogonal", 0, 1, "[:GAIN]", [](Numbers v) { return orthogonal(at(v, 0, 1)); }},
    {"identity", 0, 0, "", [](Numbers) { return identity(); }},
    {"dirac", 0, 0, "", [](Numbers) { return dirac(); }},
    {"sparse", 1, 2, ":PART[:STDDEV]", [](Numbers v) { return sparse(v[0], at(v, 1, 0.01)); }},
    {"constant", 1, 1, ":VALUE", [](Numbers v) { return constant(v[0]); }},
    {"uniform", 2, 2, ":LOW:HIGH", [](Numbers v) { return uniform(v[0], v[1]); }},
    {"normal", 0, 2, "[:MEAN:STDDEV]", [](Numbers v) { return normal(at(v, 0, 0), at(v, 1, 1)); }},
    {"truncated_normal", 0, 4, "[:MEAN:STDDEV:LOW:HIGH]", [](Numbers v) {
       return truncated_normal(at(v, 0, 0), at(v, 1, 1), at(v, 2, -2), at(v, 3, 2));
     }}};

}  // namespace

Initializer initializer(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  std::string names;
  for (const Known& k : kKnown) {
    names += (names.empty() ? "" : ", ") + std::string(k.name) + k.usage;
    if (k.name != name) continue;
    const std::vector<double> v = numbers(text, colon);
    if (v.size() >= k.least && v.size() <= k.most) return k.make(v);
    throw ParseError("initializer", "'" + text + "': write " + k.name + k.usage);
  }
  throw ParseError("initializer", "'" + text + "' is not one of " + names);
}

}  // namespace xtape::nn
