#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace xtape::nn::detail {

/// A word of a network's text.
struct Word {
  std::string text;      ///< Itself.
  std::size_t at = 0;    ///< Where it begins in the source.
  std::size_t line = 1;  ///< There, from 1.
};

/// The text of a network, cut into words, and what an error shows of it. `#` begins a comment.
class Source {
 public:
  /// With `marks`, each bracket is a word. The text must stay.
  Source(const std::string& text, bool marks);
  /// In their order.
  const std::vector<Word>& words() const { return words_; }
  /// @throws ParseError that shows the line with the word marked.
  [[noreturn]] void fail(const Word& w, const std::string& why) const;

 private:
  const std::string& text_;
  std::vector<Word> words_;
};

}  // namespace xtape::nn::detail
