#include "fuzz.hpp"

using namespace xtape;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<io::NamedTensor> tensors;
  if (!fuzz::accepted([&] { tensors = io::decode_npz(std::as_bytes(std::span(data, size))); })) {
    return 0;
  }
  const std::string again = io::encode_npz(tensors, size % 2 == 0);
  const std::vector<io::NamedTensor> got =
      io::decode_npz(fuzz::bytes_of(again), "again", {.max_bytes = 1 << 30});
  fuzz::require(got.size() == tensors.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    fuzz::require(got[i].name == tensors[i].name && identical(got[i].value, tensors[i].value));
  }
  return 0;
}
