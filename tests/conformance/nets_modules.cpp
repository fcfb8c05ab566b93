#include <cmath>
#include <stdexcept>

#include "nets.hpp"

// Networks of the corpus as modules of nn/, most of them from texts.
namespace xtape::conformance {
namespace {

using Results = std::map<std::string, Var>;
using Shapes = std::map<std::string, Shape>;
using Made = std::shared_ptr<const nn::Module>;

std::string extents(const Shape& s) {
  std::string out;
  for (int i = 1; i < s.rank(); ++i) out += (i > 1 ? "x" : "") + std::to_string(s[i]);
  return out;
}

Made from_text(const std::string& text, DType dtype) {
  return nn::parse_network(text, {.dense = {.dtype = dtype}}).graph;
}

// --- recurrent -----------------------------------------------------------------------------------

template <class Cell>
ModuleNet recurrent(std::int64_t layers, bool batch_first) {
  ModuleNet net;
  net.make = [=](const Shapes& s, DType dtype) -> Made {
    return std::make_shared<Cell>(
        nn::infer, s.at("h0")[2],
        nn::RecurrentOptions{.layers = layers, .batch_first = batch_first, .dtype = dtype});
  };
  net.run = [](const nn::Module& m, const Call& c) {
    const nn::RecurrentState initial{c.operand("h0"), c.has("c0") ? c.operand("c0") : Var()};
    const auto r = dynamic_cast<const nn::Recurrent&>(m).run(c.operand("x"), initial);
    return Results{
        {"output/output", r.output}, {"output/h_n", r.state.h}, {"output/c_n", r.state.c}};
  };
  return net;
}

// --- convolutional -------------------------------------------------------------------------------

ModuleNet classifier(std::string layers, double smoothing) {
  ModuleNet net;
  net.make = [layers = std::move(layers)](const Shapes& s, DType dtype) {
    return from_text("x = input:" + extents(s.at("x")) + "\n" + layers, dtype);
  };
  net.run = [smoothing](const nn::Module& m, const Call& c) {
    const Var logits = m(c.operand("x"));
    const Var loss = nn::cross_entropy(logits, c.operand("label"), {.label_smoothing = smoothing});
    return Results{{"output/logits", logits}, {"loss/loss", loss}};
  };
  return net;
}

// Ten steps with momentum: the losses before each and after the last.
std::map<std::string, Tensor> momentum(const nn::Module& m, const std::function<Var(Tape&)>& loss) {
  optim::SGD sgd(m.parameters(), {.learning_rate = 0.05, .momentum = 0.9});
  std::vector<double> losses;
  for (int k = 0;; ++k) {
    Tape tape;
    const Var l = loss(tape);
    losses.push_back(l.item());
    if (k == 10) return {{"sgd_loss", Tensor::from(losses)}};
    sgd.step(tape.gradient(l, m.parameters()));
  }
}

ModuleNet lenet() {
  ModuleNet net = classifier(
      "conv1 = conv2d:6:5:padding=2 (x)\n"
      "r1 = relu (conv1)\n"
      "p1 = maxpool2d:2 (r1)\n"
      "conv2 = conv2d:16:5 (p1)\n"
      "r2 = relu (conv2)\n"
      "p2 = maxpool2d:2 (r2)\n"
      "f = flatten (p2)\n"
      "fc1 = dense:120 (f)\n"
      "r3 = relu (fc1)\n"
      "fc2 = dense:84 (r3)\n"
      "r4 = relu (fc2)\n"
      "fc3 = dense:10 (r4)\n",
      0);
  net.train = momentum;
  return net;
}

ModuleNet residual(const std::string& channels) {
  return classifier("conv1 = conv2d:" + channels + ":3:stride=2:padding=1:nobias (x)\n" +
                        "n1 = batchnorm2d (conv1)\n"
                        "r1 = relu (n1)\n" +
                        "conv2 = conv2d:" + channels + ":3:padding=1:nobias (r1)\n" +
                        "n2 = batchnorm2d (conv2)\n" + "skip = conv2d:" + channels +
                        ":1:stride=2:nobias (x)\n" +
                        "sum = add (n2, skip)\n"
                        "r2 = relu (sum)\n"
                        "pool = adaptiveavgpool2d:1 (r2)\n"
                        "flat = flatten (pool)\n"
                        "fc = dense:3 (flat)\n",
                    0.1);
}

// --- attention, embedding ------------------------------------------------------------------------

ModuleNet attention_block() {
  ModuleNet net;
  net.make = [](const Shapes& s, DType dtype) {
    return from_text("x = input:" + extents(s.at("x")) +
                         "\nln1 = layernorm (x)\n"
                         "attn = attention:2:causal (ln1)\n"
                         "z = add (x, attn)\n"
                         "ln2 = layernorm (z)\n"
                         "ff1 = dense:32 (ln2)\n"
                         "g = gelu (ff1)\n"
                         "ff2 = dense:8 (g)\n"
                         "y = add (z, ff2)\n",
                     dtype);
  };
  net.run = [](const nn::Module& m, const Call& c) {
    const auto& graph = dynamic_cast<const nn::Graph&>(m);
    const Var x = c.operand("x"), n = (*graph.node("ln1"))(x);
    const auto attn = std::dynamic_pointer_cast<nn::MultiheadAttention>(graph.node("attn"));
    return Results{{"output/y", m(x)},
                   {"intermediate/attention_weights", attn->attend(n, n, n).weights}};
  };
  return net;
}

// Adam (Kingma and Ba, 2015), 20 steps.
std::map<std::string, Tensor> adam(const nn::Module& net, const std::function<Var(Tape&)>& loss) {
  const double rate = 0.05, b1 = 0.9, b2 = 0.999, eps = 1e-8;
  Parameters p = net.parameters();
  std::vector<Var> m, v;
  for (const Parameter& q : p) m.emplace_back(Tensor::zeros(q.shape(), q.dtype()));
  v = m;
  std::vector<double> losses;
  for (int t = 1; t <= 21; ++t) {
    Tape tape;
    const Var l = loss(tape);
    losses.push_back(l.item());
    if (t == 21) break;
    const Tensors g = tape.gradient(l, p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      m[i] = b1 * m[i] + (1 - b1) * Var(g[i]);
      v[i] = b2 * v[i] + (1 - b2) * square(g[i]);
      const Var slow = sqrt(v[i]) / std::sqrt(1 - std::pow(b2, t)) + eps;
      p[i].assign((p[i].value() - rate / (1 - std::pow(b1, t)) * m[i] / slow).value());
    }
  }
  const std::string after = "param_after_20_adam_steps/";
  return {{"adam_loss", Tensor::from(losses)},
          {after + "emb", p[0].value()},
          {after + "W", p[1].value()},
          {after + "b", p[2].value()}};
}

ModuleNet embedding_classifier() {
  ModuleNet net;
  net.make = [](const Shapes& s, DType dtype) {
    const Shape &emb = s.at("emb"), &w = s.at("W");
    return from_text("ids = input:" + extents(s.at("ids")) + "\nemb = embedding:" +
                         std::to_string(emb[0]) + ":" + std::to_string(emb[1]) +
                         ":padding_idx=0 (ids)\n"
                         "m = mean:1 (emb)\n"
                         "t = tanh (m)\n"
                         "fc = dense:" +
                         std::to_string(w[0]) + " (t)\n",
                     dtype);
  };
  net.run = [](const nn::Module& m, const Call& c) {
    const Var logits = m(c.operand("ids"));
    const Var weight = c.operand("class_weight");
    const Var loss = nn::cross_entropy(logits, c.operand("label"), {.weight = weight});
    return Results{{"output/logits", logits}, {"loss/loss", loss}};
  };
  net.renamed = {{"emb", "emb.weight"}, {"W", "fc.weight"}, {"b", "fc.bias"}};
  net.train = adam;
  return net;
}

// --- evaluation ----------------------------------------------------------------------------------

Tensor as(const Tensor& t, DType dtype) { return is_floating(t.dtype()) ? t.to(dtype) : t; }

// One network with one sample in one dtype.
class Evaluation {
 public:
  Evaluation(const ModuleNet& net, const Sample& sample, const std::vector<std::string>& results,
             DType dtype)
      : net_(net), s_(sample), results_(results), dtype_(dtype) {
    Shapes shapes;
    for (const auto& [name, value] : s_.params.items()) {
      const std::size_t i = value.at("$t");
      shapes[name] = s_.inputs[i].shape();
    }
    module_ = net.make(shapes, dtype);
    build(shapes.at(shapes.count("x") ? "x" : "ids"));
    targets_.resize(s_.inputs.size());
    for (const auto& [name, value] : s_.params.items()) targets_[value.at("$t")] = find(name);
  }

