#include <xtape/data/csv.hpp>

#include "data_support.hpp"

namespace {

using namespace xtape;
using namespace xtape::test;
using data::CsvLabels;
using data::CsvOptions;

std::string matrix_error(const std::string& table, const CsvOptions& options = {}) {
  const Folder dir;
  const std::string path = dir.write("t.csv", table);
  return thrown_at(path, [&] { data::read_csv_matrix(path, options); });
}

std::string labels_error(const std::string& table, const CsvOptions& options = {}) {
  const Folder dir;
  const std::string path = dir.write("t.csv", table);
  return thrown_at(path, [&] { data::read_csv(path, options); });
}

Tensor matrix(const std::string& table, const CsvOptions& options = {}) {
  const Folder dir;
  const Tensor t = data::read_csv_matrix(dir.write("t.csv", table), options);
  CHECK(identical(data::read_csv_matrix(dir.write_gz("t.csv.gz", table), options), t));
  return t;
}

data::Dataset examples(const std::string& table, const CsvOptions& options = {}) {
  const Folder dir;
  return data::read_csv(dir.write("t.csv", table), options);
}

}  // namespace

TEST_CASE("CSV: numbers however the lines end", "[data][csv]") {
  const Tensor want({{1, -2.5, 300}, {0.25, 5, 6}}, f32);
  CHECK(identical(matrix("1,-2.5,3e2\n.25,+5,6\n"), want));
  CHECK(identical(matrix("1,-2.5,3e2\r\n.25,+5,6\r\n"), want));
  CHECK(identical(matrix("1,-2.5,3e2\n.25,+5,6"), want));
  CHECK(identical(matrix("1,-2.5,3e2\n.25,+5,6\n\n \r\n\n"), want));
  CHECK(identical(matrix("\xEF\xBB\xBF"
                         "1,-2.5,3e2\n.25,+5,6\n"),
                  want));
  CHECK(identical(matrix(" 1 ,\t-2.5, 3e2\n .25,+5 ,6 \n"), want));
  CHECK(identical(matrix("a,\"b,c\",d\n1,-2.5,3e2\n.25,+5,6\n", {.header = true}), want));
  CHECK(identical(matrix("1;-2.5;3e2\n.25;+5;6\n", {.delimiter = ';'}), want));
  CHECK(identical(matrix("1\t-2.5\t3e2\n.25\t+5\t6\n", {.delimiter = '\t'}), want));
  CHECK(identical(matrix("2\n4", {.dtype = f64, .scale = 0.5}), Tensor({{1}, {2}})));
  CHECK(matrix("0.1", {.dtype = f64}).flat(0) == 0.1);
}

