#include <algorithm>
#include <cmath>

#include "runner.hpp"

namespace xtape::conformance {
namespace {

using Case = ExceptionTable::Case;

bool holds(const std::vector<std::int64_t>& all, const std::vector<std::int64_t>& part) {
  return std::all_of(part.begin(), part.end(), [&](std::int64_t i) {
    return std::find(all.begin(), all.end(), i) != all.end();
  });
}

// The listed coordinates belong to inputs; J·w of an elementwise op has them at the same places.
bool at_coordinates(const Case& c, std::string_view kind) {
  if (c.difference == nullptr || !c.difference->broken.empty()) return false;
  const auto it = c.sample->coordinates.find(std::string(kind));
  if (it == c.sample->coordinates.end()) return false;
  if (c.part == Case::Part::gradient || c.part == Case::Part::dx) {
    const auto list = it->second.find(c.place);
    return list != it->second.end() && holds(list->second, c.difference->wrong);
  }
  if (c.part != Case::Part::dct) return false;
  const Shape& shape = c.sample->outputs[c.place].shape();
  return std::any_of(it->second.begin(), it->second.end(), [&](const auto& list) {
    return list.first < c.sample->inputs.size() && c.sample->inputs[list.first].shape() == shape &&
           holds(list.second, c.difference->wrong);
  });
}

// Only where some input is NaN.
bool at_nan(const Case& c) {
  if (c.difference == nullptr || !c.difference->broken.empty() || c.part != Case::Part::value) {
    return false;
  }
  const auto& wrong = c.difference->wrong;
  return std::all_of(wrong.begin(), wrong.end(), [&](std::int64_t i) {
    return std::any_of(c.sample->inputs.begin(), c.sample->inputs.end(), [&](const Tensor& x) {
      return x.shape() == c.sample->outputs[c.place].shape() && std::isnan(x.flat(i));
    });
  });
}

// Only where both operands are equal.
bool at_tie(const Case& c) {
  const auto& in = c.sample->inputs;
  if (c.difference == nullptr || !c.difference->broken.empty() || in.size() != 2) return false;
  Tensor ties = cast(equal(in[0], in[1]), f64).value();
  if (c.part == Case::Part::gradient || c.part == Case::Part::dx) {
    ties = sum_to(ties, in[c.place].shape()).value();
  } else if (c.part != Case::Part::dct) {
    return false;
  }
  const auto& wrong = c.difference->wrong;
  return std::all_of(wrong.begin(), wrong.end(), [&](std::int64_t i) { return ties.flat(i) > 0; });
}

bool covers(const Exception& e, const Case& c) {
  const bool compared = c.difference != nullptr && c.difference->broken.empty();
  switch (e.excuse) {
    case Excuse::coordinates:
      return at_coordinates(c, e.kind);
    case Excuse::at_nan:
      return at_nan(c);
    case Excuse::at_tie:
      return at_tie(c);
    case Excuse::values:
      return compared && c.part == Case::Part::value;
    case Excuse::gradients:
      return compared && c.part != Case::Part::value &&
             (e.kind.empty() || c.sample->tagged(std::string(e.kind)));
    case Excuse::second:
      return compared && (c.part == Case::Part::dx || c.part == Case::Part::dct);
    case Excuse::bar:
      return compared && c.difference->error <= e.bar;
    case Excuse::single:
      return c.single && (e.kind.empty() || c.sample->tagged(std::string(e.kind)));
    case Excuse::program:
      return c.program;
    case Excuse::sample:
      break;
  }
  return true;
}

}  // namespace

bool ExceptionTable::forgives(const Case& c) {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const Exception& e = all_[i];
    if (e.op != c.op || (!e.sample.empty() && e.sample != c.sample->id)) continue;
    if (!covers(e, c)) continue;
    users_[i].insert(c.sample->id);
    return true;
  }
  return false;
}

}  // namespace xtape::conformance