  Computed run(bool program) {
    load();
    std::vector<Tensor> all = program ? run_program() : run_eager();
    const std::map<std::string, Tensor> trained = train();
    Computed out;
    std::size_t at = 0;
    for (const std::string& name : results_) {
      if (const auto t = trained.find(name); t != trained.end()) {
        out.outputs.push_back(as(t->second, dtype_));
      } else if (name.rfind("buffers_after/", 0) == 0) {
        out.outputs.push_back(buffers_.at(name.substr(name.find('/') + 1)));
      } else {
        out.outputs.push_back(all.at(at++));
      }
    }
    out.gradients.assign(all.begin() + static_cast<std::ptrdiff_t>(at), all.end());
    return out;
  }

 private:
  void build(const Shape& x) const {
    if (module_->parameters()[0].has_value()) return;  // texts are
    module_->build(x);
  }

  static bool is(const Parameter& p, const std::string& name) {
    const std::string& path = p.name();
    return path == name ||
           (path.size() > name.size() &&
            path.compare(path.size() - name.size() - 1, std::string::npos, "." + name) == 0);
  }

  // The parameter or buffer that an argument of the sample is, or an empty one.
  Parameter find(const std::string& argument) const {
    const std::string before = "buffers_before/";
    const bool buffer = argument.rfind(before, 0) == 0;
    const auto other = net_.renamed.find(argument);
    const std::string name = buffer                        ? argument.substr(before.size())
                             : other != net_.renamed.end() ? other->second
                                                           : argument;
    for (const Parameter& p : buffer ? module_->buffers() : module_->parameters()) {
      if (is(p, name)) return p;
    }
    return {};
  }

