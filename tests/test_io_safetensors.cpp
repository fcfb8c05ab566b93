#include <limits>

#include "io_support.hpp"

// The safetensors format, byte for byte, and every rule that a file can break.
namespace xtape {
namespace {

using test::bytes_of;
using test::raw;
using test::safetensors;
using namespace std::string_literals;

std::string error_of(const std::string& file, const io::SafetensorsOptions& options = {}) {
  return test::thrown_at("memory",
                         [&] { io::decode_safetensors(bytes_of(file), "memory", options); });
}

// The error of a file of one tensor "w" with these fields and 16 bytes of data.
std::string error_of_w(const std::string& fields) {
  return error_of(safetensors("{\"w\":{" + fields + "}}", std::string(16, '\0')));
}

}  // namespace

TEST_CASE("safetensors files are written as the format says", "[io][safetensors]") {
  const Tensor b = Tensor({0.5, -2}, f32), a({{1, 2, 3}}), n = test::ints({-1}),
               mask = test::truths({1, 0, 1});
  const std::string file = io::encode_safetensors({{"b", b}, {"mask", mask}, {"a", a}, {"n", n}},
                                                  {{"k\"2", "ü\n"}, {"k1", ""}});
  const std::string header = R"({"__metadata__":{"k\"2":"ü\n","k1":""},)"
                             R"("n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"F64","shape":[1,3],"data_offsets":[8,32]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[32,40]},)"
                             R"("mask":{"dtype":"BOOL","shape":[3],"data_offsets":[40,43]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  CHECK(file == safetensors(padded, raw<std::int64_t>(-1) + raw(1.0) + raw(2.0) + raw(3.0) +
                                        raw(0.5f) + raw(-2.0f) + "\1\0\1"s));
  // In hexadecimal, as a dump of the file shows it.
  CHECK(io::encode_safetensors({{"x", Tensor({1.0}, f32)}}) ==
        "\x38\0\0\0\0\0\0\0"s
        "\x7b\x22\x78\x22\x3a\x7b\x22\x64\x74\x79\x70\x65\x22\x3a\x22\x46"
        "\x33\x32\x22\x2c\x22\x73\x68\x61\x70\x65\x22\x3a\x5b\x31\x5d\x2c"
        "\x22\x64\x61\x74\x61\x5f\x6f\x66\x66\x73\x65\x74\x73\x22\x3a\x5b"
        "\x30\x2c\x34\x5d\x7d\x7d\x20\x20"
        "\0\0\x80\x3f"s);
  CHECK(io::encode_safetensors({}) == safetensors("{}      ", ""));
}

TEST_CASE("safetensors files come back bit for bit", "[io][safetensors]") {
  const test::Folder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<io::NamedTensor> tensors{
      {"scalar", Tensor::scalar(-0.0)},     {"nan", Tensor({nan, 1e308})},
      {"empty", Tensor::zeros({3, 0, 2})},  {"", Tensor::ones({2, 2}, i64)},
      {"ключ", test::truths({0, 1})},       {"e8", Tensor::ones({1, 1, 1, 1, 1, 1, 1, 2})},
      {"another empty", Tensor::zeros({0})}};
  io::save_safetensors(folder / "t", tensors, {{"a", "b"}});
  const io::Safetensors got = io::load_safetensors(folder / "t");
  CHECK(got.metadata == io::Metadata{{"a", "b"}});
  REQUIRE(got.tensors.size() == tensors.size());
  for (const io::NamedTensor& t : tensors) {
    INFO(t.name);
    CHECK(identical(got.at(t.name), t.value));
  }
  CHECK(folder.read("t") == io::encode_safetensors(tensors, {{"a", "b"}}));
  REQUIRE_ERROR(got.at("no"), ValueError, "'no'");
}

