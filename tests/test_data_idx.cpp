#include <filesystem>

#include <xtape/autodiff/memory.hpp>
#include <xtape/data/idx.hpp>

#include "data_support.hpp"

namespace {

using namespace xtape;
using namespace xtape::test;
namespace fs = std::filesystem;

std::string idx_error(const std::string& path) {
  const std::string text = thrown_at(path, [&] { data::read_idx(path); });
  return text.starts_with("] ") ? text.substr(2) : text;
}

}  // namespace

TEST_CASE("IDX: what is written is read again", "[data][idx]") {
  const Folder dir;
  const Tensor t = ints({0, 1, 127, 128, 254, 255}).reshape({1, 2, 3});
  for (const char* name : {"a.idx", "a.idx.gz"}) {
    data::write_idx(dir / name, t);
    CHECK(identical(data::read_idx(dir / name), t));
  }
  CHECK(dir.read("a.idx") == idx(0x08, {1, 2, 3}, std::string("\x00\x01\x7f\x80\xfe\xff", 6)));
  CHECK(dir.read("a.idx.gz").starts_with("\x1f\x8b"));
  data::write_idx(dir / "a.idx", ints({7}));  // replaces
  CHECK(identical(data::read_idx(dir / "a.idx"), ints({7})));
  data::write_idx(dir / "none.idx", Tensor::empty({0, 28}, i64));
  CHECK(data::read_idx(dir / "none.idx").shape() == Shape{0, 28});
  // More than one chunk of 1 MiB, compressed and not.
  Tensor large = Tensor::arange(3'000'000);
  for (auto *p = large.mutable_data<std::int64_t>(), *e = p + large.size(); p != e; ++p) *p %= 251;
  for (const char* name : {"b", "b.gz"}) {
    data::write_idx(dir / name, large);
    CHECK(identical(data::read_idx(dir / name), large));
  }
  CHECK(dir.entries() == 5);  // no temporary file is left
}

TEST_CASE("IDX: every type, dtype and scale", "[data][idx]") {
  const Folder dir;
  const std::string two("\xff\xfe\x00\x02", 4);
  const auto read = [&](unsigned char type, std::uint32_t n, const std::string& body,
                        const data::IdxOptions& o = {}) {
    return data::read_idx(dir.write("t", idx(type, {n}, body)), o);
  };
  CHECK(identical(read(0x08, 4, two), ints({255, 254, 0, 2})));
  CHECK(identical(read(0x09, 4, two), ints({-1, -2, 0, 2})));
  CHECK(identical(read(0x0B, 2, two), ints({-2, 2})));
  CHECK(identical(read(0x0C, 1, two), ints({-131070})));
  CHECK(identical(read(0x0D, 1, std::string("\xbf\xc0\x00\x00", 4)), Tensor({-1.5}, f32)));
  CHECK(identical(read(0x0E, 1, std::string("\xbf\xf8\0\0\0\0\0\0", 8)), Tensor({-1.5}, f64)));
  CHECK(identical(read(0x08, 4, two, {.dtype = f64, .scale = 0.5}), Tensor({127.5, 127, 0, 1})));
  CHECK(read(0x08, 4, two, {.dtype = f32, .scale = 1.0 / 255}).flat(0) == 1);
  CHECK(identical(read(0x08, 4, two, {.dtype = boolean}), Tensor({1, 1, 0, 1}, boolean)));
  CHECK(thrown<DTypeError>([&] { read(0x08, 4, two, {.dtype = i64, .scale = 2}); }) ==
        "[read_idx] a scale and dtype i64: scaled numbers need f32 or f64");
  CHECK(thrown<DTypeError>([&] { read(0x08, 4, two, {.dtype = {}, .scale = 2}); }) ==
        "[read_idx] a scale, and a file of u8: ask for dtype f32 or f64");
  CHECK(thrown<DTypeError>([&] { read(0x0D, 1, two, {.dtype = i64}); }) ==
        "[read_idx] a file of f32 read as i64 would lose fractions: ask for f32 or f64");
}

TEST_CASE("IDX: what cannot be written", "[data][idx]") {
  const Folder dir;
  const auto error = [&]<class E>(E*, const Tensor& t) {
    return thrown<E>([&] { data::write_idx(dir / "x", t); });
  };
  CHECK(error(static_cast<DTypeError*>(nullptr), Tensor({1.0})) ==
        "[write_idx] a tensor of f64: IDX bytes are written from i64");
  CHECK(error(static_cast<ShapeError*>(nullptr), Tensor::scalar(1, i64)) ==
        "[write_idx] rank 0: must have 1 to 8 axes");
  CHECK(error(static_cast<ValueError*>(nullptr), ints({0, 256})) ==
        "[write_idx] value 256: must be in 0 to 255");
  CHECK_FALSE(fs::exists(dir / "x"));
  CHECK(thrown([&] { data::write_idx(dir / "no/x", ints({1})); }) ==
        "[" + (dir / "no/x") + "] cannot be written: No such file or directory");
  fs::create_directories(fs::path(dir / "taken/in"));
  CHECK(thrown([&] { data::write_idx(dir / "taken", ints({1})); }) ==
        "[" + (dir / "taken") + "] cannot be written: Is a directory");
  CHECK(dir.entries() == 1);  // no temporary file is left
}

