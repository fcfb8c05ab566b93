#include <algorithm>
#include <cmath>
#include <memory>

#include "nets.hpp"

// Trajectories of optimizers on two small problems.
namespace xtape::conformance {
namespace {

using nlohmann::json;

constexpr double kBar = 1e-10;
constexpr double kSensitivities = 100;  // times what a change of 1e-13 of the start does

// The two functions, of a vector or of a vector and a number.
struct Problem {
  bool rosenbrock;
  double sign;
  Tensor a, b;

  Var loss(std::span<const Var> p) const {
    if (rosenbrock) {
      const Var x = slice(p[0], 0, {0, 1}), y = slice(p[0], 0, {1, 2});
      return sign * sum(square(1 - x) + 100 * square(y - square(x)));
    }
    const Var fit = sum(Var(a) * p[0], -1) + p[1];
    return sign * 0.5 * mean(square(fit - b));
  }
};

// SGD objects, one for each group of parameters.
class Descent {
 public:
  Descent(const json& item, const Parameters& p) {
    const json whole = {{{"params", p.size() == 1 ? json{0} : json{0, 1}}}};
    for (const json& group : item.contains("groups") ? item["groups"] : whole) {
      json h = item["hyper"];
      h.update(group);
      Parameters members;
      indices_.emplace_back();
      for (const json& i : group["params"]) {
        members.push_back(p[i.get<std::size_t>()]);
        indices_.back().push_back(i);
      }
      const optim::SGDOptions options{.learning_rate = h.value("lr", item["lr"].get<double>()),
                                      .momentum = h.value("momentum", 0.0),
                                      .dampening = h.value("dampening", 0.0),
                                      .weight_decay = h.value("weight_decay", 0.0),
                                      .nesterov = h.value("nesterov", false)};
      parts_.push_back(std::make_unique<optim::SGD>(members, options));
    }
    maximize_ = item["hyper"].value("maximize", false);
  }

  void rate(double r) {
    if (parts_.size() == 1) parts_[0]->set_learning_rate(r);
  }

  void step(const std::vector<Tensor>& gradients) {
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      std::vector<Tensor> own;
      for (const std::size_t i : indices_[k]) {
        own.push_back(maximize_ ? negative(gradients[i]).value() : gradients[i]);
      }
      parts_[k]->step(own);
    }
  }

 private:
  std::vector<std::unique_ptr<optim::SGD>> parts_;
  std::vector<std::vector<std::size_t>> indices_;
  bool maximize_ = false;
};

void clip(const json& item, std::vector<Tensor>& g) {
  if (item.contains("clip_norm")) {
    double square_sum = 0;
    for (const Tensor& t : g) square_sum += sum(square(t)).item();
    const double scale =
        std::min(1.0, item["clip_norm"].get<double>() / (std::sqrt(square_sum) + 1e-6));
    for (Tensor& t : g) t = (Var(t) * scale).value();
  }
  if (item.contains("clip_value")) {
    const double c = item["clip_value"];
    for (Tensor& t : g) t = clamp(t, -c, c).value();
  }
}

// All parameters as one vector.
Tensor joined(std::span<const Var> p) {
  std::vector<Var> parts;
  for (const Var& v : p) parts.push_back(reshape(no_grad(v), {v.value().size()}));
  return concat(parts).value();
}

Tensor row(const Tensor& t, std::int64_t k) {
  return slice(t, 0, {k, k + 1}).value().reshape({t.shape()[1]});
}

void expect(std::vector<Failure>& out, const std::string& where, const Tensor& got,
            const Tensor& reference, double bar) {
  const Difference d = compare(got, reference, {bar, bar});
  if (!d.ok() && out.empty()) out.push_back({where, d.broken + d.first, d.error});
}

std::vector<Failure> run_sgd(const Item& all, const json& item, Row& result) {
  const json& tensors = item["data"];
  const json& start = all.manifest["problems"][item["problem"].get<std::string>()]["params"];
  Parameters p;
  for (const json& v : start) {
    const json& init = v["init"];
    p.emplace_back(init.is_number() ? Tensor::scalar(init.get<double>())
                                    : Tensor::from(init.get<std::vector<double>>()),
                   "p" + std::to_string(p.size()));
  }
  const Problem problem{item["problem"] == "rosenbrock", item["sign"],
                        all.tensor("least_squares.A"), all.tensor("least_squares.b")};
  Descent descent(item, p);
  const Tensor &x = all.tensor(tensors["x"]), &loss = all.tensor(tensors["loss"]),
               &grad = all.tensor(tensors["grad"]), &rate = all.tensor(tensors["lr"]);
  const double bar = std::max(kBar, kSensitivities * item.value("sensitivity_1e-13", 0.0));
  std::vector<Failure> out;
  for (std::int64_t k = 0; k < x.shape()[0]; ++k) {
    Tape tape;
    std::vector<Var> now;
    for (const Parameter& q : p) now.push_back(tape.parameter(q));
    const Var y = problem.loss(now);
    const std::string where = "step " + std::to_string(k) + ": ";
    const Tensor at = joined(now);
    result.worst.value = std::max(result.worst.value, compare(at, row(x, k), {}).error);
    expect(out, where + "parameters", at, row(x, k), bar);
    expect(out, where + "loss", y.value(), Tensor::scalar(loss.flat(k)), bar);
    if (k + 1 == x.shape()[0]) break;
    std::vector<Tensor> g = y.tape()->gradient(y, p);
    std::vector<Var> taken(g.begin(), g.end());
    expect(out, where + "gradient", joined(taken), row(grad, k), 100 * bar);
    clip(item, g);
    descent.rate(rate.flat(k));
    descent.step(g);
  }
  return out;
}

std::string name_of(const json& item) {
  const std::string scheduler =
      item.contains("scheduler") ? item["scheduler"]["name"].get<std::string>() : "";
  if (item["kind"] == "lr_table") return scheduler + " (table)";
  const std::string name = item["optimizer"];
  return scheduler.empty() ? name : name + " with " + scheduler;
}

}  // namespace

std::vector<Row> run_optimizers(const std::string& folder) {
  const Item all = read_item(folder + "/optim");
  std::map<std::string, Row> rows;
  for (const json& item : all.manifest.at("items")) {
    const std::string name = name_of(item);
    Row& row =
        rows.try_emplace(name, Row{"optim", name, "optim", 0, 0, 0, 0, {}, {}}).first->second;
    ++row.samples;
    if (name != "SGD") {
      ++row.missing;
      continue;
    }
    const auto failures = run_sgd(all, item, row);
    ++(failures.empty() ? row.passed : row.failed);
    if (!failures.empty()) row.failures.push_back({item["id"], item["hyper"], failures});
  }
  std::vector<Row> out;
  for (auto& [name, row] : rows) out.push_back(std::move(row));
  return out;
}

}  // namespace xtape::conformance
