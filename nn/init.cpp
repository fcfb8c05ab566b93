#include <charconv>
#include <cmath>
#include <map>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/nn/init.hpp>

namespace xtape::nn {
namespace {

Initializer uniform_within(std::string name, double (*bound)(Fans)) {
  return {std::move(name), [bound](const Shape& shape, Fans fans, DType dtype, Rng& rng) {
            return rng.uniform(shape, -bound(fans), bound(fans), dtype);
          }};
}

Initializer normal_with(std::string name, double (*stddev)(Fans)) {
  return {std::move(name), [stddev](const Shape& shape, Fans fans, DType dtype, Rng& rng) {
            return rng.normal(shape, 0, stddev(fans), dtype);
          }};
}

double he_variance(Fans f) { return 2.0 / static_cast<double>(f.fan_in); }
double xavier_variance(Fans f) { return 2.0 / static_cast<double>(f.fan_in + f.fan_out); }

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

Initializer xavier_uniform() {
  return uniform_within("xavier_uniform", [](Fans f) { return std::sqrt(3 * xavier_variance(f)); });
}
Initializer xavier_normal() {
  return normal_with("xavier_normal", [](Fans f) { return std::sqrt(xavier_variance(f)); });
}
Initializer he_uniform() {
  return uniform_within("he_uniform", [](Fans f) { return std::sqrt(3 * he_variance(f)); });
}
Initializer he_normal() {
  return normal_with("he_normal", [](Fans f) { return std::sqrt(he_variance(f)); });
}
Initializer scaled_normal() {
  return normal_with("scaled_normal",
                     [](Fans f) { return std::sqrt(1 / static_cast<double>(f.fan_out)); });
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

Initializer initializer(const std::string& text) {
  const std::map<std::string, Initializer (*)()> plain = {{"zeros", [] { return constant(0); }},
                                                          {"ones", [] { return constant(1); }},
                                                          {"xavier_uniform", xavier_uniform},
                                                          {"xavier_normal", xavier_normal},
                                                          {"he_uniform", he_uniform},
                                                          {"he_normal", he_normal},
                                                          {"scaled_normal", scaled_normal},
                                                          {"normal", [] { return normal(); }}};
  if (const auto it = plain.find(text); it != plain.end()) return it->second();
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::vector<double> args = numbers(text, colon);
  if (name == "constant" && args.size() == 1) return constant(args[0]);
  if (name == "uniform" && args.size() == 2) return uniform(args[0], args[1]);
  if (name == "normal" && args.size() == 2) return normal(args[0], args[1]);
  throw ParseError("initializer",
                   "'" + text +
                       "' is not one of zeros, ones, xavier_uniform, xavier_normal, "
                       "he_uniform, he_normal, scaled_normal, normal, constant:VALUE, "
                       "uniform:LOW:HIGH, normal:MEAN:STDDEV");
}

}  // namespace xtape::nn
