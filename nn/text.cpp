#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include <xtape/nn/text.hpp>
#include <xtape/nn/text_source.hpp>

namespace xtape::nn {
namespace {

using detail::Source;
using detail::Word;

// The text of an error without what it says of where it was.
std::string reason(const Error& e) {
  const std::string what = e.what();
  const std::size_t at = what.find("] ");
  return at == std::string::npos ? what : what.substr(at + 2);
}

// Makes layers of words for inputs of known shapes.
class Maker {
 public:
  Maker(const Source& source, const TextOptions& options)
      : source_(source), options_(options), limit_(std::in_place, options.max_bytes) {}

  struct Made {
    std::shared_ptr<Module> module;
    std::string word;
  };

  Made make(const Word& w, std::span<const Spec> in) const {
    const std::string name = w.text.substr(0, w.text.find(':'));
    if (const auto own = options_.activations.find(w.text); own != options_.activations.end()) {
      return {std::make_shared<Activation>(own->second), w.text};
    }
    try {
      if (const LayerKind* kind = find_kind(name)) {
        const KindWord word = parse_word(*kind, w.text);
        const KindArguments arguments(kind->arguments, word.texts);
        return {kind->make({arguments, in, options_}), word.str()};
      }
      for (const ActivationKind& k : activation_kinds()) {
        if (k.name != name) continue;
        const auto module = std::make_shared<Activation>(activation(w.text));
        return {module, module->name()};
      }
    } catch (const Error& e) {
      fail(w, e);
    }
    std::string known;
    for (const auto& k : activation_kinds())
      known += (known.empty() ? "" : ", ") + std::string(k.name);
    for (const auto& [own, a] : options_.activations) known += ", " + own;
    source_.fail(w, "'" + w.text + "' is no layer and no activation: layers are " + kind_names() +
                        "; activations are " + known);
  }

  // What the module gives; open sizes are built.
  Spec run(const Word& w, const Module& m, std::span<const Spec> in) const {
    try {
      return m.output_spec(in);
    } catch (const Error& e) {
      fail(w, e);
    }
  }

  // At the end, when all sizes are known: values take the memory of those before them.
  void draw(Module& net) {
    limit_.reset();
    net.draw_untouched(0);
  }

  // "784" or "1x28x28", with a batch of two in front: batch normalization needs more than one.
  Spec sample(const Word& w, const std::string& text) const {
    Spec spec{{2}, options_.dense.dtype};
    const char *p = text.data(), *end = p + text.size();
    while (true) {
      std::int64_t n = 0;
      const auto [next, error] = std::from_chars(p, end, n);
      const bool ok = error == std::errc() && n >= 1 && n <= (std::int64_t{1} << 31) &&
                      spec.shape.rank() < kMaxRank && (next == end || *next == 'x');
      if (!ok) {
        source_.fail(w,
                     "the number of inputs must be a whole number from 1 to 2147483648, or such "
                     "extents as 1x28x28, not '" +
                         text + "'");
      }
      spec.shape.push_back(n);
      if (next == end) return spec;
      p = next + 1;
    }
  }

 private:
  [[noreturn]] void fail(const Word& w, const Error& e) const {
    const bool memory = dynamic_cast<const MemoryError*>(&e) != nullptr;
    source_.fail(w, reason(e) + (memory ? " (TextOptions::max_bytes)" : ""));
  }

  const Source& source_;
  const TextOptions& options_;
  std::optional<memory::Limit> limit_;
};

Shape without_batch(const Shape& s) { return Shape(s.begin() + 1, s.end()); }

TextNetwork parse_words(const std::string& text, const TextOptions& options) {
  const Source source(text, false);
  Maker maker(source, options);
  const std::vector<Word>& words = source.words();
  if (words.empty()) {
    source.fail({}, "the text is empty: begin with the number of inputs");
  }
  Spec spec = maker.sample(words[0], words[0].text);
  TextNetwork out{Sequential(),
                  spec.shape[spec.shape.rank() - 1],
                  {without_batch(spec.shape)},
                  words[0].text,
                  nullptr};
  if (words.size() == 1) source.fail(words[0], "no layers follow the number of inputs");
  for (std::size_t i = 1; i < words.size(); ++i) {
    const Maker::Made made = maker.make(words[i], {&spec, 1});
    if (i == 1) spec.dtype = made.module->input_dtype() == i64 ? i64 : spec.dtype;
    out.net.add(made.module);
    spec = maker.run(words[i], *made.module, {&spec, 1});
    out.text += " " + made.word;
  }
  maker.draw(out.net);
  return out;
}

// Lines of the form `name = word (input, input…)`.
class GraphParser {
 public:
  GraphParser(const std::string& text, const TextOptions& options)
      : source_(text, true), maker_(source_, options) {}

