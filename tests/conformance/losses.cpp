#include <stdexcept>

#include "adapters.hpp"

namespace xtape::conformance {
namespace {

Reduction reduction(const Call& c) {
  const std::string r = c.text("reduction", "mean");
  if (r == "mean") return Reduction::mean;
  if (r == "sum") return Reduction::sum;
  if (r == "none") return Reduction::none;
  if (r == "batchmean") return Reduction::batchmean;
  throw std::invalid_argument("reduction " + r);
}

Shape common(const Var& a, const Var& b) { return broadcast("loss", a.shape(), b.shape()); }

// Input and target under their common shape: in xtape they must agree.
struct Pair {
  Var y, t;
  explicit Pair(const Call& c) : y(c.operand("input")), t(c.operand("target")) {
    if (t.shape() == y.shape()) return;
    const Shape shape = common(y, t);
    y = broadcast_to(y, shape);
    t = broadcast_to(t, shape);
  }
};

using Plain = Var (*)(const Var&, const Var&, Reduction);
Adapter plain(Plain f) {
  return [f](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{f(p.y, p.t, reduction(c))};
  };
}

void add_numbers(Adapters& a) {
  a["nn.functional.mse_loss"] = plain(mse_loss);
  a["nn.functional.l1_loss"] = plain(l1_loss);
  a["nn.functional.soft_margin_loss"] = plain(soft_margin_loss);
  a["nn.functional.huber_loss"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{huber_loss(p.y, p.t, {reduction(c), c.number("delta", 1)})};
  };
  a["nn.functional.smooth_l1_loss"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{smooth_l1_loss(p.y, p.t, {reduction(c), c.number("beta", 1)})};
  };
  a["nn.functional.poisson_nll_loss"] = [](const Call& c) {
    const Pair p(c);
    const PoissonNllOptions o{reduction(c), c.flag("log_input", true), c.flag("full"),
                              c.number("eps", 1e-8)};
    return std::vector<Var>{poisson_nll_loss(p.y, p.t, o)};
  };
  a["nn.functional.gaussian_nll_loss"] = [](const Call& c) {
    const Pair p(c);
    const Shape& shape = c.operand("input").shape();
    Var v = c.operand("var");
    // Without the last axis it is one variance for each row.
    if (v.shape() != shape && v.rank() + 1 == shape.rank()) {
      Shape column = v.shape();
      column.push_back(1);
      v = reshape(v, column);
    }
    const GaussianNllOptions o{reduction(c), c.flag("full"), c.number("eps", 1e-6)};
    return std::vector<Var>{gaussian_nll_loss(p.y, p.t, v, o)};
  };
}

void add_probabilities(Adapters& a) {
  a["nn.functional.binary_cross_entropy"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{
        binary_cross_entropy(p.y, p.t, {reduction(c), c.operand("weight", Var())})};
  };
  a["nn.functional.binary_cross_entropy_with_logits"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{binary_cross_entropy_with_logits(
        p.y, p.t, {reduction(c), c.operand("weight", Var()), c.operand("pos_weight", Var())})};
  };
  a["nn.functional.kl_div"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{kl_div(p.y, p.t, {reduction(c), c.flag("log_target")})};
  };
  // The classes lie on axis 1, or on the only one.
  a["nn.functional.nll_loss"] = [](const Call& c) {
    const Var y = c.operand("input");
    return std::vector<Var>{nll_loss(y, c.operand("target"),
                                     {reduction(c), c.operand("weight", Var()),
                                      c.integer("ignore_index", -100), y.rank() > 1 ? 1 : 0})};
  };
  a["nn.functional.cross_entropy"] = [](const Call& c) {
    const Var z = c.operand("input");
    return std::vector<Var>{
        cross_entropy(z, c.operand("target"),
                      {reduction(c), c.operand("weight", Var()), c.integer("ignore_index", -100),
                       c.number("label_smoothing"), z.rank() > 1 ? 1 : 0})};
  };
  a["nn.functional.ctc_loss"] = [](const Call& c) {
    return std::vector<Var>{ctc_loss(log_softmax(c.operand("logits")), c.operand("targets"),
                                     c.operand("input_lengths"), c.operand("target_lengths"),
                                     {reduction(c), c.integer("blank"), c.flag("zero_infinity")})};
  };
}

void add_margins(Adapters& a) {
  a["nn.functional.hinge_embedding_loss"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{hinge_embedding_loss(p.y, p.t, {reduction(c), c.number("margin", 1)})};
  };
  a["nn.functional.margin_ranking_loss"] = [](const Call& c) {
    return std::vector<Var>{margin_ranking_loss(c.operand("input1"), c.operand("input2"),
                                                c.operand("target"),
                                                {reduction(c), c.number("margin")})};
  };
  a["nn.functional.cosine_embedding_loss"] = [](const Call& c) {
    return std::vector<Var>{cosine_embedding_loss(c.operand("input1"), c.operand("input2"),
                                                  c.operand("target"),
                                                  {reduction(c), c.number("margin")})};
  };
  a["nn.functional.triplet_margin_loss"] = [](const Call& c) {
    const TripletOptions o{reduction(c), c.number("margin", 1), c.number("p", 2),
                           c.number("eps", 1e-6), c.flag("swap")};
    return std::vector<Var>{
        triplet_margin_loss(c.operand("anchor"), c.operand("positive"), c.operand("negative"), o)};
  };
  a["nn.functional.multi_margin_loss"] = [](const Call& c) {
    Var y = c.operand("input"), t = c.operand("target");
    if (y.rank() == 0) y = reshape(y, {1});
    if (y.rank() == 1) t = reshape(t, {});
    const MultiMarginOptions o{reduction(c), static_cast<int>(c.integer("p", 1)),
                               c.number("margin", 1), c.operand("weight", Var())};
    return std::vector<Var>{multi_margin_loss(y, t, o)};
  };
  a["nn.functional.multilabel_margin_loss"] = [](const Call& c) {
    const Var y = c.operand("input"), t = c.operand("target");
    const bool number = y.rank() == 0;
    return std::vector<Var>{multilabel_margin_loss(number ? reshape(y, {1}) : y,
                                                   number ? reshape(t, {1}) : t, reduction(c))};
  };
  a["nn.functional.multilabel_soft_margin_loss"] = [](const Call& c) {
    const Pair p(c);
    return std::vector<Var>{
        multilabel_soft_margin_loss(p.y, p.t, {reduction(c), c.operand("weight", Var())})};
  };
}

}  // namespace

void add_losses(Adapters& a) {
  add_numbers(a);
  add_probabilities(a);
  add_margins(a);
  add_normalization(a);
}

}  // namespace xtape::conformance
