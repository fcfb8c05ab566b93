#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/tensor.hpp>
#include <xtape/data/reader.hpp>

#include "catch.hpp"

// What the tests of data/ need: files that last as long as a test.
namespace xtape::test {

/// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("xtape-data-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string str() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// How many files and folders are in it.
  std::ptrdiff_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), {});
  }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return *this / name;
  }
  /// The same, compressed; `name` ends in ".gz".
  std::string write_gz(const std::string& name, const std::string& bytes) const {
    REQUIRE(name.ends_with(".gz"));
    data::detail::write_file(*this / name, bytes.data(), bytes.size());
    return *this / name;
  }
  std::string read(const std::string& name) const {
    std::ostringstream s;
    s << std::ifstream(path_ / name, std::ios::binary).rdbuf();
    return s.str();
  }

 private:
  std::filesystem::path path_;
};

/// The text of the E that `f` throws, checked to be one line.
template <class E = DataError>
std::string thrown(const std::function<void()>& f) {
  try {
    f();
  } catch (const E& e) {
    const std::string text = e.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  } catch (const std::exception& e) {
    return std::string("another type: ") + e.what();
  }
  return "nothing";
}

/// The text of the DataError that `f` throws, which must start with "[path", without that.
inline std::string thrown_at(const std::string& path, const std::function<void()>& f) {
  const std::string text = thrown(f);
  const std::string where = "[" + path;
  if (!text.starts_with(where)) return text;
  return text.substr(where.size());
}

/// The bytes of an IDX file.
inline std::string idx(unsigned char type, std::initializer_list<std::uint32_t> extents,
                       const std::string& body) {
  std::string s{'\0', '\0', static_cast<char>(type), static_cast<char>(extents.size())};
  for (const std::uint32_t e : extents) {
    for (const int shift : {24, 16, 8, 0}) s += static_cast<char>(e >> shift & 0xff);
  }
  return s + body;
}

inline Tensor ints(std::initializer_list<std::int64_t> v) {
  return Tensor::from(std::vector<std::int64_t>(v));
}

}  // namespace xtape::test