  TextNetwork parse() {
    read_lines();
    if (lines_.empty()) source_.fail({}, "no lines");
    declare();
    build();
    TextNetwork out;
    out.samples = samples_;
    if (!samples_.empty()) out.inputs = samples_[0][samples_[0].rank() - 1];
    maker_.draw(*graph_);
    out.graph = graph_;
    out.text = graph_->describe();
    out.net.add(graph_);
    return out;
  }

 private:
  struct Line {
    Word name, word;
    std::vector<Word> inputs;
  };

  const Word& at(std::size_t i) {
    if (i < source_.words().size()) return source_.words()[i];
    const Word& last = source_.words().back();
    source_.fail(last, "the line ends too early: write name = kind:arguments (input, …)");
  }

  void expect(const Word& w, const char* mark) {
    if (w.text != mark) {
      source_.fail(w, "'" + w.text + "' where '" + mark +
                          "' should be: write name = kind:arguments (input, …)");
    }
  }

  // Behind "(": names, with commas, up to ")".
  std::vector<Word> names(std::size_t& i) {
    std::vector<Word> out;
    for (++i; at(i).text != ")"; ++i) {
      const Word& w = at(i);
      if (w.text == "(") source_.fail(w, "'(' inside of brackets");
      std::size_t start = 0;
      for (std::size_t k = 0; k <= w.text.size(); ++k) {
        if (k < w.text.size() && w.text[k] != ',') continue;
        if (k > start) out.push_back({w.text.substr(start, k - start), w.at + start, w.line});
        start = k + 1;
      }
    }
    ++i;
    return out;
  }

  void read_lines() {
    const std::vector<Word>& words = source_.words();
    for (std::size_t i = 0; i < words.size();) {
      if (words[i].text == "output") {
        if (outputs_) source_.fail(words[i], "a second list of outputs");
        expect(at(i + 1), "(");
        outputs_ = names(++i);
        continue;
      }
      Line l{words[i], {}, {}};
      expect(at(i + 1), "=");
      l.word = at(i + 2);
      i += 3;
      if (i < words.size() && words[i].text == "(") l.inputs = names(i);
      if (l.name.line != l.word.line) {
        source_.fail(l.name, "a line ends in '='");
      }
      lines_.push_back(std::move(l));
    }
  }

  static bool is_input(const Line& l) { return l.word.text.rfind("input:", 0) == 0; }

  void declare() {
    for (const Line& l : lines_) {
      guarded(l.name, [&] {
        if (is_input(l)) {
          if (!l.inputs.empty()) source_.fail(l.inputs[0], "an input takes nothing");
          graph_->input(l.name.text);
        }
      });
    }
  }

  template <class F>
  void guarded(const Word& w, F f) {
    try {
      f();
    } catch (const ValueError& e) {
      source_.fail(w, reason(e));
    }
  }

  std::size_t line_of(const Word& name) {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (lines_[i].name.text == name.text) return i;
    }
    std::string known;
    for (const Line& l : lines_) known += (known.empty() ? "" : ", ") + l.name.text;
    source_.fail(name, "'" + name.text + "' is not one of " + known);
  }

