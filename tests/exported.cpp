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

namespace {

using namespace xtape;

constexpr int kInputs = 5;  // per network

constexpr const char* kNetworks[] = {
    // All that products of a row and a matrix do: 8, 4 and 1 rows at once, ends of vectors, one
    // input.
    "70 dense:31 relu dense:16 tanh dense:5",
    "3 dense:2",
    "1 dense:40 sigmoid dense:1",
    "700 dense:13 sigmoid dense:10 softmax",
    "6x5 dense:7 tanh dense:1",
    "24 sigmoid tanh softplus silu gelu gelu_tanh mish",
    "24 relu softplus:2:3 leaky_relu elu:0.5 selu celu:2 softsign log_sigmoid",
    "24 hardtanh:-0.5:0.7 hardsigmoid",
    "24 relu6",
    "24 hardswish tanhshrink",
    "24 softshrink",
    "24 hardshrink",
    "24 threshold:0.2:-1",
    "24 glu prelu",
    "24 log_softmax",
    "24 softmin",
    "40 neurons:relu,tanh,sigmoid,identity",
    "20 layernorm dense:9 rmsnorm",
    "1500 layernorm",
    "2000 softmax",
    "2000 log_softmax",
    "9000 softmax",
    "2x9x8 conv2d:5:3:padding=1 batchnorm relu maxpool2d:2 conv2d:4:2:stride=2 tanh flatten "
    "dense:3",
    "40x6x5 conv2d:3:3:padding=1 relu",
    "4x7x6 conv2d:6:3x2:groups=2:dilation=2:padding=1",
    "300x3x3 conv2d:5:1 relu",
    "6x9 conv1d:4:3:padding=1 avgpool1d:2 groupnorm:2",
    "2x4x5x3 conv3d:3:2 maxpool3d:2",
    "1x20x20 conv2d:2:18",
    "3x8x8 avgpool2d:3:stride=2 adaptiveavgpool2d:2",
    "3x7x7 maxpool2d:3:stride=2:padding=1",
    "3x7x7 adaptivemaxpool2d:3",
    "5x3 lstm:6",
    "5x3 gru:6",
    "5x3 rnn:6",
    "3x6x6 instancenorm dropout:0.3 flatten dense:4 dropout:0.5",
    "x = input:1x8x8\na = conv2d:4:3:padding=1 (x)\nb = conv2d:4:1 (x)\ns = add (a, b)\n"
    "c = concat:1 (s, a)\nr = relu (c)\np = maxpool2d:2 (r)\nf = flatten (p)\ny = dense:10 (f)\n"};

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

std::string bits(const Tensor& t) {
  std::ostringstream s;
  for (const float v : t.span<float>()) s << std::bit_cast<std::uint32_t>(v) << "U,";
  return s.str();
}

// The line that checks network k on one input.
std::string check(const nn::Module& net, const Shape& sample, std::size_t k, Rng& rng) {
  Shape batch{1};
  for (const std::int64_t extent : sample) batch.push_back(extent);
  const Tensor x = rng.uniform(batch, -3, 3, f32);
  const Tensor y = net(no_grad(x)).value();
  const std::string n = std::to_string(k);
  return "  { static const std::uint32_t x[] = {" + bits(x) + "}, y[] = {" + bits(y) +
         "};\n    wrong += compare(" + n + ", x, y, net" + n + "::kInputs, net" + n +
         "::kOutputs, net" + n + "::predict); }\n";
}

int run(const std::string& folder) {
  set_simd_level(Simd::baseline);
  kernels::set_gemm_simd(kernels::GemmSimd::baseline);
  set_blas_backend(BlasBackend::own);
  std::string includes, checks;
  const auto add = [&](const nn::Module& net, const Shape& sample, std::size_t k, Rng& rng) {
    const std::string file = "net" + std::to_string(k) + ".hpp";
    write(folder + "/" + file, nn::export_predictor(net, sample, "net" + std::to_string(k)));
    includes += "#include \"" + file + "\"\n";
    for (int i = 0; i < kInputs; ++i) checks += check(net, sample, k, rng);
  };
  std::size_t k = 0;
  for (const char* text : kNetworks) {
    Rng rng = Rng(17).split(k);
    nn::TextNetwork n = nn::parse_network(text);
    fill(n.net, rng);
    add(n.net, n.samples.at(0), k++, rng);
  }
  Rng rng(5);
  nn::Sequential residual{nn::Dense(12, 12),
                          nn::Residual(nn::Sequential{nn::Dense(12, 12), nn::ReLU()})};
  fill(residual, rng);
  add(residual, {12}, k++, rng);
  write(folder + "/check.cpp",
        includes +
            "#include <cstdio>\n#include <cstring>\n#include <vector>\nnamespace {\n"
            "int compare(int net, const std::uint32_t* x, const std::uint32_t* y, int n, int m,\n"
            "            void (*predict)(const float*, float*)) {\n"
            "  std::vector<float> in(static_cast<std::size_t>(n)), "
            "out(static_cast<std::size_t>(m));\n"
            "  std::memcpy(in.data(), x, in.size() * 4);\n  predict(in.data(), out.data());\n"
            "  int wrong = 0;\n  for (int i = 0; i < m; ++i) {\n    std::uint32_t got;\n"
            "    std::memcpy(&got, &out[static_cast<std::size_t>(i)], 4);\n"
            "    wrong += got != y[i];\n  }\n"
            "  if (wrong) std::printf(\"net%d: %d of %d outputs differ\\n\", net, wrong, m);\n"
            "  return wrong;\n}\n}  // namespace\nint main() {\n  int wrong = 0;\n" +
            checks + "  std::printf(\"" + std::to_string(k) +
            " networks, %d outputs differ\\n\", wrong);\n  return wrong != 0;\n}\n");
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
