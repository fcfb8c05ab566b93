#include <sstream>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/op.hpp>
#include <xtape/autodiff/shown.hpp>
#include <xtape/autodiff/tape.hpp>

// The tape for people: names, a listing, a drawing.
namespace xtape {

void Tape::label(const Var& v, std::string label) {
  if (!owns(v)) throw TapeError("label", "'" + label + "': this value is not on this tape");
  labels_[v.index_] = std::move(label);
}

std::string Tape::describe(std::uint32_t index) const {
  const Node& n = nodes_[index];
  std::string s = "%" + std::to_string(index) + " " + std::string(n.op->name);
  if (const auto it = labels_.find(index); it != labels_.end()) s += " '" + it->second + "'";
  if (n.attrs) s += "{" + n.attrs->str() + "}";
  return s + " " + name(n.spec.dtype) + n.spec.shape.str();
}

std::string Tape::str() const {
  std::ostringstream os;
  for (std::uint32_t i = 0; i < size(); ++i) {
    const Node& n = nodes_[i];
    os << describe(i);
    for (std::uint32_t e = 0; e < n.edges; ++e) {
      const std::uint32_t from = edges_[n.first_edge + e];
      os << (e ? ", " : "  <- ") << (from == kNone ? "constant" : "%" + std::to_string(from));
    }
    os << (n.requires_grad ? "" : "  (no gradient)") << '\n';
  }
  return os.str();
}

std::string Tape::dot() const {
  std::ostringstream os;
  os << "digraph tape {\n  rankdir=LR; node [fontname=Helvetica, fontsize=10];\n";
  for (std::uint32_t i = 0; i < size(); ++i) {
    const Node& n = nodes_[i];
    os << "  n" << i << " [label=" << detail::quoted(describe(i))
       << ", shape=" << (n.edges == 0 ? "ellipse" : "box")
       << (n.requires_grad ? "" : ", color=grey, fontcolor=grey") << "];\n";
    for (std::uint32_t e = 0; e < n.edges; ++e) {
      const std::uint32_t from = edges_[n.first_edge + e];
      if (from != kNone) os << "  n" << from << " -> n" << i << ";\n";
    }
  }
  os << "}\n";
  return os.str();
}

}  // namespace xtape
