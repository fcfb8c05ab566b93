#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/data/csv.hpp>
#include <xtape/data/reader.hpp>

namespace xtape::data {
namespace {

using xtape::detail::shown;

constexpr std::int64_t kMaxLabel = std::numeric_limits<std::int32_t>::max();

// Without the blanks around it; the delimiter is none.
std::string_view trimmed(std::string_view s, char delimiter) {
  const std::string_view blanks = delimiter == '\t' ? " \r" : delimiter == ' ' ? "\t\r" : " \t\r";
  const std::size_t first = s.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(blanks) - first + 1);
}

// The lines of a file without their ends, counted from 1.
class Lines {
 public:
  explicit Lines(detail::Reader file) : file_(std::move(file)), buffer_(kBuffer, '\0') {}

  // False at the end. `line` holds until the next call.
  bool next(std::string_view& line) {
    line_.clear();
    bool any = false;
    while (first_ < last_ || refill()) {
      any = true;
      const std::string_view rest(buffer_.data() + first_, last_ - first_);
      const std::size_t n = rest.find('\n');
      line_ += rest.substr(0, n);
      first_ = n == std::string_view::npos ? last_ : first_ + n + 1;
      if (n != std::string_view::npos) break;
    }
    line = line_;
    if (any && ++number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return any;
  }
  std::int64_t number() const { return number_; }

 private:
  static constexpr std::size_t kBuffer = std::size_t{1} << 16;
  bool refill() {
    first_ = 0;
    last_ = file_.read(buffer_.data(), buffer_.size());
    return last_ > 0;
  }

  detail::Reader file_;
  std::string buffer_, line_;
  std::size_t first_ = 0, last_ = 0;
  std::int64_t number_ = 0;
};

// The rows of a table, one at a time: numbers, and the text that each was made of.
class Rows {
 public:
  Rows(detail::Reader file, const CsvOptions& options)
      : path_(file.path()), options_(options), lines_(std::move(file)) {
    std::string_view names;
    if (options.header) lines_.next(names);
  }

  // False after the last row.
  bool next() {
    std::string_view line;
    if (!lines_.next(line)) return false;
    if (trimmed(line, options_.delimiter).empty()) return skip_blank();
    split(line);
    if (width_ == 0) width_ = fields_.size();
    if (fields_.size() != width_) {
      throw DataError(at_line(),
                      counted(fields_.size()) + ": the rows before have " + std::to_string(width_));
    }
    values_.resize(width_);
    for (std::size_t i = 0; i < width_; ++i) values_[i] = number(i);
    return true;
  }
  const std::vector<double>& values() const { return values_; }
  const std::string& path() const { return path_; }

  // Throws at column `i` (from 0) of this row, showing its text.
  [[noreturn]] void fail(std::size_t i, const std::string& rule) const {
    throw DataError(at_line() + ":" + std::to_string(i + 1), shown(fields_[i]) + " " + rule);
  }
  static std::string counted(std::size_t n) {
    return std::to_string(n) + (n == 1 ? " column" : " columns");
  }

 private:
  std::string at_line() const { return path_ + ":" + std::to_string(lines_.number()); }

  // Blank lines may end a file, not part it: a lost row would go unnoticed.
  bool skip_blank() {
    const std::string blank = at_line();
    std::string_view line;
    while (lines_.next(line)) {
      if (!trimmed(line, options_.delimiter).empty()) {
        throw DataError(blank, "is blank and rows follow: remove the line");
      }
    }
    return false;
  }

  void split(std::string_view line) {
    fields_.clear();
    while (true) {
      const std::size_t n = line.find(options_.delimiter);
      fields_.push_back(trimmed(line.substr(0, n), options_.delimiter));
      if (n == std::string_view::npos) return;
      line.remove_prefix(n + 1);
    }
  }

  double number(std::size_t i) const {
    std::string_view s = fields_[i];
    if (s.empty()) fail(i, "where a number should be: the field is empty");
    if (s.size() > 1 && s[0] == '+' && s[1] != '-') s.remove_prefix(1);  // from_chars knows no +
    double v = 0;
    const auto [end, code] = std::from_chars(s.data(), s.data() + s.size(), v);
    if (code == std::errc::invalid_argument || end != s.data() + s.size()) {
      fail(i, "is not a number");
    }
    if (code == std::errc::result_out_of_range) fail(i, "is out of the range of f64");
    if (!std::isfinite(v)) fail(i, "is not finite: remove or replace the row");
    return v;
  }

