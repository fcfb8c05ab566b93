#include <array>
#include <charconv>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/fit/record.hpp>

namespace xtape::fit::detail {

Record::Record(const std::string& path, const std::string& text) : path_(path) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    double v = 0;
    const auto [next, code] = std::from_chars(at, end, v, std::chars_format::hex);
    if (code != std::errc() || (next != end && *next != ' ')) {
      throw DataError(path, "has no numbers of fit(): " + xtape::detail::shown(text));
    }
    numbers_.push_back(v);
    at = next == end ? end : next + 1;
  }
}

Record& Record::put(double number) {
  numbers_.push_back(number);
  return *this;
}

Record& Record::put(const std::vector<bool>& flags) {
  put(static_cast<std::int64_t>(flags.size()));
  for (const bool f : flags) put(std::int64_t{f});
  return *this;
}

std::vector<bool> Record::flags() {
  std::vector<bool> out;
  for (std::int64_t n = count(); n > 0; --n) out.push_back(number() != 0);
  return out;
}

double Record::number() {
  if (next_ == numbers_.size()) throw DataError(path_, "has too few numbers of fit()");
  return numbers_[next_++];
}

std::string Record::text() const {
  std::string out;
  std::array<char, 40> buffer{};
  for (const double v : numbers_) {
    const auto r =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), v, std::chars_format::hex);
    if (!out.empty()) out += ' ';
    out.append(buffer.data(), r.ptr);
  }
  return out;
}

}  // namespace xtape::fit::detail
