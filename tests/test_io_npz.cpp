#include "io_support.hpp"

// NumPy's archives.
namespace xtape {
namespace {

using test::bytes_of;
using namespace std::string_literals;

bool has_zip() {
  try {
    io::encode_npz({{"a", Tensor::scalar(1)}});
    return true;
  } catch (const DataError& e) {
    CHECK(std::string(e.what()).find("libzip-dev") != std::string::npos);
    return false;
  }
}

std::string error_of(const std::string& file, const io::NpzOptions& options = {}) {
  return test::thrown([&] { io::decode_npz(bytes_of(file), "memory", options); });
}

void check_has(const std::string& error, const std::string& text) {
  INFO(error);
  CHECK(error.find(text) != std::string::npos);
}

// Replaces every `from` in the archive: names stand at its member and in its directory.
std::string replaced(std::string s, const std::string& from, const std::string& to) {
  for (std::size_t at = s.find(from); at != std::string::npos; at = s.find(from, at + to.size())) {
    s.replace(at, from.size(), to);
  }
  return s;
}

}  // namespace

TEST_CASE("npz archives come back", "[io][npz]") {
  if (!has_zip()) return;
  const test::Folder folder;
  const std::vector<io::NamedTensor> tensors{{"b", Tensor({{1, 2}, {3, 4}}, f32)},
                                             {"dir/a", test::ints({-1})},
                                             {"ключ", Tensor::zeros({100, 100})},
                                             {"empty", Tensor::zeros({0, 2})}};
  for (const bool compress : {false, true}) {
    io::save_npz(folder / "t.npz", tensors, compress);
    const std::vector<io::NamedTensor> got = io::load_npz(folder / "t.npz");
    REQUIRE(got.size() == tensors.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i].name == tensors[i].name);
      CHECK(identical(got[i].value, tensors[i].value));
    }
    CHECK(folder.read("t.npz") == io::encode_npz(tensors, compress));
    CHECK((folder.read("t.npz").size() < 10'000) == compress);
    CHECK(folder.entries() == 1);
  }
  const std::string none = io::encode_npz({});
  CHECK(io::decode_npz(bytes_of(none)).empty());
}

TEST_CASE("an npz archive is a zip of npy files, byte for byte", "[io][npz]") {
  if (!has_zip()) return;
  const Tensor t = Tensor({1.5});
  const std::string npy = io::encode_npy(t), file = io::encode_npz({{"x", t}});
  REQUIRE(npy.size() == 136);
  // Local header (APPNOTE.TXT 4.3.7): stored, 1980-01-01, then name and data.
  CHECK(file.substr(0, 4) == "PK\x03\x04");
  CHECK(file.substr(8, 6) == "\0\0\0\0\x21\0"s);
  CHECK(file.substr(18, 12) == "\x88\0\0\0\x88\0\0\0\x05\0\0\0"s);
  CHECK(file.substr(30, 5 + 136) == "x.npy" + npy);
  CHECK(file.substr(30 + 5 + 136, 4) == "PK\x01\x02");
}

TEST_CASE("npz archives that break a rule are refused", "[io][npz]") {
  if (!has_zip()) return;
  const std::string good = io::encode_npz({{"aa", Tensor({1, 2})}, {"ab", Tensor({3, 4})}});
  CHECK(error_of(good) == "nothing");
  check_has(error_of(""), "is empty: no zip archive");
  check_has(error_of(good.substr(0, good.size() - 30)), "is no zip archive");
  check_has(error_of(replaced(good, "ab.npy", "aa.npy")), "array 'aa' stands twice");
  check_has(error_of(replaced(good, "ab.npy", "ab.txt")), "'ab.txt' is no array");
  check_has(error_of(replaced(good, "NUMPY", "NUMPX")), "aa.npy");
  std::string flipped = good;  // the last byte of the first member
  flipped[30 + 6 + 128 + 16 - 1] ^= 1;
  check_has(error_of(flipped), "'aa.npy'");
  check_has(error_of(flipped), "is damaged");
  REQUIRE_ERROR(io::encode_npz({{"", Tensor({1.0})}}), ValueError, "must not be empty");
  REQUIRE_ERROR(io::encode_npz({{"a", Tensor({1.0})}, {"a", Tensor({1.0})}}), ValueError, "'a'");
  REQUIRE_ERROR(io::encode_npz({{"\xff", Tensor({1.0})}}), ValueError, "\\xff");
}

TEST_CASE("npz archives that grow too large are refused", "[io][npz]") {
  if (!has_zip()) return;
  const Tensor zeros = Tensor::zeros({3 << 20}, f64);  // 24 MiB, 24 KB compressed
  const std::string bomb = io::encode_npz({{"z", zeros}}, true);
  REQUIRE(bomb.size() < 100'000);
  memory::reset_peak();
  const std::size_t before = memory::stats().peak_bytes;
  check_has(error_of(bomb), "more than 16777216 bytes: .max_bytes allows more");
  CHECK(memory::stats().peak_bytes - before < 1'000'000);
  CHECK(
      identical(io::decode_npz(bytes_of(bomb), "memory", {.max_bytes = 25 << 20})[0].value, zeros));
  const std::string two = io::encode_npz({{"a", Tensor({1.0})}, {"b", Tensor({2.0})}});
  check_has(error_of(two, {.max_bytes = 200}), "member 'b.npy' brings the arrays to more than 200");
  CHECK(error_of(two, {.max_bytes = 272}) == "nothing");
}

}  // namespace xtape
