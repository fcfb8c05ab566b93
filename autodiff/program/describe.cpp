#include <algorithm>
#include <cstdio>
#include <set>
#include <sstream>

#include <xtape/autodiff/program/executable.hpp>
#include <xtape/autodiff/shown.hpp>

// What a program is, for people and for other programs.
namespace xtape {
namespace program {
namespace {

std::string spec_str(const Spec& s) { return name(s.dtype) + s.shape.str(); }

std::string title(const Executable& e, const Unit& u) {
  const Graph& g = e.graph();
  if (u.kind != Unit::Kind::group) return std::string(g.nodes[u.members[0]].op->name);
  std::string s = "group of ";
  constexpr std::size_t kShown = 48;
  for (std::size_t k = 0; k < u.members.size(); ++k) {
    if (k == kShown && u.members.size() > kShown + 1) {
      return s + " and " + std::to_string(u.members.size() - kShown) + " more";
    }
    s += (k ? ", " : "") + std::string(g.nodes[u.members[k]].op->name);
  }
  return s;
}

std::string place(const Executable& e, Id root) {
  const Location l = e.layout().location[root];
  switch (l.kind) {
    case Location::Kind::arena:
      return "arena+" + std::to_string(e.layout().blocks[l.index].offset);
    case Location::Kind::input:
      return "argument " + std::to_string(l.index);
    case Location::Kind::parameter:
      return "'" + e.layout().parameters[l.index].name() + "'";
    case Location::Kind::constant:
      return "constant";
    case Location::Kind::output:
      return "output " + std::to_string(l.index);
    case Location::Kind::none:
      break;
  }
  return "cache";
}

// Values that a unit reads from and writes to memory outside of itself.
std::set<Id> reads(const Executable& e, Id u) {
  std::set<Id> out;
  for (const Id m : e.units().units[u].members) {
    for (const Id in : e.graph().nodes[m].in) {
      const Id root = e.graph().root(in);
      if (e.units().unit_of[root] != u) out.insert(root);
    }
  }
  return out;
}
std::vector<Id> writes(const Executable& e, Id u) {
  std::vector<Id> out;
  for (const Id m : e.units().units[u].members) {
    if (e.layout().external[m] && !e.graph().nodes[m].op->checks) out.push_back(m);
  }
  return out;
}

double flop_of(const Graph& g, const Node& n) {
  if (n.op->flop) {
    std::vector<const Spec*> in;
    for (const Id i : n.in) in.push_back(&g.nodes[i].spec);
    return n.op->flop({*n.op, in, n.attrs.get()}, n.spec);
  }
  double most = static_cast<double>(n.spec.shape.size());
  for (const Id i : n.in) most = std::max(most, static_cast<double>(g.nodes[i].spec.shape.size()));
  return n.op->block || n.op->reducer ? most : 0;
}

std::string list(const Executable& e, const auto& ids) {
  std::string s;
  for (const Id i : ids) {
    s += (s.empty() ? "" : "; ") + spec_str(e.graph().nodes[i].spec) + " " + place(e, i);
  }
  return s;
}

}  // namespace

StepProfile describe_step(const Executable& e, Id u) {
  const Graph& g = e.graph();
  StepProfile p;
  p.what = title(e, e.units().units[u]);
  for (const Id i : reads(e, u)) p.bytes += static_cast<double>(g.nodes[i].spec.nbytes());
  for (const Id i : writes(e, u)) p.bytes += static_cast<double>(g.nodes[i].spec.nbytes());
  for (const Id m : e.units().units[u].members) p.flop += flop_of(g, g.nodes[m]);
  return p;
}

std::string listing(const Executable& e, const std::string& name) {
  std::ostringstream os;
  os << name << ": " << e.units().units.size() << " steps, arena " << e.arena_bytes()
     << " bytes (least " << e.least_bytes() << ")\n";
  for (Id u = 0; u < e.units().units.size(); ++u) {
    const StepProfile p = describe_step(e, u);
    os << '[' << u << "] " << p.what << "  " << p.bytes << " bytes, " << p.flop << " FLOP\n";
    os << "    reads  " << list(e, reads(e, u)) << '\n';
    const auto out = writes(e, u);
    if (!out.empty()) os << "    writes " << list(e, out) << '\n';
  }
  for (const Layout::Copy& c : e.layout().late) {
    os << "then copies " << c.bytes << " bytes to "
       << (c.to.kind == Location::Kind::output
               ? "output " + std::to_string(c.to.index)
               : "'" + e.layout().parameters[c.to.index].name() + "'")
       << '\n';
  }
  return os.str();
}

std::string listing_json(const Executable& e, const std::string& name) {
  std::ostringstream os;
  const auto values = [&](const auto& ids) {
    std::string s = "[";
    for (const Id i : ids) {
      s += (s.size() > 1 ? ", " : "") + std::string("{\"spec\": ") +
           detail::quoted(spec_str(e.graph().nodes[i].spec)) +
           ", \"place\": " + detail::quoted(place(e, i)) +
           ", \"bytes\": " + std::to_string(e.graph().nodes[i].spec.nbytes()) + "}";
    }
    return s + "]";
  };
  os << "{\"program\": " << detail::quoted(name) << ", \"arena_bytes\": " << e.arena_bytes()
     << ", \"least_bytes\": " << e.least_bytes() << ", \"steps\": [";
  for (Id u = 0; u < e.units().units.size(); ++u) {
    const StepProfile p = describe_step(e, u);
    os << (u ? ",\n " : "\n ") << "{\"step\": " << u << ", \"ops\": [";
    bool first = true;
    for (const Id m : e.units().units[u].members) {
      os << (first ? "" : ", ") << detail::quoted(std::string(e.graph().nodes[m].op->name));
      first = false;
    }
    os << "], \"bytes\": " << p.bytes << ", \"flop\": " << p.flop
       << ", \"reads\": " << values(reads(e, u)) << ", \"writes\": " << values(writes(e, u)) << "}";
  }
  os << "]}\n";
  return os.str();
}

}  // namespace program

std::string str(const std::vector<StepProfile>& profile) {
  std::string s = "      µs   share       bytes        FLOP  step\n";
  for (const StepProfile& p : profile) {
    char line[96];
    std::snprintf(line, sizeof line, "%8.2f  %5.1f%%  %10.4g  %10.4g  ", p.microseconds,
                  100 * p.share, p.bytes, p.flop);
    s += line + p.what + "\n";
  }
  return s;
}

std::string json(const std::vector<StepProfile>& profile) {
  std::ostringstream os;
  os << '[';
  for (std::size_t k = 0; k < profile.size(); ++k) {
    const StepProfile& p = profile[k];
    os << (k ? ",\n " : "\n ") << "{\"step\": " << k << ", \"what\": " << detail::quoted(p.what)
       << ", \"microseconds\": " << p.microseconds << ", \"share\": " << p.share
       << ", \"bytes\": " << p.bytes << ", \"flop\": " << p.flop << '}';
  }
  os << "]\n";
  return os.str();
}

}  // namespace xtape
