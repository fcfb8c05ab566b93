#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <xtape/autodiff/tensor.hpp>
#include <xtape/data/dataset.hpp>

namespace xtape::data {

/// Which columns of a table are labels.
class CsvLabels {
 public:
  /// What the columns hold.
  enum Kind : std::uint8_t { integers, one_hots, numbers };
  /// The first column holds integers from 0.
  static CsvLabels first() { return {0, 1, integers}; }
  /// The last column holds integers from 0.
  static CsvLabels last() { return {-1, 1, integers}; }
  /// Column `index` holds integers from 0; counted from 0, negative ones from the last.
  static CsvLabels at(std::int64_t index) { return {index, 1, integers}; }
  /// The last `count` columns hold a single 1 per row, in the column of the row's class, else 0.
  static CsvLabels one_hot(std::int64_t count) { return {-count, count, one_hots}; }
  /// The last `count` columns hold any numbers: what a regression is to answer.
  static CsvLabels targets(std::int64_t count = 1) { return {-count, count, numbers}; }

  /// First label column, from the last when negative.
  std::int64_t index() const noexcept { return index_; }
  /// Number of label columns.
  std::int64_t count() const noexcept { return count_; }
  /// What they hold.
  Kind kind() const noexcept { return kind_; }

 private:
  CsvLabels(std::int64_t index, std::int64_t count, Kind kind)
      : index_(index), count_(count), kind_(kind) {}
  std::int64_t index_, count_;
  Kind kind_;
};

/// How a table of numbers is written.
struct CsvOptions {
  /// Between the numbers of a line.
  char delimiter = ',';
  bool header = false;                   ///< The first line holds names: it is skipped.
  DType dtype = f32;                     ///< Of the numbers, f32 or f64; classes are always i64.
  double scale = 1;                      ///< Multiplies every number that is not a label.
  CsvLabels labels = CsvLabels::last();  ///< read_csv only.
  /// read_csv with integer labels: how many classes there are; 0 takes the highest label + 1.
  std::int64_t classes = 0;
};

/// Every number of a table, [rows, columns] of options.dtype; options.labels is not looked at.
///
/// Plain or gzip, told apart by content. Lines end in LF or CRLF, the last one may lack its end;
/// blank lines at the end and a UTF-8 byte-order mark are skipped, as are blanks around a number.
/// @throws DataError at `path:line:column`, the column counted in numbers from 1, showing the text
///   that is not a finite number of options.dtype; at `path:line` for a row of another length or a
///   blank line between rows; at `path` when the file is missing, has no rows, or is corrupt gzip.
/// @throws DTypeError unless options.dtype is floating. @throws ValueError for a delimiter that
///   numbers or line ends are made of.
Tensor read_csv_matrix(const std::string& path, const CsvOptions& options = {});
/// The same for bytes in memory; `name` stands for the path in messages.
Tensor decode_csv_matrix(std::span<const std::byte> bytes, const std::string& name = "memory",
                         const CsvOptions& options = {});

/// The same table as examples, named after the file: inputs [rows, columns that are not labels] of
/// options.dtype, labels [rows] i64; of CsvLabels::targets, labels [rows, count] of options.dtype,
/// and `classes` is 0.
/// @throws as read_csv_matrix, and DataError at `path:line:column` for a label that is negative, no
///   integer, or not below options.classes, and for one-hot columns that are not a single 1 among
///   0s; at `path` when the label columns leave no input. @throws ValueError for a negative
///   options.classes, classes beside targets, or less than 1 column of one-hot or targets.
Dataset read_csv(const std::string& path, const CsvOptions& options = {});
/// The same for bytes in memory; `name` stands for the path in messages.
Dataset decode_csv(std::span<const std::byte> bytes, const std::string& name = "memory",
                   const CsvOptions& options = {});

}  // namespace xtape::data
