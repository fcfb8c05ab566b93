#include <charconv>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/nn/text.hpp>

namespace xtape::nn {
namespace {

constexpr std::int64_t kMaxUnits = std::int64_t{1} << 31;

struct Word {
  std::string text;
  std::size_t column;
};

class Parser {
 public:
  Parser(const std::string& text, const TextOptions& options) : text_(text), options_(options) {}

  TextNetwork parse() {
    const std::vector<Word> words = split();
    if (words.empty()) fail({"", 0}, "the text is empty: begin with the number of inputs");
    TextNetwork out{Sequential(), count(words[0], words[0].text, "the number of inputs")};
    units_ = out.inputs;
    for (std::size_t i = 1; i < words.size(); ++i) layer(words[i], out.net);
    if (words.size() == 1) fail(words[0], "no layers follow the number of inputs");
    out.net.draw_untouched(0);
    return out;
  }

 private:
  [[noreturn]] void fail(const Word& w, const std::string& why) const {
    const std::string mark =
        std::string(w.column, ' ') + std::string(std::max<std::size_t>(w.text.size(), 1), '^');
    throw ParseError("network", why + "\n  " + text_ + "\n  " + mark);
  }

  std::vector<Word> split() const {
    std::vector<Word> words;
    for (std::size_t i = 0; i < text_.size();) {
      if (is_space(text_[i])) {
        ++i;
        continue;
      }
      const std::size_t start = i;
      while (i < text_.size() && !is_space(text_[i])) ++i;
      words.push_back({text_.substr(start, i - start), start});
    }
    return words;
  }

  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  std::int64_t count(const Word& w, const std::string& digits, const std::string& what) const {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (error != std::errc() || end != digits.data() + digits.size() || n < 1 || n > kMaxUnits) {
      fail(w, what + " must be a whole number from 1 to " + std::to_string(kMaxUnits) + ", not '" +
                  digits + "'");
    }
    return n;
  }

  static std::vector<std::string> pieces(const std::string& s, char at) {
    std::vector<std::string> out{""};
    for (const char c : s) {
      if (c == at) {
        out.emplace_back();
      } else {
        out.back() += c;
      }
    }
    return out;
  }

  Activation named(const Word& w, const std::string& name) const {
    if (const auto it = options_.activations.find(name); it != options_.activations.end()) {
      return it->second;
    }
    try {
      return activation(name);
    } catch (const ParseError&) {
      std::string known = "sigmoid, relu, tanh, softplus, softmax, identity";
      for (const auto& [own, a] : options_.activations) known += ", " + own;
      fail(w, "'" + name +
                  "' is no layer and no activation: layers are dense:N, dense:N:nobias, "
                  "neurons:A,B,…; activations are " +
                  known);
    }
  }

  void layer(const Word& w, Sequential& net) {
    const std::vector<std::string> parts = pieces(w.text, ':');
    DenseOptions dense = options_.dense;
    if (parts[0] == "dense") {
      if (parts.size() == 3 && parts[2] == "nobias") {
        dense.bias = false;
      } else if (parts.size() != 2) {
        fail(w, "write dense:N or dense:N:nobias");
      }
      const std::int64_t out = count(w, parts[1], "the number of neurons");
      net.add(std::make_shared<Dense>(units_, out, dense));
      units_ = out;
    } else if (parts[0] == "neurons") {
      if (parts.size() != 2) fail(w, "write neurons:A,B,… with one activation for each neuron");
      std::vector<Activation> each;
      for (const std::string& name : pieces(parts[1], ',')) each.push_back(named(w, name));
      const auto out = static_cast<std::int64_t>(each.size());
      try {
        net.add(std::make_shared<Neurons>(units_, std::move(each), dense));
      } catch (const ValueError& e) {
        fail(w, e.what());
      }
      units_ = out;
    } else {
      net.add(std::make_shared<Activation>(named(w, w.text)));
    }
  }

  const std::string& text_;
  const TextOptions& options_;
  std::int64_t units_ = 0;
};

}  // namespace

TextNetwork parse_network(const std::string& text, const TextOptions& options) {
  return Parser(text, options).parse();
}

}  // namespace xtape::nn
