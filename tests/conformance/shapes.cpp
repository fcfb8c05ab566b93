#include "adapters.hpp"

// Families of the corpus: shape, index, and diff.
namespace xtape::conformance {

void add_indexing(Adapters& a);

namespace {

using List = std::vector<Var>;

// All tensors of a variadic call: arg0, arg1, ….
List variadic(const Call& c) {
  List out;
  for (std::size_t i = 0; c.has("arg" + std::to_string(i)); ++i) {
    out.push_back(c.operand("arg" + std::to_string(i)));
  }
  return out;
}

// The function of each of the operands; one result where the call has a single one.
Adapter each(Var (*f)(const Var&)) {
  return [f](const Call& c) {
    List out;
    if (c.has("input")) return List{f(c.operand("input"))};
    const bool list = c.raw("arg0").is_array();
    for (const Var& x : list ? c.operands("arg0") : variadic(c)) out.push_back(f(x));
    return out;
  };
}

// PyTorch joins a vector of no elements with anything.
Var cat(const List& xs, std::int64_t axis) {
  List parts;
  for (const Var& x : xs) {
    if (x.shape() != Shape{0}) parts.push_back(x);
  }
  return parts.empty() ? concat(xs, axis) : concat(parts, axis);
}

Shape size_of_call(const Call& c) {
  if (c.has("size")) return c.shape("size");
  if (!c.has("arg1")) return {};
  if (c.raw("arg1").is_array()) return c.shape("arg1");
  Shape out;
  for (std::size_t i = 1; c.has("arg" + std::to_string(i)); ++i) {
    out.push_back(c.integer("arg" + std::to_string(i)));
  }
  return out;
}

// The list of pads speaks of the last axis first.
Var pad_by(const Call& c) {
  const Var x = c.operand("input");
  const auto list = c.integers("pad");
  std::vector<Pad> pads;
  Axes axes;
  for (std::size_t i = 0; i + 1 < list.size(); i += 2) {
    pads.push_back({list[i], list[i + 1]});
    axes.push_back(x.rank() - 1 - static_cast<std::int64_t>(i / 2));
  }
  const std::string mode = c.text("mode", "constant");
  const Padding kind = mode == "reflect"     ? Padding::reflect
                       : mode == "replicate" ? Padding::replicate
                       : mode == "circular"  ? Padding::circular
                                             : Padding::constant;
  return pad(x, pads, axes, kind, c.number("value", 0));
}

std::vector<std::int64_t> numbers(const Var& t) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    out.push_back(static_cast<std::int64_t>(t.value().flat(i)));
  }
  return out;
}

List tensor_split_by(const Call& c) {
  const Var x = c.operand("input");
  const std::int64_t axis = c.integer("dim", 0);
  const auto& where = c.raw("indices_or_sections");
  if (where.is_number()) return tensor_split(x, where.get<std::int64_t>(), axis);
  if (where.is_array()) return tensor_split(x, c.integers("indices_or_sections"), axis);
  const Var at = c.operand("indices_or_sections");
  return at.rank() == 0 ? tensor_split(x, numbers(at)[0], axis)
                        : tensor_split(x, numbers(at), axis);
}

List split_by(const Call& c, const std::string& sizes) {
  const Var x = c.operand("input");
  const std::int64_t axis = c.integer("dim", 0);
  return c.raw(sizes).is_array() ? split(x, c.integers(sizes), axis)
                                 : split(x, c.integer(sizes), axis);
}

void add_axes(Adapters& a) {
  a["atleast_1d"] = each(atleast_1d);
  a["atleast_2d"] = each(atleast_2d);
  a["ravel"] = each(ravel);
  a["mT"] = each(mT);
  a["t"] = each(t);
  a["reshape"] = [](const Call& c) { return List{reshape(c.operand("input"), c.shape("shape"))}; };
  a["view"] = [](const Call& c) { return List{reshape(c.operand("input"), c.shape("size"))}; };
  a["permute"] = [](const Call& c) { return List{permute(c.operand("input"), c.axes("dims"))}; };
  a["transpose"] = [](const Call& c) {
    const Var x = c.operand("input");
    return List{x.rank() == 0 ? x : swapaxes(x, c.integer("dim0"), c.integer("dim1"))};
  };
  a["movedim"] = [](const Call& c) {
    return List{movedim(c.operand("input"), c.axes("source"), c.axes("destination"))};
  };
  a["squeeze"] = [](const Call& c) {
    const Var x = c.operand("input");
    return List{x.rank() == 0 ? x : squeeze(x, c.axes("dim"))};
  };
  a["unsqueeze"] = [](const Call& c) {
    return List{unsqueeze(c.operand("input"), c.integer("dim"))};
  };
  a["flatten"] = [](const Call& c) {
    return List{flatten(c.operand("input"), c.integer("start_dim", 0), c.integer("end_dim", -1))};
  };
  a["unflatten"] = [](const Call& c) {
    return List{unflatten(c.operand("input"), c.integer("dim"), c.shape("sizes"))};
  };
  a["broadcast_to"] =
      a["expand"] = [](const Call& c) { return List{expand(c.operand("input"), c.shape("size"))}; };
  a["expand_as"] = [](const Call& c) {
    return List{broadcast_to(c.operand("input"), c.operand("other").shape())};
  };
  a["broadcast_tensors"] = [](const Call& c) { return broadcast_tensors(variadic(c)); };
  a["sum_to_size"] = [](const Call& c) {
    return List{
        sum_to_size(c.has("input") ? c.operand("input") : c.operand("arg0"), size_of_call(c))};
  };
}

