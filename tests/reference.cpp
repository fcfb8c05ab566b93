#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <xtape/autodiff/op.hpp>

// Prints the reference of all operations (docs/ops.md), or the table of kinks (docs/kinks.md): from
// the public headers, which say what a function takes, and the registry, which says what it
// computes and what its gradient is. A test compares the pages with what this prints, so they
// cannot drift.
//   xtape-reference ops|kinks SOURCE_FOLDER
namespace {

using namespace xtape;

/// A declaration in a public header, with the comment above it.
struct Declaration {
  std::string name, text, comment;
  bool type = false;
};

struct Header {
  std::string file, title;
  std::vector<Declaration> declarations;
};

std::string trimmed(const std::string& s) {
  const auto first = s.find_first_not_of(" \t");
  return first == std::string::npos ? "" : s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

bool starts(const std::string& s, const char* with) { return s.rfind(with, 0) == 0; }

// Where a declaration ends: behind all brackets, at its semicolon or (functions) its body; npos
// when the text is not all of it. Braces of defaults and what comments say are not looked at.
std::size_t end_of(const std::string& text, bool type) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (text.compare(i, 2, "//") == 0) {
      i = text.find('\n', i);
      if (i == std::string::npos) break;
      continue;
    }
    if (depth == 0 && (c == ';' || (c == '{' && !type))) return i;
    depth += (c == '(' || c == '{') - (c == ')' || c == '}');
  }
  return std::string::npos;
}

// From the first line of a declaration to the one that ends it.
Declaration declaration(std::istream& in, std::string line, const std::string& comment) {
  Declaration d;
  d.comment = comment;
  d.type = std::regex_search(line, std::regex("^(struct|enum|class) "));
  std::string text = line;
  while (end_of(text, d.type) == std::string::npos && std::getline(in, line)) text += "\n" + line;
  const std::size_t end = end_of(text, d.type);
  text = text.substr(0, d.type && end != std::string::npos ? end + 1 : end);
  if (!d.type) text = std::regex_replace(text, std::regex("\\s*\\n\\s*"), " ");
  std::smatch m;
  const std::regex of_type("^(?:struct|enum class|enum|class) (\\w+)"),
      of_function("^using (\\w+)|(\\w+)\\(");
  if (std::regex_search(text, m, d.type ? of_type : of_function))
    d.name = m[1].matched || d.type ? m[1] : m[2];
  d.text = trimmed(text);
  return d;
}

Header read_header(const std::filesystem::path& path) {
  Header h;
  h.file = path.filename().string();
  std::ifstream in(path);
  std::string line, comment;
  bool inside = false;
  while (std::getline(in, line)) {
    if (starts(line, "namespace")) {
      inside = true;
    } else if (!inside && starts(line, "// ")) {
      h.title += (h.title.empty() ? "" : " ") + line.substr(3);
    } else if (starts(line, "///")) {
      comment += (comment.empty() ? "" : " ") + trimmed(line.substr(3));
    } else if (inside && !comment.empty() && !line.empty()) {
      h.declarations.push_back(declaration(in, line, comment));
      comment.clear();
    }
  }
  return h;
}

std::string number(double x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x > 0 ? "∞" : "−∞";
  std::ostringstream os;
  os.precision(6);
  os << std::abs(x);
  return (x < 0 ? "−" : "") + os.str();
}

std::string gradient_of(const Edge& e) {
  std::string s;
  for (int i = 0; i < e.operands; ++i) s += (i ? ", " : "") + number(e.gradient[i]);
  return s;
}

void print_rule(const Op& op) {
  std::cout << "* " << op.math << "\n* gradient: " << op.gradient << "\n";
  for (const Edge& e : op.edges) {
    std::cout << "* at " << e.where << ": value " << number(e.y) << ", gradient " << gradient_of(e)
              << "\n";
  }
}