  std::string path_;
  const CsvOptions& options_;
  Lines lines_;
  std::vector<std::string_view> fields_;
  std::vector<double> values_;
  std::size_t width_ = 0;
};

void check(const char* where, const CsvOptions& options) {
  if (!is_floating(options.dtype)) {
    throw DTypeError(where, std::string("dtype ") + name(options.dtype) + ": must be f32 or f64");
  }
  constexpr std::string_view kTaken("0123456789+-.eE\r\n\0", 18);
  if (kTaken.find(options.delimiter) != std::string_view::npos) {
    throw ValueError(where, "delimiter " + shown({&options.delimiter, 1}) +
                                ": must not be part of a number or a line end");
  }
}

// Columns [first, first + count) of a table `width` columns wide: its labels.
struct LabelColumns {
  std::size_t first, count;

  LabelColumns(const Rows& rows, const CsvLabels& labels)
      : first(0), count(static_cast<std::size_t>(labels.count())) {
    const auto width = static_cast<std::int64_t>(rows.values().size());
    const std::int64_t index = labels.index() < 0 ? labels.index() + width : labels.index();
    const std::string has = "has " + Rows::counted(rows.values().size());
    if (labels.count() >= width) {
      throw DataError(rows.path(), has + ", of which " + std::to_string(labels.count()) +
                                       " hold labels: no inputs are left");
    }
    if (index < 0 || index >= width) {
      throw DataError(rows.path(), has + ": no column " + std::to_string(labels.index()) +
                                       " to take labels from");
    }
    first = static_cast<std::size_t>(index);
  }
};

std::int64_t integer_label(const Rows& rows, std::size_t column, std::int64_t classes) {
  const double v = rows.values()[column];
  if (v != std::floor(v)) rows.fail(column, "is no label: must be an integer");
  if (v < 0) rows.fail(column, "is no label: must be 0 or more");
  const std::int64_t last = classes ? classes - 1 : kMaxLabel;
  if (v > static_cast<double>(last)) {
    rows.fail(column, "is no label: must be at most " + std::to_string(last));
  }
  return static_cast<std::int64_t>(v);
}

std::int64_t one_hot_label(const Rows& rows, const LabelColumns& columns) {
  const std::size_t end = columns.first + columns.count;
  std::size_t hot = end;
  for (std::size_t i = columns.first; i < end; ++i) {
    const double v = rows.values()[i];
    if (v != 0 && v != 1) rows.fail(i, "in a one-hot column: must be 0 or 1");
    if (v == 0) continue;
    if (hot != end) {
      rows.fail(
          i, "is the second 1 among the one-hot columns, after column " + std::to_string(hot + 1));
    }
    hot = i;
  }
  if (hot == end) {
    rows.fail(columns.first, "and no 1 in one-hot columns " + std::to_string(columns.first + 1) +
                                 " to " + std::to_string(end));
  }
  return static_cast<std::int64_t>(hot - columns.first);
}

// Appends columns [first, last) of the row, scaled, as T.
template <class T>
void append(const Rows& rows, std::size_t first, std::size_t last, double scale,
            std::vector<T>& out) {
  for (std::size_t i = first; i < last; ++i) {
    const double v = rows.values()[i] * scale;
    if (!(std::abs(v) <= static_cast<double>(std::numeric_limits<T>::max()))) {
      rows.fail(i, std::string("is out of the range of ") + name(dtype_of<T>()));
    }
    out.push_back(static_cast<T>(v));
  }
}

[[noreturn]] void throw_no_rows(const std::string& path) {
  throw DataError(path, "is empty: it has no rows of numbers");
}

template <class T>
Tensor matrix(detail::Reader file, const CsvOptions& options) {
  Rows rows(std::move(file), options);
  std::vector<T> numbers;
  std::int64_t n = 0;
  for (; rows.next(); ++n) append(rows, 0, rows.values().size(), options.scale, numbers);
  if (n == 0) throw_no_rows(rows.path());
  return Tensor::from(numbers, {n, static_cast<std::int64_t>(rows.values().size())});
}

// The labels of one row after the other.
template <class T>
class Labels {
 public:
  Labels(const Rows& rows, const CsvOptions& options)
      : options_(options), columns_(rows, options.labels) {}

