#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <set>

#include <xtape/data/data.hpp>

#include "data_support.hpp"

namespace {

using namespace xtape;
using namespace xtape::test;
namespace fs = std::filesystem;

data::Dataset counted(std::int64_t n) {
  data::Dataset d;
  d.inputs = Tensor::arange(2 * n, f32).reshape({n, 2});
  d.labels = Tensor::arange(n);
  d.classes = n;
  return d;
}

std::vector<std::int64_t> epoch(const data::Batches& batches) {
  std::vector<std::int64_t> seen;
  for (auto& [inputs, labels] : batches) {
    REQUIRE(inputs.shape() == Shape{labels.size(), 2});
    for (std::int64_t i = 0; i < labels.size(); ++i) {
      const std::int64_t label = labels.span<std::int64_t>()[static_cast<std::size_t>(i)];
      seen.push_back(label);
      REQUIRE(inputs.at({i, 1}) == static_cast<double>(2 * label + 1));
    }
  }
  return seen;
}

}  // namespace

TEST_CASE("Batches: every row once, in an order the seed decides", "[data][batches]") {
  const data::Dataset d = counted(10);
  Rng a(1), b(1), c(2);
  const data::Batches batches = data::batches(d, 4, a);
  CHECK(batches.size() == 3);
  const std::vector<std::int64_t> first = epoch(batches), second = epoch(batches);
  CHECK(std::set<std::int64_t>(first.begin(), first.end()).size() == 10);
  CHECK(first.size() == 10);
  CHECK(first != second);  // a new order for every epoch
  CHECK(epoch(data::batches(d, 3, b)) == first);
  CHECK(epoch(data::batches(d, 4, c)) != first);
  std::vector<std::int64_t> sizes;
  for (const auto& batch : data::batches(d, 4, c)) sizes.push_back(batch.labels.size());
  CHECK(sizes == std::vector<std::int64_t>{4, 4, 2});
}

TEST_CASE("Batches: without a generator, and all at once", "[data][batches]") {
  const data::Dataset d = counted(6);
  std::vector<std::int64_t> order(6);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(3);
  for (const std::int64_t size : {0, 1, 4, 6, 100}) {
    CHECK(epoch(data::batches(d, size)) == order);
    std::vector<std::int64_t> shuffled = epoch(data::batches(d, size, rng));
    std::sort(shuffled.begin(), shuffled.end());
    CHECK(shuffled == order);
  }
  CHECK(data::batches(d, 0).size() == 1);
  CHECK(data::batches(d, 100, rng).size() == 1);
  CHECK((*data::batches(d, 0).begin()).inputs.shares_memory_with(d.inputs));
  CHECK(epoch(data::batches(counted(0), 4, rng)).empty());
  CHECK(data::batches(counted(0), 0).size() == 0);
  CHECK(thrown<ValueError>([&] { data::batches(d, -1, rng); }) ==
        "[batches] batch size -1: must be 1 or more, or 0 for all rows at once");
  data::Dataset odd = d;
  odd.labels = ints({1, 2});
  CHECK(thrown<ShapeError>([&] { data::batches(odd, 2); }) ==
        "[batches] inputs (6, 2) and labels (2,): must have as many rows");
}

TEST_CASE("Batches: memory is used again unless someone holds it", "[data][batches]") {
  const data::Dataset d = counted(6);
  std::set<const void*> blocks;
  std::vector<Tensor> kept;
  for (auto& [inputs, labels] : data::batches(d, 2)) blocks.insert(inputs.raw());
  CHECK(blocks.size() == 1);
  for (auto& [inputs, labels] : data::batches(d, 2)) kept.push_back(inputs);
  CHECK(identical(kept[0], Tensor({{0, 1}, {2, 3}}, f32)));
  CHECK(identical(kept[2], Tensor({{8, 9}, {10, 11}}, f32)));
}

