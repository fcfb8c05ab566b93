#include "fuzz.hpp"

using namespace xtape;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  io::Safetensors s;
  if (!fuzz::accepted([&] { s = io::decode_safetensors(bytes, "fuzz", {.half_to_f32 = true}); })) {
    return 0;
  }
  const std::string again = io::encode_safetensors(s.tensors, s.metadata);
  const io::Safetensors t = io::decode_safetensors(fuzz::bytes_of(again));
  fuzz::require(t.metadata == s.metadata && t.tensors.size() == s.tensors.size());
  for (const io::NamedTensor& tensor : s.tensors) {
    fuzz::require(identical(t.at(tensor.name), tensor.value));
  }
  fuzz::require(io::encode_safetensors(t.tensors, t.metadata) == again);
  return 0;
}
