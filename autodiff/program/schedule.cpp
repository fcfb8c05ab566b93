#include <algorithm>
#include <queue>

#include <xtape/autodiff/error.hpp>
#include <xtape/autodiff/program/units.hpp>

namespace xtape::program {

void dependencies(const Graph& g, const std::vector<Id>& unit_of, Id i, std::vector<Id>& out) {
  while (true) {
    if (unit_of[i] != kNone) out.push_back(unit_of[i]);
    if (g.nodes[i].kind != Node::Kind::op || !g.nodes[i].op->aliases) return;
    i = g.nodes[i].in[0];
  }
}

namespace {

// Whether a unit stands behind a check: such units change parameters, or lead to one that does.
// `waiting`: how many units each of them waits for.
std::vector<bool> behind_checks(const Units& u, const std::vector<std::vector<Id>>& after,
                                std::vector<std::uint32_t> waiting) {
  const auto is_check = [&](Id k) { return u.units[k].kind == Unit::Kind::check; };
  std::vector<bool> late(u.units.size());
  std::vector<Id> ready;  // units are not in order yet: each comes when all before it have
  for (Id k = 0; k < waiting.size(); ++k) {
    if (waiting[k] == 0) ready.push_back(k);
  }
  while (!ready.empty()) {
    const Id k = ready.back();
    ready.pop_back();
    for (const Id a : after[k]) {
      if (late[k] || (is_check(k) && !is_check(a))) late[a] = true;
      if (--waiting[a] == 0) ready.push_back(a);
    }
  }
  return late;
}

}  // namespace

void schedule(const Graph& g, Units& u) {
  const auto count = static_cast<Id>(u.units.size());
  std::vector<std::vector<Id>> before(count), after(count);
  std::vector<std::uint32_t> waiting(count);
  for (Id k = 0; k < count; ++k) {
    for (const Id m : u.units[k].members) {
      for (const Id in : g.nodes[m].in) dependencies(g, u.unit_of, in, before[k]);
    }
    std::sort(before[k].begin(), before[k].end());
    before[k].erase(std::unique(before[k].begin(), before[k].end()), before[k].end());
    std::erase(before[k], k);
    waiting[k] = static_cast<std::uint32_t>(before[k].size());
    for (const Id b : before[k]) after[b].push_back(k);
  }
  const std::vector<bool> late = behind_checks(u, after, waiting);
  // Of those that can run: first what is no check, then checks, then what is behind them; each in
  // the order of recording.
  using Entry = std::tuple<int, Id, Id>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  const auto push = [&](Id k) {
    const int phase = late[k] ? 2 : u.units[k].kind == Unit::Kind::check ? 1 : 0;
    ready.emplace(phase, u.units[k].members.front(), k);
  };
  for (Id k = 0; k < count; ++k) {
    if (waiting[k] == 0) push(k);
  }
  std::vector<Unit> order;
  while (!ready.empty()) {
    const Id k = std::get<2>(ready.top());
    ready.pop();
    Unit& unit = u.units[k];
    // Checks that follow one another are made in one step, and so are small copies.
    const bool joins = unit.kind == Unit::Kind::check || unit.kind == Unit::Kind::parts;
    const bool together = joins && !order.empty() && order.back().kind == unit.kind;
    if (!together) order.emplace_back().kind = unit.kind;
    for (const Id m : unit.members) u.unit_of[m] = static_cast<Id>(order.size() - 1);
    if (together) {
      order.back().members.push_back(unit.members[0]);
    } else {
      order.back() = std::move(unit);
    }
    for (const Id a : after[k]) {
      if (--waiting[a] == 0) push(a);
    }
  }
  std::size_t planned = 0, placed = 0;
  for (const Id k : u.unit_of) planned += k != kNone;
  for (const Unit& unit : order) placed += unit.members.size();
  if (planned != placed)
    throw Error("compile", "internal: groups depend on one another in a circle");
  u.units = std::move(order);
}

}  // namespace xtape::program
