#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/data/idx.hpp>
#include <xtape/data/sources.hpp>
#include <xtape/data/uci_digits.hpp>

namespace xtape::data {
namespace {

constexpr std::int64_t kPixels = 28, kClasses = 10;

std::vector<std::string> digit_names() {
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back(std::to_string(i));
  return names;
}

// `file` in `folder`, or its compressed form.
std::string find(const std::string& folder, const std::string& file, const std::string& help) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const char* ending : {"", ".gz"}) {
    const fs::path path = fs::path(folder) / (file + ending);
    if (fs::exists(path, ignored)) return path.string();
  }
  throw DataError(folder, "has no " + file + "[.gz]: " + help);
}

Dataset read_part(const std::string& folder, const std::string& part, const std::string& help) {
  const std::string images = find(folder, part + "-images-idx3-ubyte", help);
  const std::string names = find(folder, part + "-labels-idx1-ubyte", help);
  Dataset d;
  d.labels = read_idx(names);
  if (d.labels.rank() != 1 || d.labels.dtype() != i64) {
    throw DataError(names, "holds " + d.labels.shape().str() + " of " + name(d.labels.dtype()) +
                               ": labels are (n,) integers");
  }
  for (const std::int64_t v : d.labels.span<std::int64_t>()) {
    if (v < 0 || v >= kClasses) {
      throw DataError(names, "has label " + std::to_string(v) + ": must be in 0 to 9");
    }
  }
  d.inputs = read_idx(images, {.dtype = f32, .scale = 1.0 / 255});
  const std::int64_t n = d.labels.size();
  if (d.inputs.shape() != Shape{n, kPixels, kPixels}) {
    throw DataError(images, "holds " + d.inputs.shape().str() + ": " + std::to_string(n) +
                                " labels need images " + Shape{n, kPixels, kPixels}.str());
  }
  d.inputs = d.inputs.reshape({n, kPixels * kPixels});
  d.classes = kClasses;
  return d;
}

Split read_split(const std::string& folder, const std::string& set, const std::string& help,
                 const std::vector<std::string>& class_names) {
  // The smaller part first: a folder that lacks it is refused before the long read.
  Split s;
  s.test = read_part(folder, "t10k", help);
  s.train = read_part(folder, "train", help);
  for (Dataset* d : {&s.train, &s.test}) {
    d->name = set;
    d->class_names = class_names;
  }
  return s;
}

}  // namespace

Split fashion_mnist(const std::string& folder) {
  return read_split(folder, "fashion-mnist",
                    "install the Debian package dataset-fashion-mnist, or pass the folder that "
                    "holds the four files",
                    {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
                     "Sneaker", "Bag", "Ankle boot"});
}

Split mnist(const std::string& folder) {
  return read_split(folder, "mnist", "pass the folder that holds the four files", digit_names());
}

Dataset digits() {
  using detail::kUciDigitPixels, detail::kUciDigits;
  Dataset d;
  d.inputs = Tensor::empty({detail::kUciDigitCount, kUciDigitPixels}, f32);
  d.labels = Tensor::empty({detail::kUciDigitCount}, i64);
  auto* pixel = static_cast<float*>(d.inputs.raw());
  auto* label = static_cast<std::int64_t*>(d.labels.raw());
  for (const auto& row : kUciDigits) {
    for (int i = 0; i < kUciDigitPixels; ++i) *pixel++ = static_cast<float>(row[i] - '0') / 16;
    *label++ = row[kUciDigitPixels] - '0';
  }
  d.classes = 10;
  d.name = "digits";
  d.class_names = digit_names();
  return d;
}

Split digits_split() {
  constexpr std::int64_t kTrain = 1437;
  const Dataset all = digits();
  return {all.take(0, kTrain), all.take(kTrain, all.size() - kTrain)};
}

}  // namespace xtape::data
