#include <optional>
#include <stdexcept>

#include "adapters.hpp"

namespace xtape::conformance {
namespace {

NormOptions norm_options(const Call& c) {
  return {c.operand("weight", Var()), c.operand("bias", Var()), c.number("eps", 1e-5)};
}

// The value and, where they change, the running statistics.
Adapter channels(BatchNorm (*f)(const Var&, const BatchNormOptions&), const char* training,
                 bool otherwise) {
  return [=](const Call& c) {
    BatchNormOptions o{c.operand("weight", Var()),
                       c.operand("bias", Var()),
                       c.operand("running_mean", Var()),
                       c.operand("running_var", Var()),
                       c.flag(training, otherwise),
                       c.number("momentum", 0.1),
                       c.number("eps", 1e-5)};
    const BatchNorm r = f(c.operand("input"), o);
    std::vector<Var> out{r.y};
    if (o.training && o.momentum != 0 && c.operand("input").size() > 0) {
      if (r.running_mean.defined()) out.push_back(r.running_mean);
      if (r.running_var.defined()) out.push_back(r.running_var);
    }
    return out;
  };
}

std::optional<std::int64_t> padding(const Call& c) {
  if (!c.has("padding_idx")) return {};
  return c.integer("padding_idx");
}

Bag bag_mode(const std::string& mode) {
  if (mode == "sum") return Bag::sum;
  if (mode == "mean") return Bag::mean;
  if (mode == "max") return Bag::max;
  throw std::invalid_argument("mode " + mode);
}

void add_norms(Adapters& a) {
  a["nn.functional.batch_norm"] = channels(batch_norm, "training", false);
  a["nn.functional.instance_norm"] = channels(instance_norm, "use_input_stats", true);
  a["nn.functional.layer_norm"] = [](const Call& c) {
    return std::vector<Var>{
        layer_norm(c.operand("input"), c.shape("normalized_shape"), norm_options(c))};
  };
  a["nn.functional.group_norm"] = [](const Call& c) {
    return std::vector<Var>{
        group_norm(c.operand("input"), c.integer("num_groups"), norm_options(c))};
  };
  a["nn.functional.normalize"] = [](const Call& c) {
    return std::vector<Var>{normalize(c.operand("input"), c.number("p", 2), c.integer("dim", 1),
                                      c.number("eps", 1e-12))};
  };
  a["nn.functional.local_response_norm"] = [](const Call& c) {
    return std::vector<Var>{
        local_response_norm(c.operand("input"), c.integer("size"),
                            {c.number("alpha", 1e-4), c.number("beta", 0.75), c.number("k", 1)})};
  };
  a["renorm"] = [](const Call& c) {
    return std::vector<Var>{
        renorm(c.operand("input"), c.number("p"), c.integer("dim"), c.number("maxnorm"))};
  };
}

void add_tables(Adapters& a) {
  a["nn.functional.embedding"] = [](const Call& c) {
    return std::vector<Var>{embedding(c.operand("input"), c.operand("weight"),
                                      {padding(c), c.flag("scale_grad_by_freq")})};
  };
  a["nn.functional.embedding_bag"] = [](const Call& c) {
    const EmbeddingBagOptions o{bag_mode(c.text("mode", "mean")), c.operand("offsets", Var()),
                                c.operand("per_sample_weights", Var()), padding(c),
                                c.flag("include_last_offset")};
    return std::vector<Var>{embedding_bag(c.operand("input"), c.operand("weight"), o)};
  };
  a["nn.functional._scaled_dot_product_attention"] = [](const Call& c) {
    return std::vector<Var>{
        scaled_dot_product_attention(
            c.operand("query"), c.operand("key"), c.operand("value"),
            {.mask = c.operand("attn_mask", Var()), .causal = c.flag("is_causal")})
            .output};
  };
  // The deterministic cases: nothing or everything is dropped.
  a["nn.functional.dropout"] = [](const Call& c) {
    const Var x = c.operand("input");
    const double p = c.number("p", 0.5);
    if (!c.flag("training", true)) return std::vector<Var>{x + 0};
    if (p == 1) return std::vector<Var>{x * 0};
    Generator g;
    return std::vector<Var>{dropout(x, p, g)};
  };
}

}  // namespace

void add_normalization(Adapters& a) {
  add_norms(a);
  add_tables(a);
}

}  // namespace xtape::conformance
