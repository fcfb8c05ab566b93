#include "data_source.hpp"

#include <charconv>

#include <xtape/autodiff/error.hpp>

namespace xtape::tools {
namespace {

std::pair<std::string, std::string> cut(const std::string& s, char at) {
  const std::size_t k = s.find(at);
  return {s.substr(0, k), k == std::string::npos ? "" : s.substr(k + 1)};
}

std::int64_t integer(const std::string& text, const std::string& option) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw ParseError(option, "'" + text + "' is not a whole number");
  }
  return n;
}

std::int64_t columns(const std::string& text) {
  const std::int64_t n = integer(text, "--csv-labels");
  if (n < 1) throw ParseError("--csv-labels", text + " columns: must be 1 or more");
  return n;
}

data::CsvLabels csv_labels(const std::string& text) {
  const auto [kind, count] = cut(text, ':');
  if (kind == "first") return data::CsvLabels::first();
  if (kind == "last") return data::CsvLabels::last();
  if (kind == "one-hot") return data::CsvLabels::one_hot(columns(count));
  if (kind == "targets") return data::CsvLabels::targets(count.empty() ? 1 : columns(count));
  return data::CsvLabels::at(integer(text, "--csv-labels"));
}

data::Dataset flat(data::Dataset d) {
  if (d.inputs.rank() != 2) d.inputs = d.inputs.reshape({d.inputs.shape()[0], -1});
  return d;
}

data::Dataset read_table(const std::string& source, const DataOptions& o) {
  const auto [kind, path] = cut(source, ':');
  if (kind == "csv" && !path.empty()) {
    return data::read_csv(
        path, {.header = o.csv_header, .scale = o.scale, .labels = csv_labels(o.csv_labels)});
  }
  const auto [images, labels] = cut(path, ',');
  if (kind == "idx" && !images.empty() && !labels.empty()) {
    data::Dataset d;
    d.name = images;
    d.inputs = data::read_idx(images, {.dtype = f32, .scale = o.scale});
    d.labels = data::read_idx(labels);
    if (d.labels.dtype() != i64 || d.labels.rank() != 1 || d.inputs.rank() < 2 ||
        d.inputs.shape()[0] != d.labels.size()) {
      throw DataError(labels, "labels " + d.labels.shape().str() + " do not fit the inputs " +
                                  d.inputs.shape().str() + " of " + images +
                                  ": there must be one integer for each row");
    }
    for (const std::int64_t l : d.labels.span<std::int64_t>())
      d.classes = std::max(d.classes, l + 1);
    return flat(std::move(d));
  }
  throw ParseError("--data", "'" + source +
                                 "' is not one of digits, fashion-mnist, fashion-mnist:FOLDER, "
                                 "mnist:FOLDER, csv:FILE, idx:IMAGES,LABELS");
}

data::Split load_whole(const DataOptions& o, Rng& rng) {
  const auto [kind, path] = cut(o.source, ':');
  const bool fixed = kind == "digits" || kind == "fashion-mnist" || kind == "mnist";
  if (fixed && !o.test.empty()) {
    throw ParseError("--test-data", "'" + kind + "' has test examples of its own");
  }
  if (kind == "digits" && path.empty()) return data::digits_split();
  if (kind == "fashion-mnist")
    return path.empty() ? data::fashion_mnist() : data::fashion_mnist(path);
  if (kind == "mnist") return data::mnist(path);
  data::Dataset all = read_table(o.source, o);
  if (o.test.empty()) return data::split(all, o.test_fraction, rng);
  data::Split both{std::move(all), read_table(o.test, o)};
  both.train.classes = both.test.classes = std::max(both.train.classes, both.test.classes);
  if (both.train.inputs.shape()[1] != both.test.inputs.shape()[1]) {
    throw DataError(o.test, "rows of " + std::to_string(both.test.inputs.shape()[1]) +
                                " numbers, where " + o.source + " has " +
                                std::to_string(both.train.inputs.shape()[1]));
  }
  return both;
}

}  // namespace

CLI::Validator whole_from(std::int64_t low) {
  return CLI::Validator(
      [low](std::string& s) -> std::string {
        std::int64_t n = 0;
        const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
        if (error == std::errc() && end == s.data() + s.size() && n >= low) return {};
        return "must be a whole number from " + std::to_string(low) + ", not '" + s + "'";
      },
      "WHOLE");
}

void DataOptions::add_to(CLI::App& app) {
  app.add_option("--data", source,
                 "digits, fashion-mnist[:FOLDER], mnist:FOLDER, csv:FILE, idx:IMAGES,LABELS")
      ->capture_default_str();
  app.add_option("--test-data", test, "test examples, csv:FILE or idx:IMAGES,LABELS");
  app.add_option("--test-fraction", test_fraction,
                 "share split off for testing where the data has no test part")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  app.add_option(
         "--csv-labels", csv_labels,
         "classes: first, last, a column number, or one-hot:COUNT of the last; targets:COUNT of "
         "the last for a regression")
      ->capture_default_str();
  app.add_flag("--csv-header", csv_header, "the first line of the CSV file holds names");
  app.add_option("--scale", scale, "factor for every input of csv and idx data")
      ->capture_default_str();
  app.add_option("--limit", limit, "use the first so many training examples (0: all)")
      ->check(whole_from(0));
}

data::Split load(const DataOptions& o, Rng& rng) {
  data::Split s = load_whole(o, rng);
  if (o.limit > 0 && o.limit < s.train.size()) s.train = s.train.take(0, o.limit);
  if (s.train.size() == 0) throw DataError(o.source, "no training examples");
  return s;
}

}  // namespace xtape::tools