TEST_CASE("Datasets: take, to, one_hot", "[data][dataset]") {
  const data::Dataset d = counted(4);
  CHECK(data::Dataset{}.size() == 0);
  CHECK(d.size() == 4);
  const data::Dataset part = d.take(1, 2);
  CHECK(identical(part.inputs, Tensor({{2, 3}, {4, 5}}, f32)));
  CHECK(identical(part.labels, ints({1, 2})));
  CHECK(part.classes == 4);
  CHECK(d.take(4, 0).size() == 0);
  CHECK(thrown<ValueError>([&] { d.take(3, 2); }) ==
        "[Dataset::take] 2 rows from row 3 on: there are 4 rows");
  CHECK_THROWS_AS(d.take(-1, 2), ValueError);
  CHECK_THROWS_AS(d.take(5, 0), ValueError);
  CHECK_THROWS_AS(d.take(1, std::numeric_limits<std::int64_t>::max()), ValueError);
  CHECK(d.to(f64).inputs.dtype() == f64);
  CHECK(d.to(f64).labels.shares_memory_with(d.labels));
  CHECK(identical(part.one_hot(), Tensor({{0, 1, 0, 0}, {0, 0, 1, 0}}, f32)));
  CHECK(part.one_hot(i64).dtype() == i64);
  data::Dataset few = d;
  few.classes = 3;
  CHECK(thrown<ValueError>([&] { few.one_hot(); }) ==
        "[Dataset::one_hot] label 3: must be in 0 to 2");
}

TEST_CASE("take_rows gathers any dtype", "[data][dataset]") {
  const std::vector<std::int64_t> rows{2, 0, 2};
  for (const DType dtype : {f32, f64, i64, boolean}) {
    const Tensor t = Tensor({{0, 1}, {2, 3}, {4, 0}}).to(dtype);
    CHECK(identical(data::take_rows(t, rows), Tensor({{4, 0}, {0, 1}, {4, 0}}).to(dtype)));
  }
  CHECK(data::take_rows(Tensor({1.0}), {}).shape() == Shape{0});
  CHECK(thrown<ValueError>([&] {
          data::take_rows(Tensor({1.0, 2.0}), rows);
        }) == "[take_rows] row 2: there are 2 rows");
  CHECK_THROWS_AS(data::take_rows(Tensor::scalar(1), rows), ShapeError);
}

TEST_CASE("split deals every row to one side", "[data][dataset]") {
  const data::Dataset d = counted(10);
  Rng a(5), b(5), c(6);
  const data::Split s = data::split(d, 0.3, a), same = data::split(d, 0.3, b);
  CHECK(s.train.size() == 7);
  CHECK(s.test.size() == 3);
  CHECK(identical(s.train.labels, same.train.labels));
  CHECK(identical(s.test.inputs, same.test.inputs));
  CHECK_FALSE(identical(s.train.labels, data::split(d, 0.3, c).train.labels));
  std::set<std::int64_t> all;
  for (const Tensor& t : {s.train.labels, s.test.labels}) {
    for (const std::int64_t v : t.span<std::int64_t>()) all.insert(v);
  }
  CHECK(all.size() == 10);
  CHECK(data::split(d, 0, a).test.size() == 0);
  CHECK(data::split(d, 1, a).train.size() == 0);
  for (const double f : {-0.1, 1.1, std::nan("")})
    CHECK_THROWS_AS(data::split(d, f, a), ValueError);
}