  void load() {
    std::size_t loaded = 0;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (!targets_[i].defined()) continue;
      targets_[i].assign(as(s_.inputs[i], dtype_));
      ++loaded;
    }
    if (loaded < module_->parameters().size()) throw std::runtime_error("parameters left over");
  }

  std::vector<Tensor> arguments() const {
    std::vector<Tensor> out;
    for (const Tensor& t : s_.inputs) out.push_back(as(t, dtype_));
    for (const Slot& ct : s_.cotangents) out.push_back(as(ct.value, dtype_));
    return out;
  }

  // Recorded results, then gradients.
  std::vector<Var> record(std::span<const Var> in) const {
    const Results r = net_.run(*module_, Call(s_.params, in.first(s_.inputs.size())));
    std::vector<Var> out;
    Var total;
    for (std::size_t i = 0; i < results_.size(); ++i) {
      const auto it = r.find(results_[i]);
      if (it == r.end()) continue;
      out.push_back(it->second);
      for (std::size_t k = 0; k < s_.cotangents.size(); ++k) {
        if (s_.cotangents[k].place != i) continue;
        const Var term = sum(it->second * in[s_.inputs.size() + k]);
        total = total.defined() ? total + term : term;
      }
    }
    std::vector<Var> targets;
    for (const Slot& g : s_.gradients) {
      const Parameter& p = targets_[g.place];
      targets.push_back(p.defined() ? Var(p) : in[g.place]);
    }
    const std::vector<Var> g = gradient(total, targets);
    out.insert(out.end(), g.begin(), g.end());
    return out;
  }

  std::vector<Tensor> run_eager() {
    Tape tape;
    std::vector<Var> in;
    for (const Tensor& t : arguments()) {
      in.push_back(is_floating(t.dtype()) ? tape.variable(t) : tape.input(t));
    }
    std::vector<Tensor> out;
    for (const Var& v : record(in)) out.push_back(v.value());
    keep_buffers();
    return out;
  }

  // The second run reads what the first one left in the memory of the program.
  std::vector<Tensor> run_program() {
    const std::vector<Tensor> in = arguments();
    std::vector<Spec> specs;
    for (const Tensor& t : in) specs.push_back(t.spec());
    Program p = compile([&](std::span<const Var> v) { return record(v); }, specs);
    p.run(in);
    load();
    const std::vector<Tensor> out = p.run(in);
    keep_buffers();
    return out;
  }

  void keep_buffers() {
    for (const Parameter& b : module_->buffers()) {
      buffers_[b.name().substr(b.name()[0] == '0' ? 2 : 0)] = b.value().clone();
    }
  }

  std::map<std::string, Tensor> train() const {
    if (!net_.train) return {};
    return net_.train(*module_, [&](Tape& tape) {
      std::vector<Var> in;
      for (const Tensor& t : s_.inputs) in.push_back(tape.input(as(t, dtype_)));
      return net_.run(*module_, Call(s_.params, in)).at("loss/loss");
    });
  }

  const ModuleNet& net_;
  const Sample& s_;
  const std::vector<std::string>& results_;
  DType dtype_;
  Made module_;
  std::vector<Parameter> targets_;  // by input of the sample, empty for those of the network
  std::map<std::string, Tensor> buffers_;
};

}  // namespace

Computed evaluate_module(const ModuleNet& net, const Sample& sample,
                         const std::vector<std::string>& results, DType dtype, bool program) {
  return Evaluation(net, sample, results, dtype).run(program);
}

void add_modules(ModuleNets& nets) {
  nets["rnn_tanh"] = recurrent<nn::RNN>(1, false);
  nets["gru_1layer"] = recurrent<nn::GRU>(1, false);
  nets["lstm_1layer"] = recurrent<nn::LSTM>(1, false);
  nets["lstm_2layer_batch_first"] = recurrent<nn::LSTM>(2, true);
  nets["lenet_relu_maxpool"] = lenet();
  nets["resblock_batchnorm"] = residual("4");
  nets["attention_block_preln_causal"] = attention_block();
  nets["embedding_classifier"] = embedding_classifier();
}

}  // namespace xtape::conformance
