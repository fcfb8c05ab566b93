#include "adapters.hpp"

// The family index of the corpus.
namespace xtape::conformance {

void add_indexing(Adapters& a);

namespace {

using List = std::vector<Var>;

// Indices as i64; a number that is indexed counts as a vector of one.
struct Indexed {
  Var x, indices;
  Shape shape;  // of x
  explicit Indexed(const Call& c, const std::string& name = "index")
      : x(c.operand("input")), indices(cast(c.operand(name), i64)), shape(x.shape()) {
    if (!shape.empty()) return;
    x = reshape(x, {1});
    indices = reshape(indices, {indices.size()});
  }
  // What belongs to the indices, such as the source of a scatter.
  Var beside_indices(const Var& v) const {
    return shape.empty() && v.rank() == 0 ? reshape(v, {1}) : v;
  }
};

Var scattered(const Call& c) {
  const Indexed i(c);
  const Var src = c.operand(c.has("src") ? "src" : "value");
  const auto& json = c.raw(c.has("src") ? "src" : "value");
  const Var y = json.is_number() ? scatter(i.x, c.integer("dim"), i.indices, json.get<double>())
                                 : scatter(i.x, c.integer("dim"), i.indices, i.beside_indices(src));
  return reshape(y, i.shape);
}

Join join_of(const std::string& name) {
  if (name == "prod") return Join::prod;
  if (name == "mean") return Join::mean;
  if (name == "amax") return Join::amax;
  return name == "amin" ? Join::amin : Join::sum;
}

std::optional<std::int64_t> bound(const nlohmann::json& v) {
  if (v.is_null()) return {};
  return v.get<std::int64_t>();
}

// A list stands for a tensor, except around slices and the like.
IndexItem item_of(const Call& c, const nlohmann::json& v) {
  if (v.is_null()) return NewAxis{};
  if (v.is_number_integer()) return v.get<std::int64_t>();
  if (v.is_array()) return Var(Tensor::from(v.get<std::vector<std::int64_t>>()));
  if (v.contains("$ellipsis")) return Ellipsis{};
  if (v.contains("$slice")) {
    const auto& s = v["$slice"];
    return Slice{bound(s[0]), bound(s[1]), bound(s[2]).value_or(1)};
  }
  return c.value(v);
}

std::vector<IndexItem> items_of(const Call& c, const nlohmann::json& v) {
  const bool tuple = v.is_object() && v.contains("$tuple");
  bool several = tuple;
  for (const auto& part : tuple ? v["$tuple"] : v) {
    several |= v.is_array() && !part.is_number();
  }
  if (!several) return {item_of(c, v)};
  std::vector<IndexItem> out;
  for (const auto& part : tuple ? v["$tuple"] : v) out.push_back(item_of(c, part));
  return out;
}

void add_by_rows(Adapters& a) {
  a["index_select"] = [](const Call& c) {
    const Indexed i(c);
    return List{reshape(
        index_select(i.x, c.integer("dim"), i.indices),
        i.shape.empty() ? Shape{} : index_select(i.x, c.integer("dim"), i.indices).shape())};
  };
  a["index_add"] = [](const Call& c) {
    const Indexed i(c);
    return List{reshape(index_add(i.x, c.integer("dim"), i.indices,
                                  i.beside_indices(c.operand("source")), c.number("alpha", 1)),
                        i.shape)};
  };
  a["index_copy"] = [](const Call& c) {
    const Indexed i(c);
    return List{
        reshape(index_copy(i.x, c.integer("dim"), i.indices, i.beside_indices(c.operand("source"))),
                i.shape)};
  };
  a["index_fill"] = [](const Call& c) {
    const Indexed i(c);
    const auto& value = c.raw("value");
    const Var y = value.is_number()
                      ? index_fill(i.x, c.integer("dim"), i.indices, value.get<double>())
                      : index_fill(i.x, c.integer("dim"), i.indices, c.operand("value"));
    return List{reshape(y, i.shape)};
  };
}

void add_by_elements(Adapters& a) {
  a["gather"] = [](const Call& c) {
    const Indexed i(c);
    const Var y = gather(i.x, c.integer("dim"), i.indices);
    return List{i.shape.empty() ? reshape(y, c.operand("index").shape()) : y};
  };
  a["take"] = [](const Call& c) { return List{take(c.operand("input"), c.operand("index"))}; };
  a["take_along_dim"] = [](const Call& c) {
    const Var x = c.operand("input"), indices = c.operand("indices");
    if (!c.has("dim")) return List{take_along_axis(ravel(x), ravel(indices), 0)};
    return List{take_along_axis(x, indices, c.integer("dim"))};
  };
  a["scatter"] = [](const Call& c) { return List{scattered(c)}; };
  a["scatter_add"] = [](const Call& c) {
    const Indexed i(c);
    const Var src = i.beside_indices(c.operand("src"));
    return List{reshape(scatter_add(i.x, c.integer("dim"), i.indices, src), i.shape)};
  };
  for (const char* name : {"sum", "prod", "mean", "amax", "amin"}) {
    a[std::string("scatter_reduce.") + name] = [](const Call& c) {
      const Indexed i(c);
      const Var y =
          scatter_reduce(i.x, c.integer("dim"), i.indices, i.beside_indices(c.operand("src")),
                         join_of(c.text("reduce")), c.flag("include_self", true));
      return List{reshape(y, i.shape)};
    };
  }
  a["masked_select"] = [](const Call& c) {
    return List{masked_select(c.operand("input"), c.operand("mask"))};
  };
  a["masked_scatter"] = [](const Call& c) {
    return List{masked_scatter(c.operand("input"), c.operand("mask"), c.operand("source"))};
  };
}

void add_parts(Adapters& a) {
  a["narrow"] = [](const Call& c) {
    const Var x = c.operand("input");
    const auto& start = c.raw("start");
    const std::int64_t from = start.is_number()
                                  ? start.get<std::int64_t>()
                                  : static_cast<std::int64_t>(c.operand("start").item());
    return List{narrow(x, c.integer("dim"), from, c.integer("length"))};
  };
  a["select"] = [](const Call& c) {
    return List{select(c.operand("input"), c.integer("dim"), c.integer("index"))};
  };
  const auto slices = [](const Call& c, const Var& x) {
    const int axis = normalize_axis("slice", c.integer("dim", 0), x.shape());
    std::vector<Slice> out(static_cast<std::size_t>(axis) + 1);
    if (c.has("start")) out.back().start = c.integer("start");
    if (c.has("end")) out.back().stop = c.integer("end");
    out.back().step = c.integer("step", 1);
    return out;
  };
  a["slice"] = [slices](const Call& c) {
    const Var x = c.operand("input");
    return List{slice(x, slices(c, x))};
  };
  a["slice_scatter"] = [slices](const Call& c) {
    const Var x = c.operand("input");
    return List{slice_scatter(x, c.operand("src"), slices(c, x))};
  };
  a["select_scatter"] = [](const Call& c) {
    return List{
        select_scatter(c.operand("input"), c.operand("src"), c.integer("dim"), c.integer("index"))};
  };
  a["diagonal_scatter"] = [](const Call& c) {
    return List{diagonal_scatter(c.operand("input"), c.operand("src"), c.integer("offset", 0),
                                 c.integer("dim1", 0), c.integer("dim2", 1))};
  };
  a["__getitem__"] = [](const Call& c) {
    return List{index(c.operand("input"), items_of(c, c.raw("index")))};
  };
  a["index_put"] = [](const Call& c) {
    std::vector<IndexItem> items;
    for (const Var& i : c.operands("indices")) items.push_back(i);
    return List{index_put(c.operand("input"), items, c.operand("values"), c.flag("accumulate"))};
  };
}

}  // namespace

void add_indexing(Adapters& a) {
  add_by_rows(a);
  add_by_elements(a);
  add_parts(a);
}

}  // namespace xtape::conformance
