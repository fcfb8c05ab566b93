#include "fuzz.hpp"

using namespace xtape;

// The first byte chooses the options.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  data::CsvOptions options{.delimiter = data[0] & 1 ? ';' : ',',
                           .header = (data[0] & 2) != 0,
                           .dtype = data[0] & 4 ? f64 : f32};
  if (data[0] & 8) options.labels = data::CsvLabels::first();
  if (data[0] & 16) options.labels = data::CsvLabels::one_hot(2);
  if (data[0] & 32) options.labels = data::CsvLabels::targets(2);
  Tensor matrix;
  data::Dataset examples;
  const bool good =
      fuzz::accepted([&] { matrix = data::decode_csv_matrix(bytes, "fuzz", options); });
  if (fuzz::accepted([&] { examples = data::decode_csv(bytes, "fuzz", options); })) {
    fuzz::require(good && examples.size() == matrix.shape()[0]);
    fuzz::require(all_finite(examples.inputs));
  }
  return 0;
}
