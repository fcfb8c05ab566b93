// Exports networks of all kinds of layers as headers, with a program that runs them on random
// inputs and compares every bit with what the networks gave here. check_export.sh compiles and runs
// it. Usage: xtape-exported FOLDER
#include <bit>
#include <cstdio>
#include <fstream>
#include <sstream>

#include <xtape/autodiff/backend.hpp>
#include <xtape/autodiff/kernels/gemm_kernels.hpp>
#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/nn/export.hpp>
#include <xtape/xtape.hpp>

#include "export_networks.hpp"

namespace {

using namespace xtape;

constexpr int kSamples = 5;  // of each network

// Values that training could have left, running statistics too.
void fill(nn::Module& net, Rng& rng) {
  net.initialize(rng.split(1));
  for (Parameter p : net.parameters()) {
    if (p.value().rank() < 2) p.assign(rng.uniform(p.shape(), -1, 1, f32));
  }
  for (Parameter b : net.buffers()) {
    if (b.dtype() == f32) b.assign(rng.uniform(b.shape(), 0.2, 2, f32));
  }
  net.eval();
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file) throw DataError(path, "cannot be written");
}

// " = {…};" of the elements: floats as their bits, indices as they are.
std::string elements(const Tensor& t) {
  std::ostringstream s;
  s << " = {";
  if (t.dtype() == i64) {
    for (const std::int64_t v : t.span<std::int64_t>()) s << v << ",";
  } else {
    for (const float v : t.span<float>()) s << std::bit_cast<std::uint32_t>(v) << "U,";
  }
  s << "};\n  ";
  return s.str();
}

// The networks under test, each with its inputs.
struct Subject {
  const nn::Module& net;
  const nn::Graph* graph;  // null for one output
  std::vector<Spec> samples;

  std::vector<Var> run(const std::vector<Var>& xs) const {
    return graph ? graph->run(xs) : std::vector<Var>{net(std::span<const Var>(xs))};
  }
};

// The fewest rows of a table that an index may name.
std::int64_t rows_of(const nn::Module& net) {
  std::int64_t rows = 1 << 20;
  for (const nn::Module::Child& c : net.children()) {
    rows = std::min(rows, rows_of(*c.module));
    if (const auto* e = dynamic_cast<const nn::Embedding*>(c.module.get())) {
      rows = std::min(rows, e->weight().shape()[0]);
    }
  }
  return rows;
}

// Numbers in [−3, 3), a quarter of them 0: the same in the program that is written.
constexpr const char* kFloats = R"(std::vector<float> floats(std::uint32_t seed, std::size_t n) {
  std::vector<float> out(n);
  for (float& x : out) {
    seed = seed * 1664525U + 1013904223U;
    x = static_cast<float>(static_cast<std::int32_t>(seed >> 8) - 8388608) * 0x1.8p-22F;
    if (seed >> 28 < 4) x = 0;
  }
  return out;
}
)";
Tensor floats(std::uint32_t seed, const Shape& shape) {
  Tensor out = Tensor::empty(shape, f32);
  auto* x = out.mutable_data<float>();
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    seed = seed * 1664525U + 1013904223U;
    x[i] = static_cast<float>(static_cast<std::int32_t>(seed >> 8) - 8388608) * 0x1.8p-22F;
    if (seed >> 28 < 4) x[i] = 0;
  }
  return out;
}

// The lines that check network k on one sample, alone and as the second of two.
std::string check(const Subject& s, std::size_t k, Rng& rng) {
  const std::string n = std::to_string(k);
  std::vector<Var> xs;
  std::string declared, alone, second, compared;
  for (const Spec& spec : s.samples) {
    Shape batch{1};
    for (const std::int64_t extent : spec.shape) batch.push_back(extent);
    const std::string x = "x" + std::to_string(xs.size());
    if (spec.dtype == i64) {
      std::vector<std::int64_t> rows;
      for (std::int64_t i = 0; i < batch.size(); ++i) rows.push_back(rng.integer(rows_of(s.net)));
      xs.push_back(no_grad(Tensor::from(rows, batch)));
      declared += "const std::vector<std::int64_t> " + x + elements(xs.back().value());
    } else {
      const auto seed = static_cast<std::uint32_t>(rng.integer(std::int64_t{1} << 32));
      xs.push_back(no_grad(floats(seed, batch)));
      declared += "const std::vector<float> " + x + " = floats(" + std::to_string(seed) + "U, " +
                  std::to_string(batch.size()) + ");\n  ";
    }
    alone += x + ".data(), ";
    second += "second(" + x + ").data(), ";
  }
  const std::vector<Var> ys = s.run(xs);
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const std::string y = "y" + std::to_string(i), out = "out" + std::to_string(i);
    const std::string size = std::to_string(ys[i].size());
    declared += "static const std::uint32_t " + y + "[]" + elements(ys[i].value()) +
                "std::vector<float> " + out + "(2 * " + size + ");\n  ";
    alone += out + ".data(), ";
    second += out + ".data(), ";
    compared += "wrong += compare(" + n + ", " + out + ".data(), " + y + ", " + size + ");\n  ";
    compared += "wrong += compare(" + n + ", " + out + ".data() + " + size + ", " + y + ", " +
                size + ");\n  ";
  }
  // The second sample is there only when predict_batch() went on to it.
  const std::string call = "net" + n + "::predict";
  return "std::vector<float> workspace(net" + n + "::kWorkspace);\n  " + declared + call +
         "_batch(2, " + second + "workspace.data());\n  " + call + "(" +
         alone.substr(0, alone.size() - 2) + ");\n  " + compared;
}

