#include <limits>

#include "io_support.hpp"

// NumPy's formats, byte for byte, and every rule that a file can break.
namespace xtape {
namespace {

using test::bytes_of;
using test::npy;
using test::raw;
using namespace std::string_literals;

std::string error_of(const std::string& file) {
  return test::thrown_at("memory", [&] { io::decode_npy(bytes_of(file)); });
}

void check_has(const std::string& error, const std::string& text) {
  INFO(error);
  CHECK(error.find(text) != std::string::npos);
}

std::string dictionary(const std::string& descr, const std::string& shape,
                       const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

template <class N>
Tensor integers(const std::string& descr, std::initializer_list<N> values) {
  std::string data;
  for (const N v : values) data += raw(v);
  return io::decode_npy(
      bytes_of(npy(dictionary(descr, "(" + std::to_string(values.size()) + ",)"), data)));
}

}  // namespace

TEST_CASE("npy files are written as numpy.save does", "[io][npy]") {
  // In hexadecimal: numpy.save of array([1, -2.5], dtype='<f4').
  CHECK(io::encode_npy(Tensor({1, -2.5}, f32)) ==
        "\x93\x4e\x55\x4d\x50\x59\x01\x00\x76\x00"s
        "\x7b\x27\x64\x65\x73\x63\x72\x27\x3a\x20\x27\x3c\x66\x34\x27\x2c"
        "\x20\x27\x66\x6f\x72\x74\x72\x61\x6e\x5f\x6f\x72\x64\x65\x72\x27"
        "\x3a\x20\x46\x61\x6c\x73\x65\x2c\x20\x27\x73\x68\x61\x70\x65\x27"
        "\x3a\x20\x28\x32\x2c\x29\x2c\x20\x7d" +
            std::string(60, ' ') + "\n\x00\x00\x80\x3f\x00\x00\x20\xc0"s.substr(0, 9));
  const auto text = [](const Tensor& t) {
    const std::string s = io::encode_npy(t);
    CHECK((s.size() - t.nbytes()) % 64 == 0);
    return s.substr(10, s.find('}') - 9);
  };
  CHECK(text(Tensor::scalar(1)) == dictionary("<f8", "()"));
  CHECK(text(Tensor::zeros({2, 0, 3}, i64)) == dictionary("<i8", "(2, 0, 3)"));
  CHECK(text(test::truths({1, 0})) == dictionary("|b1", "(2,)"));
}

TEST_CASE("npy files come back bit for bit", "[io][npy]") {
  const test::Folder folder;
  for (const Tensor& t :
       {Tensor::scalar(std::numeric_limits<double>::quiet_NaN()), Tensor({{1, 2, 3}, {4, 5, -0.0}}),
        Tensor({1, 2, 3}, f32), Tensor::zeros({2, 0, 3}), test::ints({-1, 1L << 62}),
        test::truths({1, 0, 1}), Tensor::ones({1, 1, 1, 1, 1, 1, 1, 2})}) {
    io::save_npy(folder / "t.npy", t);
    CHECK(identical(io::load_npy(folder / "t.npy"), t));
  }
  REQUIRE_ERROR(io::save_npy(folder / "u.npy", Tensor{}), ValueError, "");
  CHECK(folder.entries() == 1);
}

TEST_CASE("npy files of other versions, orders and dtypes are read", "[io][npy]") {
  const std::string d = dictionary("<f8", "(1,)");
  const std::string wide = raw(static_cast<std::uint32_t>(d.size() + 1)) + d + "\n" + raw(7.0);
  CHECK(identical(io::decode_npy(bytes_of("\x93NUMPY\x02\x00"s + wide)), Tensor({7.0})));
  CHECK(identical(io::decode_npy(bytes_of("\x93NUMPY\x03\x00"s + wide)), Tensor({7.0})));
  check_has(error_of("\x93NUMPY\x01\x01"s + wide), "is of version 1.1");

  std::string columns;  // of [[0, 1, 2], [3, 4, 5]]
  for (const float v : {0.f, 3.f, 1.f, 4.f, 2.f, 5.f}) columns += raw(v);
  CHECK(identical(io::decode_npy(bytes_of(npy(dictionary("<f4", "(2, 3)", "True"), columns))),
                  Tensor({{0, 1, 2}, {3, 4, 5}}, f32)));
  std::string deep;  // element (i, j, k) of 2 × 3 × 4 is 100 i + 10 j + k
  for (std::int64_t k = 0; k < 4; ++k) {
    for (std::int64_t j = 0; j < 3; ++j) {
      for (std::int64_t i = 0; i < 2; ++i) deep += raw(100 * i + 10 * j + k);
    }
  }
  const Tensor t = io::decode_npy(bytes_of(npy(dictionary("<i8", "(2, 3, 4)", "True"), deep)));
  CHECK(t.at({1, 2, 3}) == 123);
  CHECK(t.at({0, 1, 3}) == 13);
  CHECK(t.at({1, 0, 2}) == 102);

  CHECK(identical(integers<std::int8_t>("|i1", {-128, 127}), test::ints({-128, 127})));
  CHECK(identical(integers<std::uint8_t>("|u1", {0, 255}), test::ints({0, 255})));
  CHECK(identical(integers<std::int16_t>("<i2", {-32768, 7}), test::ints({-32768, 7})));
  CHECK(identical(integers<std::uint16_t>("<u2", {65535}), test::ints({65535})));
  CHECK(identical(integers<std::int32_t>("<i4", {-2147483647, 3}), test::ints({-2147483647, 3})));
  CHECK(identical(integers<std::uint32_t>("<u4", {4294967295U}), test::ints({4294967295})));
  CHECK(identical(integers<std::uint64_t>("<u8", {5}), test::ints({5})));
  CHECK(identical(integers<std::uint16_t>("<f2", {0x3c00, 0xc100}), Tensor({1, -2.5}, f32)));
  REQUIRE_ERROR(integers<std::uint64_t>("<u8", {1, ~std::uint64_t{0}}), DataError,
                "18446744073709551615 as element 1: must be at most 2^63 - 1");
  // As Python may write a dictionary.
  CHECK(identical(io::decode_npy(bytes_of(npy(
                      R"({"shape":(1 , 2 ,),"fortran_order":False , 'descr':"|u1"}   )", "\1\2"))),
                  Tensor({{1, 2}}).to(i64)));
}

TEST_CASE("npy files that break a rule are refused by name", "[io][npy]") {
  const auto with = [](const std::string& text) {
    return error_of(npy(text, std::string(8, '\0')));
  };
  check_has(error_of("\x93NUM"), "has 4 bytes");
  check_has(error_of("\x93NUMPX\x01\0\0\0"s), "begins with '\\x93NUMPX'");
  check_has(error_of("\x93NUMPY\x04\0\0\0\0\0"s), "is of version 4.0");
  check_has(error_of("\x93NUMPY\x02\0\xff\xff\xff\xff"s), "must be at most 10000");
  check_has(error_of("\x93NUMPY\x01\0\x80\0{"s), "ends at byte 11");
  CHECK(with(dictionary("<f8", "(1,)")) == "nothing");
  CHECK(with(dictionary("<f8", "()")) == "nothing");
  check_has(with(dictionary("<f8", "(1)")), "is a number, not a tuple");
  check_has(with(dictionary("<f8", "(1 1)")), "without ',' between its extents");
  check_has(with(dictionary("<f8", "(-1,)")), "no integer from 0");
  check_has(with(dictionary("<f8", "(9223372036854775808,)")), "no integer from 0 to 2^63 - 1");
  check_has(with(dictionary("<f8", "(1,1,1,1,1,1,1,1,1)")), "more than 8 axes");
  check_has(with(dictionary("<f8", "(2,)")),
            "shape (2,) of <f8 needs 16 bytes of data, the file has 8");
  check_has(with(dictionary("<f4", "(1,)")), "needs 4 bytes of data, the file has 8");
  check_has(with(dictionary("<f8", "(4294967296, 4294967296)")), "needs more than 2^60 bytes");
  check_has(with(dictionary("<f8", "(0, 4294967296, 4294967296)")), "needs more than 2^60 bytes");
  check_has(with(dictionary(">f8", "(1,)")), "elements are '>f8': must be one of <f4, <f8");
  check_has(with(dictionary("|O", "(1,)")), "elements are '|O'");
  check_has(with("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }"),
            "structures: must be numbers");
  check_has(with(dictionary("<f8", "(1,)", "1")), "neither True nor False");
  check_has(with("{'descr': '<f8', 'shape': (1,), }"), "lacks a key");
  check_has(with("{'descr': '<f8', 'descr': '<f8', }"), "the key 'descr' twice");
  check_has(with("{'descr': '<f8', 'order': 1, }"), "has a key 'order'");
  check_has(with("{'descr: 1}"), "without its closing quote");
  check_has(with("{'descr' '<f8'}"), "has no ':'");
  check_has(with("[]"), "has no '{' where one must be");
  check_has(with(dictionary("<f8", "(1,)") + "x"), "must end in '}', spaces and a line feed");
  check_has(error_of(npy(dictionary("|b1", "(2,)"), "\1\2")), "2 as element 1 of '|b1'");
}

}  // namespace xtape
