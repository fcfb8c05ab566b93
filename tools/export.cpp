#include "export.hpp"

#include <bit>
#include <cctype>
#include <fmt/format.h>
#include <sstream>

#include <xtape/autodiff/kernels/gemm_kernels.hpp>
#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/nn/export.hpp>

#include "data_source.hpp"
#include "network.hpp"

namespace xtape::tools {
namespace {

std::string name_of(const ExportCommand& o) {
  const std::string name = o.name.empty() ? std::filesystem::path(o.out).stem().string() : o.name;
  const auto word = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  if (!name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
      std::all_of(name.begin(), name.end(), word)) {
    return name;
  }
  throw ParseError("--name", "'" + name + "' is no C++ identifier: give one for the namespace");
}

// "{…}": floats as their bits.
std::string elements(const Tensor& t) {
  std::ostringstream s;
  if (t.dtype() == i64) {
    for (const std::int64_t v : t.span<std::int64_t>()) s << v << ", ";
  } else {
    for (const float v : t.span<float>()) s << std::bit_cast<std::uint32_t>(v) << "U, ";
  }
  return "{" + s.str().substr(0, s.str().size() - 2) + "}";
}

// Statements that run one sample and compare: the inputs are drawn from `rng`, indices are 0.
std::string comparison(const nn::TextNetwork& n, const std::string& name, Rng& rng) {
  std::vector<Var> xs;
  std::string declared, arguments, compared;
  for (const Shape& sample : n.samples) {
    Shape batch{1};
    for (const std::int64_t extent : sample) batch.push_back(extent);
    const bool index = (n.graph ? n.graph->input_dtype(xs.size()) : n.net.input_dtype()) == i64;
    xs.push_back(no_grad(index ? Tensor::zeros(batch, i64) : rng.uniform(batch, -1, 1, f32)));
    const std::string x = fmt::format("x{}", xs.size());
    declared +=
        fmt::format("    const std::vector<{}> {}{};\n", index ? "std::int64_t" : "std::uint32_t",
                    x, elements(xs.back().value()));
    arguments += index ? x + ".data(), " : "floats(" + x + ").data(), ";
  }
  const std::vector<Var> ys =
      n.graph ? n.graph->run(xs) : std::vector<Var>{n.net(std::span<const Var>(xs))};
  for (std::size_t k = 1; k <= ys.size(); ++k) {
    const Tensor& y = ys[k - 1].value();
    declared += fmt::format("    const std::vector<std::uint32_t> y{}{};\n", k, elements(y));
    declared += fmt::format("    std::vector<float> out{}(y{}.size());\n", k, k);
    arguments += fmt::format("out{}.data(), ", k);
    compared += fmt::format(
        "    differ += std::memcmp(out{0}.data(), y{0}.data(), 4 * y{0}.size()) != 0;\n", k);
  }
  return "  {\n" + declared + "    " + name + "::predict(" +
         arguments.substr(0, arguments.size() - 2) + ");\n" + compared + "  }\n";
}

// Bits agree where no product contracts with a sum: see nn::export_predictor.
std::string program(const ExportCommand& o, nn::TextNetwork& n, const std::string& name) {
  constexpr int kSamples = 8;
  set_simd_level(Simd::baseline);
  kernels::set_gemm_simd(kernels::GemmSimd::baseline);
  set_blas_backend(BlasBackend::own);
  n.net.eval();
  Rng rng(o.seed);
  std::string checks;
  for (int i = 0; i < kSamples; ++i) checks += comparison(n, name, rng);
  return fmt::format(R"(// Compares {0} with the network that it was made from, bit by bit.
#include "{0}"

#include <cstdio>
#include <cstring>

static inline std::vector<float> floats(const std::vector<std::uint32_t>& bits) {{
  std::vector<float> x(bits.size());
  std::memcpy(x.data(), bits.data(), 4 * x.size());
  return x;
}}

int main() {{
  int differ = 0;
{1}  std::printf("{2} samples, %d differ\n", differ);
  return differ != 0;
}}
)",
                     std::filesystem::path(o.out).filename().string(), checks, kSamples);
}

}  // namespace

void ExportCommand::add_to(CLI::App& app) {
  app.add_option("network", weights, "file of train --save, or a checkpoint of train --checkpoint")
      ->required();
  app.add_option("--out", out, "header to write")->required();
  app.add_option("--net", net, "network text, or a file of it, where the weights do not say it");
  app.add_option("--name", name, "namespace of the header (default: the name of --out)");
  app.add_option("--check", check,
                 "write a program that compares header and network on random samples");
  app.add_option("--seed", seed, "of the samples")->check(whole_from(0))->capture_default_str();
}

int export_network(const ExportCommand& o) {
  const std::string name = name_of(o);
  nn::TextNetwork n = kept_network(o.weights, o.net, {});
  std::string header;
  try {
    header = nn::export_predictor(n.net, std::span<const Shape>(n.samples), name);
  } catch (const Error& e) {
    throw DataError(o.weights, e.what());
  }
  const std::string check = o.check.empty() ? "" : program(o, n, name);
  plot::save(o.out, header);
  if (!o.check.empty()) plot::save(o.check, check);
  fmt::print("{}: namespace {}, {} parameters of {}\n", o.out, name, n.net.parameter_count(),
             o.weights);
  return 0;
}

}  // namespace xtape::tools
