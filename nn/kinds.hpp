#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <xtape/nn/layers.hpp>

// The kinds of layers that texts name: one table, by which words are read, written and explained.
namespace xtape::nn {

/// What texts make layers with.
struct TextOptions {
  /// Initialisers and dtype of every layer with weights.
  DenseOptions dense = {};
  /// Activations that the text may name besides the library's own.
  std::map<std::string, Activation> activations = {};
  /// What the parameters may take in memory, with what drawing them takes: texts come from somebody
  /// else.
  std::size_t max_bytes = std::size_t{1} << 32;
};

/// An argument of a kind of layers.
struct KindArgument {
  /// What its text means.
  enum class Type : std::uint8_t {
    count,    ///< A whole number from 1.
    integer,  ///< A whole number.
    number,   ///< A finite number.
    extents,  ///< "3" or "3x5".
    padding,  ///< "1", "1x2", or "same".
    words,    ///< Activations, with commas.
    flag      ///< Its own name.
  };
  const char* name = nullptr;   ///< As in `name=value`.
  Type type = Type::count;      ///< See Type.
  const char* usual = nullptr;  ///< Its text when left out; null when it must be there.
  std::int64_t most = std::int64_t{1} << 31;  ///< The largest count or integer.
};

/// The arguments of one word, complete and checked.
class KindArguments {
 public:
  /// As they stand in the table, each with a text.
  KindArguments(std::span<const KindArgument> all, std::vector<std::string> texts)
      : all_(all), texts_(std::move(texts)) {}
  /// The value of a count or integer.
  std::int64_t integer(const char* name) const;
  /// The value of a number.
  double number(const char* name) const;
  /// Whether a flag is there.
  bool flag(const char* name) const { return !text(name).empty(); }
  /// Extents, or none where the text is empty.
  PerAxis extents(const char* name) const;
  /// As it stands.
  const std::string& text(const char* name) const;

 private:
  std::span<const KindArgument> all_;
  std::vector<std::string> texts_;
};

/// What a layer is made from.
struct Making {
  const KindArguments& arguments;  ///< Of its word.
  std::span<const Spec> in;        ///< Its inputs, with a batch axis in front.
  const TextOptions& options;      ///< For all layers.
  /// Extent of the last axis of the first input. @throws ParseError when it has none.
  std::int64_t features() const;
};

/// A kind of layers.
struct LayerKind {
  const char* name;                                ///< "conv2d".
  std::vector<KindArgument> arguments;             ///< In the order of the text, flags anywhere.
  std::shared_ptr<Module> (*make)(const Making&);  ///< @throws what constructors throw.
  /// "conv2d:CHANNELS:WINDOW[:stride=1]…".
  std::string usage() const;
};

/// The kind of that name, or null.
const LayerKind* find_kind(const std::string& name);
/// Names of all kinds that are no activations, with commas.
std::string kind_names();

/// A word as the table understands it.
struct KindWord {
  const LayerKind* kind = nullptr;  ///< Null for an activation.
  std::vector<std::string> texts;   ///< Of its arguments.
  /// As short as can be: what is usual is left out.
  std::string str() const;
};
/// Reads "conv2d:16:3:padding=1". @throws ParseError saying what is wrong with it.
KindWord parse_word(const LayerKind& kind, const std::string& word);

}  // namespace xtape::nn