void print_header(const Header& h, std::set<std::string>& told) {
  const auto end = h.title.find_first_of(".:");
  std::cout << "\n## " << h.title.substr(0, end) << "\n\n[`" << h.file << "`](../autodiff/ops/"
            << h.file << "). " << h.title << "\n";
  std::vector<std::string> order;
  std::map<std::string, std::vector<const Declaration*>> by_name;
  for (const Declaration& d : h.declarations) {
    if (by_name[d.name].empty()) order.push_back(d.name);
    by_name[d.name].push_back(&d);
  }
  for (const std::string& name : order) {
    std::cout << "\n### " << name << "\n\n```cpp\n";
    for (const Declaration* d : by_name[name]) std::cout << d->text << "\n";
    std::cout << "```\n\n";
    for (const Declaration* d : by_name[name]) std::cout << d->comment << "\n\n";
    if (const Op* op = find_op(name); op && !by_name[name].front()->type) {
      print_rule(*op);
      told.insert(name);
    }
  }
}

// Headers of families: what is in ops.hpp.
std::vector<Header> headers(const std::filesystem::path& source) {
  std::ifstream list(source / "autodiff/ops.hpp");
  std::vector<Header> out;
  std::string line;
  std::smatch m;
  while (std::getline(list, line)) {
    if (std::regex_search(line, m, std::regex("ops/(\\w+\\.hpp)"))) {
      out.push_back(read_header(source / "autodiff/ops" / m[1].str()));
    }
  }
  return out;
}

void print_ops(const std::filesystem::path& source) {
  std::cout
      << "# Operations\n\nGenerated from the headers and the registry by "
         "`build/release/tests/xtape-reference ops .`; a test compares.\n"
         "Gradients are written with bars: ȳ is the cotangent of the result, x̄ the gradient it "
         "gives to x. Where kinks have a line, "
         "[kinks.md](kinks.md) has them all.\n";
  std::set<std::string> told;
  for (const Header& h : headers(source)) print_header(h, told);
  std::cout << "\n## What these are made of\n\nOperations that the functions above, gradients and "
               "programs record.\n\n| operation | computes | gradient |\n|---|---|---|\n";
  for (const Op* op : registry()) {
    if (told.count(std::string(op->name))) continue;
    const std::regex bar("\\|");
    std::cout << "| " << op->name << " | " << std::regex_replace(std::string(op->math), bar, "\\|")
              << " | " << std::regex_replace(std::string(op->gradient), bar, "\\|") << " |\n";
  }
}

void print_kinks() {
  std::cout
      << "# What the gradient is where there is none\n\n"
         "At kinks, ties and the edges of domains. Generated from the registry by "
         "`build/release/tests/xtape-reference kinks .`;\n"
         "the tests check every line (`tests/test_registry.cpp`) and compare this page.\n\n"
         "* **Every formulation of a function has the same gradient at its kink**: relu(x), "
         "maximum(x, 0), clamp(x, 0, ∞) and where(x > 0, x, 0) give 0 at 0.\n"
         "* **Ties share**: two recorded operands get half each, tied elements of max and min "
         "equal "
         "parts. A constant on no tape takes all of it.\n"
         "* **A cotangent of 0 gives 0**, even where the slope is infinite or NaN (checked for "
         "every "
         "elementwise op of one operand): the branch that `where` did not take leaks nothing. A "
         "matrix product multiplies zeros with what is there.\n"
         "* What is flat by definition (sign, floor, argmax, comparisons) has gradient 0 or "
         "none.\n\n"
         "| function | where | value | gradient |\n|---|---|--:|--:|\n";
  for (const Op* op : registry()) {
    for (const Edge& e : op->edges) {
      std::cout << "| " << op->name << " | "
                << std::regex_replace(std::string(e.where), std::regex("\\|"), "\\|") << " | "
                << number(e.y) << " | " << gradient_of(e) << " |\n";
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (std::string(argv[1]) == "ops") {
    print_ops(argv[2]);
  } else {
    print_kinks();
  }
  return 0;
}