  // In the order of the text where that can be, else behind what they need; without recursion.
  void build() {
    specs_.resize(lines_.size());
    std::vector<std::size_t> path;
    for (std::size_t start = 0; start < lines_.size(); ++start) {
      path.push_back(start);
      while (!path.empty()) {
        const std::size_t n = path.back();
        const std::optional<Word> missing = specs_[n] ? std::nullopt : first_missing(lines_[n]);
        if (!missing) {
          if (!specs_[n]) make(n);
          path.pop_back();
          continue;
        }
        const std::size_t next = line_of(*missing);
        if (std::find(path.begin(), path.end(), next) != path.end()) {
          source_.fail(*missing, "a cycle: '" + missing->text + "' needs what it makes");
        }
        path.push_back(next);
      }
    }
    if (!outputs_) outputs_ = {lines_.back().name};
    for (const Word& w : *outputs_) {
      line_of(w);
      guarded(w, [&] { graph_->output(w.text); });
    }
    if (outputs_->empty()) source_.fail(lines_.back().name, "no outputs");
    refuse_unused();
  }

  // The word of what a line needs and is not made yet.
  std::optional<Word> first_missing(const Line& l) {
    for (const Word& in : l.inputs) {
      if (!specs_[line_of(in)]) return in;
    }
    if (const auto shared = shared_with(l); shared && !specs_[line_of(*shared)]) return shared;
    return {};
  }

  // Of "same:a": a.
  static std::optional<Word> shared_with(const Line& l) {
    constexpr std::size_t kWidth = 5;
    if (l.word.text.rfind("same:", 0) != 0) return {};
    return Word{l.word.text.substr(kWidth), l.word.at + kWidth, l.word.line};
  }

  void make(std::size_t n) {
    const Line& l = lines_[n];
    if (is_input(l)) {
      constexpr std::size_t kWidth = 6;
      const std::string extents = l.word.text.substr(kWidth);
      specs_[n] = maker_.sample(l.word, extents);
      const auto& inputs = graph_->inputs();
      const auto k = static_cast<std::size_t>(std::find(inputs.begin(), inputs.end(), l.name.text) -
                                              inputs.begin());
      samples_.resize(inputs.size());
      samples_[k] = without_batch(specs_[n]->shape);
      graph_->describe_input(k, l.word.text);
      for (const Line& user : lines_) {
        if (is_integer(user) && user.inputs.at(0).text == l.name.text) specs_[n]->dtype = i64;
      }
      return;
    }
    if (l.inputs.empty()) source_.fail(l.word, "no inputs: write them in brackets behind it");
    std::vector<Spec> in;
    std::vector<std::string> names;
    for (const Word& w : l.inputs) {
      in.push_back(*specs_[line_of(w)]);
      names.push_back(w.text);
    }
    Maker::Made made;
    if (const auto shared = shared_with(l)) {
      guarded(*shared, [&] { made.module = graph_->node(shared->text); });
    } else {
      made = maker_.make(l.word, in);
    }
    specs_[n] = maker_.run(l.word, *made.module, in);
    guarded(l.name, [&] { graph_->add(l.name.text, made.module, names, made.word); });
  }

  // Lines that take indices.
  bool is_integer(const Line& l) {
    if (l.inputs.empty()) return false;
    const auto shared = shared_with(l);
    const std::string& word = shared ? lines_[line_of(*shared)].word.text : l.word.text;
    return word.rfind("embedding:", 0) == 0;
  }

  void refuse_unused() {
    try {
      graph_->check();
    } catch (const ValueError& e) {
      const std::string why = reason(e);
      for (const Line& l : lines_) {
        if (why.find("'" + l.name.text + "'") != std::string::npos) source_.fail(l.name, why);
      }
      source_.fail(lines_[0].name, why);
    }
  }

  Source source_;
  Maker maker_;
  std::vector<Line> lines_;
  std::optional<std::vector<Word>> outputs_;
  std::vector<std::optional<Spec>> specs_;  // of lines
  std::vector<Shape> samples_;
  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
};

// Whether the text begins as a line of a graph does.
bool in_lines(const std::string& text) {
  const Source source(text, true);
  const auto& w = source.words();
  return (w.size() > 1 && w[1].text == "=") || (!w.empty() && w[0].text == "output");
}

}  // namespace

TextNetwork parse_network(const std::string& text, const TextOptions& options) {
  return in_lines(text) ? GraphParser(text, options).parse() : parse_words(text, options);
}

}  // namespace xtape::nn
