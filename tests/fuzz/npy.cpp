#include "fuzz.hpp"

using namespace xtape;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Tensor t;
  if (fuzz::accepted([&] { t = io::decode_npy(std::as_bytes(std::span(data, size))); })) {
    const std::string again = io::encode_npy(t);
    fuzz::require(identical(io::decode_npy(fuzz::bytes_of(again)), t));
  }
  return 0;
}