void add_joining(Adapters& a) {
  a["cat"] = [](const Call& c) { return List{cat(c.operands("tensors"), c.integer("dim", 0))}; };
  a["stack"] = [](const Call& c) {
    return List{stack(c.operands("tensors"), c.integer("dim", 0))};
  };
  a["hstack"] = [](const Call& c) { return List{hstack(c.operands("tensors"))}; };
  a["vstack"] = [](const Call& c) { return List{vstack(c.operands("tensors"))}; };
  a["dstack"] = [](const Call& c) { return List{dstack(c.operands("tensors"))}; };
  a["column_stack"] = [](const Call& c) { return List{column_stack(c.operands("tensors"))}; };
  a["block_diag"] = [](const Call& c) { return List{block_diag(variadic(c))}; };
  a["split"] =
      a["split.list_args"] = [](const Call& c) { return split_by(c, "split_size_or_sections"); };
  a["split_with_sizes"] = [](const Call& c) { return split_by(c, "split_sizes"); };
  a["chunk"] = [](const Call& c) {
    return chunk(c.operand("input"), c.integer("chunks"), c.integer("dim", 0));
  };
  a["tensor_split"] = tensor_split_by;
  a["unbind"] = [](const Call& c) { return unbind(c.operand("input"), c.integer("dim", 0)); };
  a["meshgrid.variadic_tensors"] = [](const Call& c) {
    return meshgrid(variadic(c), c.text("indexing", "ij") == "xy");
  };
  a["tile"] = [](const Call& c) { return List{tile(c.operand("input"), c.shape("dims"))}; };
  a["repeat"] = [](const Call& c) { return List{tile(c.operand("input"), c.shape("sizes"))}; };
  a["repeat_interleave"] = [](const Call& c) {
    const Var x = c.operand("input");
    const Var along = c.has("dim") ? x : ravel(x);
    const std::int64_t axis = c.integer("dim", 0);
    const auto& n = c.raw("repeats");
    if (n.is_number()) return List{repeat_interleave(along, n.get<std::int64_t>(), axis)};
    std::vector<std::int64_t> each = numbers(c.operand("repeats"));
    if (each.size() == 1) return List{repeat_interleave(along, each[0], axis)};
    return List{repeat_interleave(along, each, axis)};
  };
}

void add_rearranging(Adapters& a) {
  a["flip"] = [](const Call& c) {
    const Axes axes = c.axes("dims");
    return List{axes.empty() ? clone(c.operand("input")) : flip(c.operand("input"), axes)};
  };
  a["fliplr"] = each(fliplr);
  a["flipud"] = each(flipud);
  a["rot90"] = [](const Call& c) {
    return List{
        rot90(c.operand("input"), c.integer("k", 1), c.has("dims") ? c.axes("dims") : Axes{0, 1})};
  };
  a["roll"] = [](const Call& c) {
    const Var x = c.operand("input");
    const Axes axes = c.axes("dims");
    if (axes.empty()) return List{reshape(roll(ravel(x), c.integers("shifts")), x.shape())};
    return List{roll(x, c.integers("shifts"), axes)};
  };
  a["unfold"] = [](const Call& c) {
    return List{
        unfold(c.operand("input"), c.integer("dimension"), c.integer("size"), c.integer("step"))};
  };
  a["nn.functional.pixel_shuffle"] = [](const Call& c) {
    return List{pixel_shuffle(c.operand("input"), c.integer("upscale_factor"))};
  };
  a["nn.functional.pixel_unshuffle"] = [](const Call& c) {
    return List{pixel_unshuffle(c.operand("input"), c.integer("downscale_factor"))};
  };
  for (const char* mode : {"circular", "constant", "reflect", "replicate"}) {
    a[std::string("nn.functional.pad.") + mode] = [](const Call& c) { return List{pad_by(c)}; };
  }
  a["diff"] = [](const Call& c) {
    const auto optional = [&](const char* name) { return c.has(name) ? c.operand(name) : Var(); };
    return List{diff(c.operand("input"), c.integer("n", 1), c.integer("dim", -1),
                     optional("prepend"), optional("append"))};
  };
}

void add_diagonals(Adapters& a) {
  a["tril"] = [](const Call& c) {
    return List{tril(c.operand("input"), c.integer("diagonal", 0))};
  };
  a["triu"] = [](const Call& c) {
    return List{triu(c.operand("input"), c.integer("diagonal", 0))};
  };
  a["diag"] = [](const Call& c) {
    return List{diag(c.operand("input"), c.integer("diagonal", 0))};
  };
  a["diagflat"] = [](const Call& c) {
    return List{diagflat(c.operand("input"), c.integer("offset", 0))};
  };
  a["diag_embed"] = [](const Call& c) {
    return List{diag_embed(c.operand("input"), c.integer("offset", 0), c.integer("dim1", -2),
                           c.integer("dim2", -1))};
  };
  a["diagonal"] = [](const Call& c) {
    return List{diagonal(c.operand("input"), c.integer("offset", 0), c.integer("dim1", 0),
                         c.integer("dim2", 1))};
  };
  a["trace"] = each(trace);
}

}  // namespace

void add_shapes(Adapters& a) {
  add_axes(a);
  add_joining(a);
  add_rearranging(a);
  add_diagonals(a);
  add_indexing(a);
}

}  // namespace xtape::conformance
