#include "fuzz.hpp"

using namespace xtape;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  Tensor plain, scaled;
  const bool good = fuzz::accepted([&] { plain = data::decode_idx(bytes); });
  const bool also = fuzz::accepted(
      [&] { scaled = data::decode_idx(bytes, "fuzz", {.dtype = f64, .scale = 0.5}); });
  fuzz::require(good == also);
  fuzz::require(!good || plain.shape() == scaled.shape());
  return 0;
}
