#include <cmath>
#include <cstdio>

#include <xtape/nn/export_parts.hpp>

// Texts of exported predictors.
namespace xtape::nn::exporting {

std::string number(double v) {
  if (std::isinf(v)) return v > 0 ? "HUGE_VAL" : "-HUGE_VAL";
  char s[64];
  std::snprintf(s, sizeof s, "%a", v);
  return s;
}
std::string f32_number(double v) {
  return number(static_cast<double>(static_cast<float>(v))) + "F";
}

std::string array(const char* type, const std::string& name,
                  const std::vector<std::string>& words) {
  std::string s = std::string("inline constexpr ") + type + " " + name + "[] = {";
  std::size_t line = 100;
  for (const std::string& word : words) {
    line += word.size() + 1;
    if (line > 96) s += "\n    ", line = word.size() + 5;
    s += word + ",";
  }
  return s + "};\n";
}

const char* expression_of(std::string_view op) {
  struct Expression {
    std::string_view op;
    const char* text;
  };
  static constexpr Expression kAll[] = {
      {"add", "$0 + $1"},
      {"subtract", "$0 - $1"},
      {"multiply", "$0 * $1"},
      {"divide", "$0 / $1"},
      {"multiply_add", "$0 * $1 + $2"},
      {"negative", "-$0"},
      {"abs", "std::abs($0)"},
      {"sqrt", "std::sqrt($0)"},
      {"rsqrt", "1 / std::sqrt($0)"},
      {"square", "$0 * $0"},
      {"reciprocal", "1 / $0"},
      {"exp", "math::exp($0)"},
      {"expm1", "math::expm1($0)"},
      {"log", "math::log($0)"},
      {"log1p", "math::log1p($0)"},
      {"erf", "math::erf($0)"},
      {"sigmoid", "math::sigmoid($0)"},
      {"tanh", "math::tanh($0)"},
      {"softplus", "math::softplus($0)"},
      {"relu", "$0 < 0 ? 0.0F : $0"},
      {"leaky_relu", "$0 > 0 ? $0 : #0 * $0"},
      {"elu", "$0 > 0 ? #1 * $0 : #1 * #0 * math::expm1(#2 * $0)"},
      {"silu", "$0 * math::sigmoid($0)"},
      {"gelu", "0.5F * $0 * (1 + math::erf($0 * 0x1.6a09e667f3bcdp-1F))"},
      {"gelu_tanh",
       "0.5F * $0 * (1 + math::tanh(static_cast<float>(0x1.9884533d43651p-1) * ($0 + "
       "static_cast<float>(0.044715) * $0 * $0 * $0)))"},
      {"mish", "$0 * math::tanh(math::softplus($0))"},
      {"softsign", "$0 / (1 + std::abs($0))"},
      {"softshrink", "$0 > #0 ? $0 - #0 : $0 < -#0 ? $0 + #0 : $0 * 0"},
      {"hardshrink", "$0 >= -#0 && $0 <= #0 ? 0.0F : $0"},
      {"threshold", "$0 <= #0 ? #1 : $0"},
      {"clamp", "$0 < #0 ? #0 : $0 > #1 ? #1 : $0"},
      {"maximum", "$0 > $1 || $0 != $0 ? $0 : $1"},
      {"minimum", "$0 < $1 || $0 != $0 ? $0 : $1"},
      {"clamp_min", "$0 > $1 || $0 != $0 ? $0 : $1"},
      {"clamp_max", "$0 < $1 || $0 != $0 ? $0 : $1"},
      {"greater", "$0 > $1 ? 1.0F : 0.0F"},
      {"greater_equal", "$0 >= $1 ? 1.0F : 0.0F"},
      {"less", "$0 < $1 ? 1.0F : 0.0F"},
      {"less_equal", "$0 <= $1 ? 1.0F : 0.0F"},
      {"where", "$0 != 0 ? $1 : $2"}};
  for (const Expression& e : kAll) {
    if (e.op == op) return e.text;
  }
  return nullptr;
}

// The library's texts, in C++17 and in a namespace of the header's own. The compiler must not
// contract products and sums.
std::string header_head(const std::string& name) {
  std::string math = kMathText, runtime = kRuntimeText;
  const auto replace = [](std::string& s, const std::string& what, const std::string& by) {
    for (std::size_t at = 0; (at = s.find(what, at)) != std::string::npos; at += by.size()) {
      s.replace(at, what.size(), by);
    }
  };
  math = math.substr(math.find("namespace xtape::math"));
  runtime = runtime.substr(runtime.find("namespace xtape::predictor"));
  replace(math, "std::bit_cast", "bit_cast");
  replace(math, "XTAPE_INLINE", "inline");
  replace(math, "namespace xtape::math", "namespace math");
  replace(runtime, "namespace xtape::predictor", "namespace run");
  return "// A network, made by xtape (nn::export_predictor): do not edit. C++17, no "
         "dependencies.\n"
         "#pragma once\n#include <cmath>\n#include <cstdint>\n#include <limits>\n"
         "#include <type_traits>\n#include <vector>\n\n"
         "#if defined(__clang__)\n#pragma STDC FP_CONTRACT OFF\n#elif defined(__GNUC__)\n"
         "#pragma GCC push_options\n#pragma GCC optimize(\"fp-contract=off\")\n#endif\n"
         "namespace " +
         name +
         " {\n\ntemplate <class To, class From>\nconstexpr To bit_cast(const From& from) {\n"
         "  return __builtin_bit_cast(To, from);\n}\n\n" +
         math + "\n" + runtime + "\n";
}

std::string header_end(const std::string& name) {
  return "\n}  // namespace " + name +
         "\n#if defined(__clang__)\n#pragma STDC FP_CONTRACT DEFAULT\n"
         "#elif defined(__GNUC__)\n#pragma GCC pop_options\n#endif\n";
}

namespace {

std::int64_t extent(const kernels::Pool& pool, std::size_t axis) {
  const kernels::Windows& w = pool.windows;
  return pool.adaptive ? w.in[axis] / w.out[axis] + 2 : w.window[axis];
}

// Tap k of window o on an axis.
std::int64_t place(const kernels::Pool& pool, std::size_t axis, std::int64_t o, std::int64_t k) {
  const kernels::Windows& w = pool.windows;
  if (pool.adaptive) {
    const kernels::Range r = window_range(pool, axis, o);
    return r.begin + k < r.end ? r.begin + k : -1;
  }
  const std::int64_t at = o * w.stride[axis] + k * w.dilation[axis] - w.padding[axis];
  return at >= 0 && at < w.in[axis] ? at : -1;
}

}  // namespace

std::int64_t taps_of(const kernels::Pool& pool) {
  return extent(pool, 0) * extent(pool, 1) * extent(pool, 2);
}

std::vector<std::int64_t> tap_positions(const kernels::Pool& pool) {
  const kernels::Extents &in = pool.windows.in, &out = pool.windows.out;
  const std::int64_t points = kernels::volume(out), taps = taps_of(pool);
  std::vector<std::int64_t> at;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const std::int64_t k2 = tap % extent(pool, 2), k1 = tap / extent(pool, 2) % extent(pool, 1);
    const std::int64_t k0 = tap / extent(pool, 2) / extent(pool, 1);
    for (std::int64_t i = 0; i < points; ++i) {
      const std::int64_t x = place(pool, 2, i % out[2], k2);
      const std::int64_t y = place(pool, 1, i / out[2] % out[1], k1);
      const std::int64_t z = place(pool, 0, i / out[2] / out[1], k0);
      at.push_back(z < 0 || y < 0 || x < 0 ? -1 : (z * in[1] + y) * in[2] + x);
    }
  }
  return at;
}

}  // namespace xtape::nn::exporting
