#include <algorithm>
#include <tuple>

#include <xtape/autodiff/ops.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/nn/export_writer.hpp>

// Elementwise ops, and those that move elements.
namespace xtape::nn::exporting {
namespace {

// The numbers of elements, begin, begin + 1, …, in their place.
Var numbered(const Shape& shape, std::int64_t begin) {
  return no_grad((no_grad(Tensor::arange(shape.size(), f64)) + static_cast<double>(begin))
                     .value()
                     .reshape(shape));
}

// An operand of an elementwise op: element i of the output reads this one.
std::string element(Writer& w, Id from, const Shape& out) {
  const std::string& name = w.name(from);
  const std::int64_t size = w.shape(from).size();
  if (size == out.size()) return name + "[i]";
  if (size == 1) return name + "[0]";
  const Tensor index = broadcast_to(numbered(w.shape(from), 0), out).value();
  std::vector<std::int64_t> at;
  for (const double v : index.span<double>()) at.push_back(static_cast<std::int64_t>(v));
  const std::int64_t inner = std::find(at.begin(), at.end(), 1) - at.begin();
  for (std::size_t k = 0; k < at.size(); ++k) {
    if (at[k] != static_cast<std::int64_t>(k) / inner % size) {
      return name + "[" + w.integers(at) + "[i]]";
    }
  }
  return name + "[i" + (inner > 1 ? " / " + text(inner) : "") + " % " + text(size) + "]";
}

// Where each element goes is said by numbers that are moved in place of them.
void move(Writer& w, Id i, const Node& n) {
  std::vector<Var> numbers;
  std::vector<const Var*> in;
  std::vector<std::int64_t> begin{0};
  for (const Id from : n.in) {
    const bool index = w.graph().nodes[from].spec.dtype == i64;  // moves nothing, says what moves
    numbers.push_back(index ? no_grad(w.fixed(from)) : numbered(w.shape(from), begin.back()));
    begin.push_back(begin.back() + (index ? 0 : w.shape(from).size()));
  }
  for (const Var& v : numbers) in.push_back(&v);
  const Tensor moved = apply(*n.op, in, n.attrs).value();
  const std::string y = w.fresh(i);
  for (std::size_t k = 0; k < n.in.size(); ++k) {
    std::vector<std::int64_t> from, to;
    for (std::int64_t e = 0; e < moved.size(); ++e) {
      const auto source = static_cast<std::int64_t>(moved.flat(e));
      if (source < begin[k] || source >= begin[k + 1]) continue;
      from.push_back(source - begin[k]);
      to.push_back(e);
    }
    if (from.empty()) continue;
    const std::string a = w.integers(to), b = w.integers(from);
    w.line("for (int i = 0; i < " + text(static_cast<std::int64_t>(to.size())) + "; ++i) " + y +
           "[" + a + "[i]] = " + w.name(n.in[k]) + "[" + b + "[i]];");
  }
}

void rows_of_table(Writer& w, Id i, const Node& n) {
  const Shape& table = w.shape(n.in[0]);
  const std::string y = w.fresh(i);
  w.call("embedding", {w.name(n.in[0]), text(table[0]), text(table[1]), w.name(n.in[1]),
                       text(w.shape(n.in[1]).size()), y});
}

constexpr Translation kMoving[] = {{"transpose", move},    {"slice", move},
                                   {"concat", move},       {"broadcast_to", move},
                                   {"index_select", move}, {"embedding", rows_of_table}};

}  // namespace

void write_elementwise(Writer& w, Id i, const Node& n) {
  double numbers[3] = {};
  if (n.op->name == "clamp") {
    std::tie(numbers[0], numbers[1]) = bounds_of(n.attrs.get());
  } else if (n.attrs) {
    std::copy_n(get_attrs<rules::Params>(n.attrs.get()).p, 3, numbers);
  }
  std::string declared, expression;
  for (std::size_t k = 0; k < n.in.size(); ++k) {
    declared += "const float x" + text(static_cast<std::int64_t>(k)) + " = " +
                element(w, n.in[k], n.spec.shape) + "; ";
  }
  for (const char* p = expression_of(n.op->name); *p; ++p) {
    if (*p == '$') {
      expression += std::string("x") + *++p;
    } else if (*p == '#') {
      expression += "(" + f32_number(numbers[*++p - '0']) + ")";
    } else {
      expression += *p;
    }
  }
  const std::string to = w.fresh(i);
  w.line("for (int i = 0; i < " + text(n.spec.shape.size()) + "; ++i) { " + declared + to +
         "[i] = " + expression + "; }");
}

std::span<const Translation> moving_ops() { return kMoving; }

}  // namespace xtape::nn::exporting