// A program that includes all headers and makes all checks.
std::string program(const std::string& includes, const std::string& checks,
                    const std::string& calls, std::size_t networks) {
  return includes + R"(#include <cstdio>
#include <cstring>
#include <vector>
)" + "namespace {\n" +
         kFloats +
         R"(int compare(int net, const float* out, const std::uint32_t* y, int n) {
  int wrong = 0;
  for (int i = 0; i < n; ++i) wrong += std::memcmp(&out[i], &y[i], 4) != 0;
  if (wrong) std::printf("net%d: %d of %d outputs differ\n", net, wrong, n);
  return wrong;
}
// x behind a sample of zeros.
template <class T>
std::vector<T> second(const std::vector<T>& x) {
  std::vector<T> out(x.size());
  out.insert(out.end(), x.begin(), x.end());
  return out;
}
)" + checks +
         "}  // namespace\nint main() {\n  int wrong = 0;\n" + calls + "  std::printf(\"" +
         std::to_string(networks) +
         " networks, %d outputs differ\\n\", wrong);\n  return wrong != 0;\n}\n";
}

// Exports networks one after the other, and collects their checks.
class Exporter {
 public:
  explicit Exporter(std::string folder) : folder_(std::move(folder)) {}

  void add(const Subject& s, Rng& rng) {
    const std::string name = "net" + std::to_string(count_), file = name + ".hpp";
    write(folder_ + "/" + file,
          nn::export_predictor(s.net, std::span<const Spec>(s.samples), name));
    includes_ += "#include \"" + file + "\"\n";
    for (int i = 0; i < kSamples; ++i) add_check(check(s, count_, rng));
    ++count_;
  }
  /// A table that is asked for rows that it does not have: NaN, and its own row.
  void add_outside() {
    const nn::Sequential table{nn::Embedding(3, 2)};
    write(folder_ + "/outside.hpp", nn::export_predictor(table, {3}, "outside"));
    includes_ += "#include \"outside.hpp\"\n";
    add_check(
        "const std::int64_t rows[] = {-1, 3, 2};\n  float y[6];\n"
        "  outside::predict(rows, y);\n  for (int i = 0; i < 6; ++i) wrong += "
        "std::isnan(y[i]) != (i < 4);\n  ");
  }
  void finish() const {
    write(folder_ + "/check.cpp", program(includes_, checks_, calls_, count_));
  }

 private:
  // A function of its own: compilers take long over a large one.
  void add_check(const std::string& statements) {
    const std::string name = "check" + std::to_string(checked_++);
    checks_ += "int " + name + "() {\n  int wrong = 0;\n  " + statements + "return wrong;\n}\n";
    calls_ += "  wrong += " + name + "();\n";
  }

  std::string folder_, includes_, checks_, calls_;
  int checked_ = 0;
  std::size_t count_ = 0;
};

// Products of all forms, also those that the layers above do not have: transposed, of one row or
// column, of as many columns as threads share.
void add_products(Exporter& all, Rng& rng) {
  constexpr std::int64_t kExtents[][3] = {{1, 90, 7}, {1, 60, 19}, {1, 3, 30},    {90, 1, 7},
                                          {61, 1, 9}, {5, 9, 1},   {1, 30, 1},    {9, 1, 1},
                                          {2, 2, 3},  {7, 5, 300}, {1, 300, 3600}};
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      for (const auto& [m, n, k] : kExtents) {
        const Shape a = ta ? Shape{k, m} : Shape{m, k}, b = tb ? Shape{n, k} : Shape{k, n};
        nn::Sequential product{nn::Lambda("product", [ta, tb](std::span<const Var> x) {
          return matmul(x[0], x[1], {ta, tb});
        })};
        all.add({product, nullptr, {{a}, {b}}}, rng);
      }
    }
  }
}

int run(const std::string& folder) {
  set_simd_level(Simd::baseline);
  kernels::set_gemm_simd(kernels::GemmSimd::baseline);
  set_blas_backend(BlasBackend::own);
  Exporter all(folder);
  std::uint64_t number = 0;
  for (const char* text : kExported) {
    Rng rng = Rng(17).split(number++);
    nn::TextNetwork n = nn::parse_network(text);
    fill(n.net, rng);
    std::vector<Spec> samples;
    for (const Shape& s : n.samples) {
      samples.push_back({s, n.graph ? n.graph->input_dtype(samples.size()) : n.net.input_dtype()});
    }
    all.add({n.net, n.graph.get(), samples}, rng);
  }
  Rng rng(5);
  nn::Sequential residual{nn::Dense(12, 12),
                          nn::Residual(nn::Sequential{nn::Dense(12, 12), nn::ReLU()})};
  fill(residual, rng);
  all.add({residual, nullptr, {{Shape{12}}}}, rng);
  add_products(all, rng);
  all.add_outside();
  all.finish();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    return run(argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