TEST_CASE("safetensors headers of other writers are read", "[io][safetensors]") {
  // Any order of keys and tensors, spaces, no padding, escapes.
  const io::Safetensors got = io::decode_safetensors(bytes_of(safetensors(
      R"({ "b\u00e9": { "data_offsets" : [8,16], "shape":[], "dtype":"F64"}, "a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}, "__metadata__":{}} )",
      raw(1.0f) + raw(2.0f) + raw(3.0))));
  REQUIRE(got.tensors.size() == 2);
  CHECK(got.tensors[0].name == "a");
  CHECK(identical(got.at("a"), Tensor({{1}, {2}}, f32)));
  CHECK(identical(got.at("bé"), Tensor::scalar(3)));
}

TEST_CASE("half precision is read when asked", "[io][safetensors]") {
  const auto u16 = [](std::initializer_list<std::uint16_t> v) {
    std::string s;
    for (const std::uint16_t x : v) s += raw(x);
    return s;
  };
  const std::string file = safetensors(
      R"({"h":{"dtype":"F16","shape":[8],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})",
      u16({0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0xfc00, 0x8000}) +
          u16({0x3f80, 0xc049, 0x7f80}));
  CHECK(error_of(file).find("'h' has dtype F16: ask for .half_to_f32") != std::string::npos);
  const io::Safetensors got =
      io::decode_safetensors(bytes_of(file), "memory", {.half_to_f32 = true});
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(identical(got.at("h"), Tensor({1, -2, std::ldexp(1, -24), std::ldexp(1023, -24),
                                       std::ldexp(1, -14), 65504, -inf, -0.0},
                                      f32)));
  CHECK(identical(got.at("b"), Tensor({1, -3.140625, inf}, f32)));
}