  void take(const Rows& rows) {
    const auto kind = options_.labels.kind();
    if (kind == CsvLabels::numbers) {
      append(rows, columns_.first, end(), 1, numbers_);
    } else if (kind == CsvLabels::one_hots) {
      classes_.push_back(one_hot_label(rows, columns_));
    } else {
      classes_.push_back(integer_label(rows, columns_.first, options_.classes));
    }
  }

  std::size_t first() const { return columns_.first; }
  std::size_t end() const { return columns_.first + columns_.count; }
  Tensor tensor() const {
    if (options_.labels.kind() != CsvLabels::numbers) return Tensor::from(classes_);
    const std::int64_t count = options_.labels.count();
    return Tensor::from(numbers_, {static_cast<std::int64_t>(numbers_.size()) / count, count});
  }
  std::int64_t classes() const {
    if (options_.labels.kind() == CsvLabels::numbers) return 0;
    if (options_.labels.kind() == CsvLabels::one_hots) return options_.labels.count();
    if (options_.classes) return options_.classes;
    return *std::max_element(classes_.begin(), classes_.end()) + 1;
  }

 private:
  const CsvOptions& options_;
  LabelColumns columns_;
  std::vector<std::int64_t> classes_;
  std::vector<T> numbers_;
};

template <class T>
Dataset examples(detail::Reader file, const CsvOptions& options) {
  Rows rows(std::move(file), options);
  if (!rows.next()) throw_no_rows(rows.path());
  Labels<T> labels(rows, options);
  const std::size_t width = rows.values().size();
  std::vector<T> inputs;
  do {
    labels.take(rows);
    append(rows, 0, labels.first(), options.scale, inputs);
    append(rows, labels.end(), width, options.scale, inputs);
  } while (rows.next());
  Dataset d;
  d.labels = labels.tensor();
  d.inputs = Tensor::from(
      inputs, {d.labels.shape()[0], static_cast<std::int64_t>(width) - options.labels.count()});
  d.classes = labels.classes();
  d.name = rows.path().substr(rows.path().find_last_of('/') + 1);
  return d;
}

Tensor matrix(const char* where, detail::Reader file, const CsvOptions& options) {
  check(where, options);
  return dispatch_floating(
      options.dtype, [&](auto zero) { return matrix<decltype(zero)>(std::move(file), options); });
}

Dataset examples(const char* where, detail::Reader file, const CsvOptions& options) {
  check(where, options);
  const CsvLabels& labels = options.labels;
  const bool targets = labels.kind() == CsvLabels::numbers;
  if (labels.count() < 1) {
    throw ValueError(where, std::string(targets ? "targets" : "one-hot") + " of " +
                                std::to_string(labels.count()) + " columns: must be 1 or more");
  }
  if (targets && options.classes != 0) {
    throw ValueError(where, "classes = " + std::to_string(options.classes) +
                                " beside targets, which are of no class");
  }
  if (options.classes < 0) {
    throw ValueError(where, "classes = " + std::to_string(options.classes) +
                                ": must be 1 or more, or 0 to count them");
  }
  return dispatch_floating(
      options.dtype, [&](auto zero) { return examples<decltype(zero)>(std::move(file), options); });
}

}  // namespace

Tensor read_csv_matrix(const std::string& path, const CsvOptions& options) {
  return matrix("read_csv_matrix", detail::Reader(path), options);
}

Tensor decode_csv_matrix(std::span<const std::byte> bytes, const std::string& name,
                         const CsvOptions& options) {
  return matrix("decode_csv_matrix", detail::Reader(bytes, name), options);
}

Dataset read_csv(const std::string& path, const CsvOptions& options) {
  return examples("read_csv", detail::Reader(path), options);
}

Dataset decode_csv(std::span<const std::byte> bytes, const std::string& name,
                   const CsvOptions& options) {
  return examples("decode_csv", detail::Reader(bytes, name), options);
}

}  // namespace xtape::data