TEST_CASE("The embedded digits are those of UCI", "[data][sources]") {
  const data::Dataset d = data::digits();
  CHECK(d.inputs.spec() == Spec{{1797, 64}, f32});
  CHECK(d.labels.spec() == Spec{{1797}, i64});
  CHECK(d.classes == 10);
  CHECK(d.class_names.size() == 10);
  const std::vector<int> top{0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0};
  for (std::size_t i = 0; i < top.size(); ++i) {
    CHECK(d.inputs.at({0, static_cast<std::int64_t>(i)}) * 16 == top[i]);
  }
  CHECK(identical(d.take(0, 10).labels, Tensor::arange(10)));
  CHECK(identical(d.take(1792, 5).labels, ints({9, 0, 8, 9, 8})));
  // Weighted by position, so that no two values can have changed places.
  std::int64_t sum = 0, k = 0;
  for (std::int64_t i = 0; i < 1797; ++i) {
    for (std::int64_t j = 0; j < 64; ++j, ++k) {
      sum += (i + 1) * (j + 1) * static_cast<std::int64_t>(d.inputs.flat(k) * 16);
    }
    sum += (i + 1) * 65 * static_cast<std::int64_t>(d.labels.flat(i));
  }
  CHECK(sum == 16809934574);
  const data::Split s = data::digits_split();
  CHECK(s.train.size() == 1437);
  CHECK(s.test.size() == 360);
  CHECK(s.test.labels.flat(359) == 8);
}

TEST_CASE("Fashion-MNIST as Debian ships it", "[data][sources]") {
  if (!fs::exists("/usr/share/datasets/fashion-mnist")) {
    WARN("dataset-fashion-mnist is not installed: its values are not checked");
    return;
  }
  const auto [train, test] = data::fashion_mnist();
  CHECK(train.inputs.spec() == Spec{{60000, 784}, f32});
  CHECK(test.inputs.spec() == Spec{{10000, 784}, f32});
  CHECK(identical(train.take(0, 10).labels, ints({9, 0, 0, 3, 0, 2, 7, 2, 5, 5})));
  CHECK(identical(test.take(0, 10).labels, ints({9, 2, 1, 1, 6, 1, 4, 6, 5, 7})));
  CHECK(train.class_names[9] == "Ankle boot");
  CHECK(train.classes == 10);
  std::int64_t sum = 0;
  double low = 1, high = 0;
  for (const float v : train.inputs.span<float>()) {
    sum += std::lround(v * 255);
    low = std::min(low, static_cast<double>(v));
    high = std::max(high, static_cast<double>(v));
  }
  CHECK(sum == 3431114169);
  CHECK(low == 0);
  CHECK(high == 1);
}

TEST_CASE("MNIST-like folders: missing files and files that do not agree", "[data][sources]") {
  const Folder dir;
  CHECK(thrown([&] { data::fashion_mnist(dir.str()); }) ==
        "[" + dir.str() +
            "] has no t10k-images-idx3-ubyte[.gz]: install the Debian package "
            "dataset-fashion-mnist, or pass the folder that holds the four files");
  const std::string pixels(784 * 2, '\xff');
  dir.write("t10k-images-idx3-ubyte", idx(0x08, {2, 28, 28}, pixels));
  dir.write("t10k-labels-idx1-ubyte", idx(0x08, {2}, "\x01\x09"));
  dir.write_gz("train-images-idx3-ubyte.gz", idx(0x08, {2, 28, 28}, pixels));
  dir.write("train-labels-idx1-ubyte", idx(0x08, {2}, "\x03\x04"));
  const auto [train, test] = data::mnist(dir.str());
  CHECK(identical(test.inputs, Tensor::ones({2, 784})));
  CHECK(identical(train.labels, ints({3, 4})));
  CHECK(train.class_names[3] == "3");
  const auto error = [&](const std::string& labels) {
    dir.write("train-labels-idx1-ubyte", labels);
    const std::string text = thrown([&] { data::mnist(dir.str()); });
    return text.substr(text.find("] ") + 2);
  };
  CHECK(error(idx(0x08, {3}, "\x01\x02\x03")) ==
        "holds (2, 28, 28): 3 labels need images (3, 28, 28)");
  CHECK(error(idx(0x08, {2}, "\x01\x0a")) == "has label 10: must be in 0 to 9");
  CHECK(error(idx(0x08, {1, 2}, "\x01\x02")) == "holds (1, 2) of i64: labels are (n,) integers");
}
