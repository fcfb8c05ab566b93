#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace xtape::fit::detail {

/// Numbers of a checkpoint's metadata, with every bit.
class Record {
 public:
  Record() = default;
  /// What text() gave. @throws DataError, naming `path`, for another text.
  Record(const std::string& path, const std::string& text);

  Record& put(double number);
  Record& put(std::int64_t number) { return put(static_cast<double>(number)); }
  Record& put(const std::vector<bool>& flags);
  /// The next one. @throws DataError when there is none.
  double number();
  std::int64_t count() { return static_cast<std::int64_t>(number()); }
  std::vector<bool> flags();
  std::string text() const;

 private:
  std::string path_;
  std::vector<double> numbers_;
  std::size_t next_ = 0;
};

}  // namespace xtape::fit::detail