TEST_CASE("CSV: lines longer than any buffer", "[data][csv]") {
  std::string table;
  for (int row = 0; row < 2; ++row) {
    for (int i = 0; i < 100'000; ++i) table += (i ? "," : "") + std::to_string(i + row);
    table += '\n';
  }
  const Tensor t = matrix(table, {.dtype = f64});
  REQUIRE(t.shape() == Shape{2, 100'000});
  CHECK(identical(t, matrix(table, {.dtype = f64})));
  CHECK(t.at({0, 99'999}) == 99'999);
  CHECK(t.at({1, 54'321}) == 54'322);
}

TEST_CASE("CSV: integer labels, wherever they stand", "[data][csv]") {
  const Tensor inputs({{0.5, 1}, {1.5, 2}}, f32);
  const data::Dataset last = examples("1,2,3\n3,4,0\n", {.scale = 0.5});
  CHECK(identical(last.inputs, inputs));
  CHECK(identical(last.labels, ints({3, 0})));
  CHECK(last.classes == 4);
  CHECK(last.name == "t.csv");
  const data::Dataset first =
      examples("3,1,2\n0,3,4", {.scale = 0.5, .labels = CsvLabels::first()});
  CHECK(identical(first.inputs, inputs));
  CHECK(identical(first.labels, last.labels));
  for (const std::int64_t index : {1, -2}) {
    const data::Dataset d =
        examples("1,3,2\n3,0e0,4", {.scale = 0.5, .labels = CsvLabels::at(index), .classes = 10});
    CHECK(identical(d.inputs, inputs));
    CHECK(identical(d.labels, last.labels));
    CHECK(d.classes == 10);
  }
}

TEST_CASE("CSV: one-hot labels after 784 pixels", "[data][csv]") {
  std::string table;
  for (int row = 0; row < 20; ++row) {
    for (int i = 0; i < 784; ++i) table += std::to_string((row + i) % 256) + ",";
    for (int c = 0; c < 10; ++c)
      table += std::string(c == row % 10 ? "1" : "0") + (c < 9 ? "," : "\n");
  }
  const data::Dataset d = examples(table, {.scale = 1.0 / 255, .labels = CsvLabels::one_hot(10)});
  CHECK(d.inputs.spec() == Spec{{20, 784}, f32});
  CHECK(d.classes == 10);
  CHECK(d.inputs.at({0, 255}) == 1);
  CHECK(d.inputs.at({3, 252}) == 1);
  CHECK(identical(d.take(0, 10).labels, Tensor::arange(10)));
  CHECK(d.one_hot().at({13, 3}) == 1);
}

TEST_CASE("CSV: errors point at the line and the column", "[data][csv]") {
  CHECK(matrix_error("1,2\n3,x4\n") == ":2:2] 'x4' is not a number");
  CHECK(matrix_error("1,2\n3,4x\n") == ":2:2] '4x' is not a number");
  CHECK(matrix_error("a,b\n1,2\n") == ":1:1] 'a' is not a number");
  CHECK(matrix_error("a,b\n1,2\nc,3", {.header = true}) == ":3:1] 'c' is not a number");
  CHECK(matrix_error("1,+-2") == ":1:2] '+-2' is not a number");
  CHECK(matrix_error("1,0x10") == ":1:2] '0x10' is not a number");
  CHECK(matrix_error("1,,2") == ":1:2] '' where a number should be: the field is empty");
  CHECK(matrix_error("1,2,\n") == ":1:3] '' where a number should be: the field is empty");
  CHECK(matrix_error("1,nan") == ":1:2] 'nan' is not finite: remove or replace the row");
  CHECK(matrix_error("-inf,1") == ":1:1] '-inf' is not finite: remove or replace the row");
  CHECK(matrix_error("1,1e999") == ":1:2] '1e999' is out of the range of f64");
  CHECK(matrix_error("1,1e99") == ":1:2] '1e99' is out of the range of f32");
  CHECK(matrix_error("1," + std::string(90, 'q')) ==
        ":1:2] '" + std::string(24, 'q') + "…' is not a number");
  CHECK(matrix_error("\xE2\x88\x92"
                     "5") == ":1:1] '\\xe2\\x88\\x925' is not a number");
  CHECK(matrix_error("1,2\n3\n") == ":2] 1 column: the rows before have 2");
  CHECK(matrix_error("1\n2,3\n") == ":2] 2 columns: the rows before have 1");
  CHECK(matrix_error("1,2\n\n3,4\n") == ":2] is blank and rows follow: remove the line");
  for (const char* nothing : {"", "\n\n", "\r\n", "\xEF\xBB\xBF"}) {
    CHECK(matrix_error(nothing) == "] is empty: it has no rows of numbers");
    CHECK(labels_error(nothing) == "] is empty: it has no rows of numbers");
  }
  CHECK(matrix_error("a,b\n", {.header = true}) == "] is empty: it has no rows of numbers");
}

TEST_CASE("CSV: targets are numbers, not scaled", "[data][csv]") {
  const data::Dataset d =
      examples("1,2,0.5,-3\n4,5,1e3,7\n", {.scale = 0.5, .labels = CsvLabels::targets(2)});
  CHECK(d.classes == 0);
  CHECK(identical(d.inputs, Tensor({{0.5, 1}, {2, 2.5}}, f32)));
  CHECK(identical(d.labels, Tensor({{0.5, -3}, {1e3, 7}}, f32)));
  CHECK(labels_error("1,1e39\n", {.labels = CsvLabels::targets()}) ==
        ":1:2] '1e39' is out of the range of f32");
  CHECK(labels_error("1,2\n", {.labels = CsvLabels::targets(2)}) ==
        "] has 2 columns, of which 2 hold labels: no inputs are left");
}

TEST_CASE("CSV: labels that are none", "[data][csv]") {
  CHECK(labels_error("1,2\n1,2.5\n") == ":2:2] '2.5' is no label: must be an integer");
  CHECK(labels_error("1,-1\n") == ":1:2] '-1' is no label: must be 0 or more");
  CHECK(labels_error("1,1e12\n") == ":1:2] '1e12' is no label: must be at most 2147483647");
  CHECK(labels_error("1,3\n", {.classes = 3}) == ":1:2] '3' is no label: must be at most 2");
  CHECK(labels_error("1\n") == "] has 1 column, of which 1 hold labels: no inputs are left");
  CHECK(labels_error("1,2\n", {.labels = CsvLabels::at(2)}) ==
        "] has 2 columns: no column 2 to take labels from");
  CHECK(labels_error("1,2\n", {.labels = CsvLabels::at(-3)}) ==
        "] has 2 columns: no column -3 to take labels from");
  const CsvOptions hot{.labels = CsvLabels::one_hot(3)};
  CHECK(labels_error("5,0,1,0\n5,0,0,0", hot) == ":2:2] '0' and no 1 in one-hot columns 2 to 4");
  CHECK(labels_error("5,1,0,1", hot) ==
        ":1:4] '1' is the second 1 among the one-hot columns, after column 2");
  CHECK(labels_error("5,0,0.5,0.5", hot) == ":1:3] '0.5' in a one-hot column: must be 0 or 1");
  CHECK(labels_error("0,1,0", hot) ==
        "] has 3 columns, of which 3 hold labels: no inputs are left");
}

TEST_CASE("CSV: files and options that do not serve", "[data][csv]") {
  const Folder dir;
  const std::string none = dir / "none.csv";
  CHECK(thrown([&] { data::read_csv(none); }) ==
        "[" + none + "] cannot be opened: No such file or directory");
  dir.write_gz("t.gz", "1,2\n3,4\n");
  const std::string cut = dir.write("cut.gz", dir.read("t.gz").substr(0, 20));
  CHECK(thrown([&] { data::read_csv(cut); }) == "[" + cut + "] is cut off inside its gzip stream");
  const std::string path = dir / "t.gz";
  CHECK(thrown<DTypeError>([&] { data::read_csv(path, {.dtype = i64}); }) ==
        "[read_csv] dtype i64: must be f32 or f64");
  CHECK(thrown<ValueError>([&] { data::read_csv_matrix(path, {.delimiter = '\n'}); }) ==
        "[read_csv_matrix] delimiter '\\x0a': must not be part of a number or a line end");
  CHECK(thrown<ValueError>([&] { data::read_csv(path, {.labels = CsvLabels::one_hot(0)}); }) ==
        "[read_csv] one-hot of 0 columns: must be 1 or more");
  CHECK(thrown<ValueError>([&] { data::read_csv(path, {.labels = CsvLabels::targets(0)}); }) ==
        "[read_csv] targets of 0 columns: must be 1 or more");
  CHECK(thrown<ValueError>([&] {
          data::read_csv(path, {.labels = CsvLabels::targets(), .classes = 2});
        }) == "[read_csv] classes = 2 beside targets, which are of no class");
  CHECK(thrown<ValueError>([&] { data::read_csv(path, {.classes = -1}); }) ==
        "[read_csv] classes = -1: must be 1 or more, or 0 to count them");
}