TEST_CASE("IDX: malformed files are refused in one line", "[data][idx]") {
  const Folder dir;
  const auto error = [&](const std::string& bytes) {
    const std::string text = idx_error(dir.write("bad", bytes));
    CHECK(idx_error(dir.write_gz("bad.gz", bytes)).substr(0, 12) == text.substr(0, 12));
    return text;
  };
  CHECK(idx_error(dir / "missing") == "cannot be opened: No such file or directory");
  CHECK(idx_error(dir.str()) == "is a folder: name a file in it");
  CHECK(error("") == "is empty: an IDX file starts with a 4-byte magic");
  CHECK(error("PNG") == "starts with bytes 50 4E: an IDX file starts with 00 00");
  CHECK(error(std::string(2, '\0')) == "ends inside the 4-byte magic of IDX");
  CHECK(error(idx(0x0A, {1}, "x")) ==
        "IDX type 0x0A is unknown: must be one of 0x08 (u8), 0x09 (i8), 0x0B (i16), 0x0C (i32), "
        "0x0D (f32), 0x0E (f64)");
  CHECK(error(idx(0x08, {}, "x")) == "has 0 axes: must have 1 to 8");
  CHECK(error(idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}, "x")) == "has 9 axes: must have 1 to 8");
  CHECK(error(std::string("\0\0\x08\x02\0\0", 6)) == "ends inside the 2 extents of IDX");
  const std::uint32_t most = 0xffffffff;
  CHECK(error(idx(0x08, {most, most}, "x")) ==
        "the extents (4294967295, 4294967295) multiply to more than memory can hold");
  CHECK(error(idx(0x08, {most, most, 0}, "")) ==
        "the extents (4294967295, 4294967295, 0) multiply to more than memory can hold");
  CHECK(error(idx(0x0B, {2, 2}, "1234567")) ==
        "extents (2, 2) of i16 need 8 bytes of data, the file has 7");
  CHECK(error(idx(0x08, {2, 2}, "12345")) ==
        "extents (2, 2) of u8 need 4 bytes of data, the file has 5");
  CHECK(idx_error(dir.write_gz("t.gz", idx(0x08, {2, 2}, "123"))) ==
        "extents (2, 2) of u8 need 4 bytes of data, the file has 3");
  CHECK(idx_error(dir.write_gz("t.gz", idx(0x08, {2, 2}, "12345"))) ==
        "extents (2, 2) of u8 need 4 bytes of data, the file has more: trailing bytes");
}

TEST_CASE("IDX: a header that lies takes no memory", "[data][idx]") {
  const Folder dir;
  const std::string lie = idx(0x0E, {1U << 29, 1U << 28}, "12345678");  // claims an exbibyte
  const std::size_t before = memory::stats().peak_bytes;
  CHECK(idx_error(dir.write("lie", lie)) ==
        "extents (536870912, 268435456) of f64 need 1152921504606846976 bytes of data, the file "
        "has 8");
  CHECK(idx_error(dir.write_gz("lie.gz", lie)) ==
        "extents (536870912, 268435456) of f64 need 1152921504606846976 bytes of data, the file "
        "has 8");
  CHECK(memory::stats().peak_bytes == before);
}

TEST_CASE("IDX: gzip files that are cut off or corrupt", "[data][idx]") {
  const Folder dir;
  std::string body(100'000, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * i * 31 >> 7);
  dir.write_gz("g.gz", idx(0x08, {100'000}, body));
  const std::string good = dir.read("g.gz");
  for (const std::size_t n : {std::size_t{2}, std::size_t{9}, good.size() / 2, good.size() - 1}) {
    CHECK(idx_error(dir.write("cut", good.substr(0, n))) == "is cut off inside its gzip stream");
  }
  std::string bad = good;
  bad[bad.size() - 6] = static_cast<char>(bad[bad.size() - 6] ^ 1);
  CHECK(idx_error(dir.write("sum", bad)) == "is a corrupt gzip file: incorrect data check");
  CHECK(idx_error(dir.write("method", "\x1f\x8b\x07" + good.substr(3))) ==
        "is a corrupt gzip file: unknown compression method");
  // Whatever byte is wrong, the answer is an error or the same numbers: never a crash.
  const Tensor want = data::read_idx(dir / "g.gz");
  for (std::size_t at = 0; at < good.size(); at += 1 + good.size() / 200) {
    bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    const std::string path = dir.write("flip", bad);
    bool same = true;
    const std::string text = thrown([&] { same = identical(data::read_idx(path), want); });
    CHECK(same);
    CHECK((text == "nothing" || text.starts_with("[" + path + "] ")));
  }
}