TEST_CASE("safetensors files that break a rule are refused by name", "[io][safetensors]") {
  const auto has = [](const std::string& error, const std::string& text) {
    INFO(error);
    CHECK(error.find(text) != std::string::npos);
  };
  has(error_of(""), "has 0 bytes: a safetensors file begins with an 8-byte length");
  has(error_of(raw<std::uint64_t>(100'000'001) + "{}"), "must be at most 100000000");
  has(error_of(raw<std::uint64_t>(3) + "{}"), "says its header has 3 bytes, of which there are 2");
  has(error_of(raw(~std::uint64_t{0}) + "{}"), "must be at most 100000000");
  has(error_of(safetensors("", "")), "must begin with '{'");
  has(error_of(safetensors("\xEF\xBB\xBF{}", "")), "must begin with '{'");
  has(error_of(safetensors("{}\0"s, "")), "zero byte");
  has(error_of(safetensors("{}x", "")), "is no JSON in UTF-8 at its byte 3");
  has(error_of(safetensors("{\"\xff\":{}}", "")), "is no JSON in UTF-8 at its byte 3");
  has(error_of(safetensors("{\"a\":" + std::string(100'000, '{'), "")), "is no JSON");
  has(error_of(safetensors("{\"a\":{\"dtype\":" + std::string(100'000, '['), "")),
      "'a' holds an array where the format has none");
  has(error_of(safetensors("{}", "x")), "has 1 bytes of data, its tensors have 0");
  const std::string good = R"("dtype":"F32","shape":[4],"data_offsets":[0,16])";
  CHECK(error_of_w(good) == "nothing");
  has(error_of_w(R"("dtype":"F32","shape":[4])"), "'w' lacks a field");
  has(error_of_w(good + R"(,"x":1)"), "'w' has a field 'x'");
  has(error_of_w(good + R"(,"dtype":"F32")"), "'w' has its dtype twice");
  has(error_of_w(R"("dtype":"F33","shape":[4],"data_offsets":[0,16])"),
      "'w' has dtype 'F33', which the format does not know");
  has(error_of_w(R"("dtype":"I32","shape":[4],"data_offsets":[0,16])"),
      "'w' has dtype I32: must be F32, F64, I64 or BOOL");
  has(error_of_w(R"("dtype":"F32","shape":[3],"data_offsets":[0,16])"),
      "shape (3,) of F32 needs 12 bytes");
  has(error_of_w(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"),
      "has 16 bytes of data, its tensors have 8");
  has(error_of_w(R"("dtype":"F32","shape":[8],"data_offsets":[0,32])"),
      "'w' has data_offsets [0, 32]: the file has 16 bytes of data");
  has(error_of_w(R"("dtype":"F32","shape":[0],"data_offsets":[16,0])"), "they must ascend");
  has(error_of_w(R"("dtype":"F32","shape":[3],"data_offsets":[4,16])"), "there is a gap behind 0");
  has(error_of_w(R"("dtype":"F32","shape":[4],"data_offsets":[0])"), "must be two numbers");
  has(error_of_w(R"("dtype":"F32","shape":[4],"data_offsets":[0,16,16])"), "must be two numbers");
  has(error_of_w(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"),
      "more than memory can hold");
  has(error_of_w(R"("dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0])"),
      "more than memory can hold");
  has(error_of_w(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,0])"),
      "more than memory can hold");
  has(error_of_w(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0])"),
      "no integer of 64 bits");
  has(error_of_w(R"("dtype":"F32","shape":[-4],"data_offsets":[0,16])"), "a negative number");
  has(error_of_w(R"("dtype":"F32","shape":[4.0],"data_offsets":[0,16])"), "no integer");
  has(error_of_w(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,16])"),
      "'w' has more than 8 axes");
  has(error_of_w(R"("dtype":4,"shape":[4],"data_offsets":[0,16])"), "'w' holds a number");
  has(error_of_w(R"("dtype":null,"shape":[4],"data_offsets":[0,16])"), "'w' holds null");
  has(error_of_w(R"("dtype":true,"shape":[4],"data_offsets":[0,16])"), "'w' holds a truth value");
}

TEST_CASE("safetensors files with things twice or overlapping are refused", "[io][safetensors]") {
  const auto has = [](const std::string& error, const std::string& text) {
    INFO(error);
    CHECK(error.find(text) != std::string::npos);
  };
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::string b = R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]})";
  has(error_of(safetensors("{" + a + "," + a + "}", std::string(8, '\0'))), "'a' stands twice");
  has(error_of(safetensors("{" + a + "," + b + "}", std::string(12, '\0'))),
      "'b' has data_offsets [4, 12]: they overlap the tensor before, which ends at 8");
  has(error_of(safetensors(R"({"__metadata__":{"k":"1","k":"2"}})", "")),
      "metadata 'k' stands twice");
  has(error_of(safetensors(R"({"__metadata__":{},"__metadata__":{}})", "")), "stands twice");
  has(error_of(safetensors(R"({"__metadata__":{"k":1}})", "")), "the metadata holds a number");
  has(error_of(safetensors(R"({"__metadata__":[]})", "")), "the metadata holds an array");
  has(error_of(
          safetensors(R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", "\0\1\2"s)),
      "'m' has 2 as element 2: BOOL must be 0 or 1");
}

TEST_CASE("tensors that safetensors cannot hold are refused", "[io][safetensors]") {
  const test::Folder folder;
  const Tensor t = Tensor::ones({2});
  REQUIRE_ERROR(io::save_safetensors(folder / "t", {{"a", t}, {"b", t}, {"a", t}}), ValueError,
                "two tensors are named 'a'");
  REQUIRE_ERROR(io::save_safetensors(folder / "t", {{"__metadata__", t}}), ValueError,
                "__metadata__");
  REQUIRE_ERROR(io::save_safetensors(folder / "t", {{"a", Tensor{}}}), ValueError,
                "'a' is an empty tensor");
  REQUIRE_ERROR(io::save_safetensors(folder / "t", {{"\xff", t}}), ValueError, "no UTF-8");
  REQUIRE_ERROR(io::save_safetensors(folder / "t", {{"a", t}}, {{"k", "\xff"}}), ValueError,
                "no UTF-8");
  CHECK(folder.entries() == 0);
}

}  // namespace xtape
