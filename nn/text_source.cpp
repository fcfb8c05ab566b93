#include <algorithm>

#include <xtape/autodiff/error.hpp>
#include <xtape/nn/text_source.hpp>

namespace xtape::nn::detail {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

Source::Source(const std::string& text, bool marks) : text_(text) {
  const auto single = [&](char c) { return marks && (c == '(' || c == ')'); };
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (is_space(text[i])) {
      line += text[i++] == '\n';
    } else {
      const std::size_t start = i++;
      while (!single(text[start]) && i < text.size() && !is_space(text[i]) && text[i] != '#' &&
             !single(text[i])) {
        ++i;
      }
      words_.push_back({text.substr(start, i - start), start, line});
    }
  }
}

void Source::fail(const Word& w, const std::string& why) const {
  std::size_t begin = std::min(w.at, text_.size());
  while (begin > 0 && text_[begin - 1] != '\n') --begin;
  const std::size_t end = std::min(text_.find('\n', begin), text_.size());
  std::string mark;
  std::size_t column = 1;
  for (std::size_t i = begin; i < w.at; ++i) {
    if ((text_[i] & 0xC0) == 0x80) continue;  // continues a character of UTF-8
    mark += text_[i] == '\t' ? '\t' : ' ';
    ++column;
  }
  const auto characters =
      std::count_if(w.text.begin(), w.text.end(), [](char c) { return (c & 0xC0) != 0x80; });
  mark += std::string(std::max<std::size_t>(static_cast<std::size_t>(characters), 1), '^');
  throw ParseError("network", why + " (line " + std::to_string(w.line) + ", column " +
                                  std::to_string(column) + ")\n  " +
                                  text_.substr(begin, end - begin) + "\n  " + mark);
}

}  // namespace xtape::nn::detail
