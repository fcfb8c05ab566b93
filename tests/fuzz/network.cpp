#include "fuzz.hpp"

using namespace xtape;

namespace {

constexpr std::size_t kNetworkBytes = std::size_t{1} << 20;
// What is small enough to be run, too.
constexpr std::int64_t kFewElements = 1024, kFewParameters = 4096;
constexpr std::size_t kRunBytes = std::size_t{1} << 18;

bool small(const nn::TextNetwork& n) {
  std::int64_t elements = 0;
  for (const Shape& s : n.samples) {
    std::int64_t size = 1;
    for (const std::int64_t extent : s) size = std::min(size * extent, kFewElements + 1);
    elements += size;
  }
  return elements <= kFewElements && n.net.parameter_count() <= kFewParameters;
}

// One sample of zeros gives what the shape rule says.
void run(const nn::TextNetwork& n) {
  if (n.graph && n.graph->outputs().size() != 1) return;
  std::vector<Var> xs;
  std::vector<Spec> specs;
  for (const Shape& s : n.samples) {
    Shape batch{2};
    for (const std::int64_t extent : s) batch.push_back(extent);
    const DType dtype = n.samples.size() == 1 ? n.net.input_dtype() : f32;
    xs.emplace_back(Tensor::zeros(batch, dtype));
    specs.push_back({batch, dtype});
  }
  const memory::Limit limit(kRunBytes);
  const Spec spec = n.net.output_spec(specs);
  fuzz::require(n.net(std::span<const Var>(xs)).value().spec() == spec);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const nn::TextOptions options{.max_bytes = kNetworkBytes};
  nn::TextNetwork first;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!fuzz::accepted([&] { first = nn::parse_network(text, options); })) return 0;
  const nn::TextNetwork again = nn::parse_network(first.text, options);
  fuzz::require(again.text == first.text && again.samples == first.samples);
  fuzz::require(again.net.describe() == first.net.describe());
  fuzz::require(again.net.parameter_count() == first.net.parameter_count());
  if (small(first)) fuzz::accepted([&] { run(first); });
  return 0;
}
