#include <functional>

#include "heap.hpp"
#include "io_support.hpp"

// Readers meet files that were changed at random: each gives a result or a typed error, and asks
// the heap for no more than a small multiple of the file. (tests/fuzz looks for more, with less
// haste.)
namespace xtape {
namespace {

using test::bytes_of;

struct Format {
  const char* name;
  std::vector<std::string> seeds;  // valid files
  std::function<void(const std::string&)> read;
  std::size_t factor, constant;  // what reading n bytes may ask for: factor n + constant
};

std::string gzip(const std::string& s) {
  const test::Folder folder;
  folder.write_gz("s.gz", s);
  return folder.read("s.gz");
}

void read_idx(const std::string& s) { data::decode_idx(bytes_of(s)); }

void read_csv(const std::string& s) {
  data::decode_csv(bytes_of(s), "memory", {.header = s[0] == 'a'});
  data::decode_csv_matrix(bytes_of(s), "memory", {.header = s[0] == 'a', .dtype = f64});
}

void read_npz(const std::string& s) {
  io::decode_npz(bytes_of(s), "memory", {.max_bytes = 10'000});
}

// The constants are buffers and, for idx.gz, one chunk of what a header may lie about.
std::vector<Format> formats() {
  const std::string csv = "1.5, 2,0\n-3e4,4,1\n7,8.25,2\n", idx = test::idx(0x08, {2, 3}, "abcdef");
  const std::string named = io::encode_safetensors({{"weight", Tensor({{1, 2}, {3, 4}}, f32)},
                                                    {"mask", test::truths({1, 0, 1})},
                                                    {"n", Tensor::ones({2, 0, 3}, i64)}},
                                                   {{"note", "text"}});
  const std::string half = test::safetensors(
      R"({"h":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})", std::string(8, 'x'));
  const std::string columns =
      test::npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }", std::string(12, 'x'));
  std::vector<Format> all{
      {"safetensors",
       {named, half},
       [](const std::string& s) {
         io::decode_safetensors(bytes_of(s), "memory", {.half_to_f32 = true});
       },
       16,
       4'000},
      {"npy",
       {io::encode_npy(Tensor({{1, 2, 3}, {4, 5, 6}})), io::encode_npy(test::truths({1, 0})),
        columns},
       [](const std::string& s) { io::decode_npy(bytes_of(s)); },
       16,
       16'000},
      {"idx",
       {idx, test::idx(0x0C, {2}, "abcdefgh"), test::idx(0x0E, {1}, "abcdefgh")},
       read_idx,
       16,
       16'000},
      {"idx.gz", {gzip(idx)}, read_idx, 2'000, 1'200'000},
      {"csv", {csv, "a,b,c\n" + csv}, read_csv, 64, 200'000},
      {"csv.gz", {gzip(csv)}, read_csv, 2'000, 300'000}};
  try {
    const std::vector<io::NamedTensor> tensors{{"a", Tensor({1, 2})}, {"b", test::truths({1})}};
    all.push_back(
        {"npz", {io::encode_npz(tensors), io::encode_npz(tensors, true)}, read_npz, 64, 120'000});
  } catch (const DataError&) {  // built without libzip
  }
  return all;
}

// One change: of a bit, a byte, a number, the length, or the order of pieces.
void mutate(std::string& s, Rng& rng) {
  const auto at = [&](std::size_t n) {
    return static_cast<std::size_t>(rng.integer(static_cast<std::int64_t>(n)));
  };
  static const std::vector<std::string> words{"\xff\xff\xff\xff\xff\xff\xff\xff",
                                              std::string(8, '\0'),
                                              "\xff\xff\xff\x7f",
                                              "[",
                                              "{",
                                              "9",
                                              "18446744073709551615",
                                              "-",
                                              "0",
                                              ",",
                                              "\"",
                                              "\n",
                                              "\x1f\x8b",
                                              "nan"};
  if (s.empty()) s = "x";
  switch (rng.integer(7)) {
    case 0:
      s[at(s.size())] ^= static_cast<char>(1 << rng.integer(8));
      break;
    case 1:
      s[at(s.size())] = static_cast<char>(rng.integer(256));
      break;
    case 2:
      s.resize(at(s.size() + 1));
      break;
    case 3:
      s.insert(at(s.size() + 1), words[at(words.size())]);
      break;
    case 4: {
      const std::string& word = words[at(words.size())];
      const std::size_t i = at(s.size());
      s.replace(i, std::min(word.size(), s.size() - i), word);
      break;
    }
    case 5:
      s.erase(at(s.size()), at(9));
      break;
    default: {
      const std::string piece = s.substr(at(s.size()), at(40));
      s.insert(at(s.size() + 1), piece);
    }
  }
}

}  // namespace

TEST_CASE("readers survive files that were changed at random", "[io][mutations]") {
  constexpr int kRounds = 10'000;
  std::int64_t accepted = 0, refused = 0;
  for (const Format& f : formats()) {
    Rng rng(42);
    for (int round = 0; round < kRounds; ++round) {
      std::string s = f.seeds[static_cast<std::size_t>(round) % f.seeds.size()];
      if (round >= static_cast<int>(f.seeds.size())) {  // the first ones unchanged
        for (std::int64_t k = 1 + rng.integer(4); k > 0; --k) mutate(s, rng);
      }
#if XTAPE_COUNT_HEAP
      const std::size_t before = test::heap_bytes();
#endif
      bool good = true;
      try {
        f.read(s);
        ++accepted;
      } catch (const Error&) {  // anything else fails the test
        good = false;
        ++refused;
      }
      if (round < static_cast<int>(f.seeds.size()) && !good) FAIL(f.name << ": a seed is refused");
#if XTAPE_COUNT_HEAP
      const std::size_t asked = test::heap_bytes() - before;
      if (asked > f.factor * s.size() + f.constant) {
        FAIL(f.name << ", round " << round << ": " << asked << " bytes asked for by a file of "
                    << s.size());
      }
#endif
    }
  }
  CHECK(accepted > kRounds / 10);
  CHECK(refused > kRounds);
}

}  // namespace xtape
