#include <algorithm>
#include <cmath>
#include <memory>

#include "nets.hpp"
#include "optimizer_items.hpp"

// Trajectories of optimizers on two small problems, and tables of learning rates.
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

std::vector<Var> clipped(const json& item, const std::vector<Var>& g) {
  if (item.contains("clip_norm")) return optim::clip_by_norm(g, item["clip_norm"]);
  if (item.contains("clip_value")) return optim::clip_by_value(g, item["clip_value"]);
  return g;
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

// One trajectory, either eagerly or as a program.
class Run {
 public:
  Run(const Item& all, const json& item, bool program, Row& row)
      : all_(all),
        item_(item),
        program_(program),
        row_(row),
        bar_(std::max(kBar, kSensitivities * item.value("sensitivity_1e-13", 0.0))),
        problem_{item["problem"] == "rosenbrock", item["sign"], all.tensor("least_squares.A"),
                 all.tensor("least_squares.b")} {
    for (const json& v : all.manifest["problems"][item["problem"].get<std::string>()]["params"]) {
      const json& init = v["init"];
      p_.emplace_back(init.is_number() ? Tensor::scalar(init.get<double>())
                                       : Tensor::from(init.get<std::vector<double>>()),
                      "p" + std::to_string(p_.size()));
    }
  }

  /// @returns false when there is no such optimizer.
  bool run() {
    const bool lbfgs = item_["optimizer"] == "LBFGS";
    optimizer_ = lbfgs ? nullptr : make_optimizer(item_, p_);
    if (!lbfgs && !optimizer_) return false;
    const Driver driver = make_driver(item_);
    const std::int64_t steps = data("x").shape()[0] - 1;
    const std::unique_ptr<optim::LBFGS> newton = lbfgs ? make_lbfgs() : nullptr;
    if (program_) compile_step(lbfgs);
    double metric = 0;
    for (std::int64_t k = 0; k <= steps; ++k) {
      step_ = "step " + std::to_string(k) + ": ";
      if (driver) driver(*optimizer_, k, metric);
      check_numbers(k);
      const Tensor at = joined(std::vector<Var>(before()));
      row_.worst.value = std::max(row_.worst.value, compare(at, row(data("x"), k), {}).error);
      check("parameters", at, row(data("x"), k), bar_);
      const optim::Evaluation e = evaluate(k < steps && !lbfgs);
      metric = e.loss;
      check("loss", Tensor::scalar(e.loss), Tensor::scalar(data("loss").flat(k)), bar_);
      if (k == steps) break;
      const std::vector<Var> g(e.gradients.begin(), e.gradients.end());
      check("gradient", joined(g), row(data("grad"), k), 100 * bar_);
      if (lbfgs) step(*newton, k);
    }
    return true;
  }
  std::vector<Failure> failures;

 private:
  const Tensor& data(const char* name) const { return all_.tensor(item_["data"][name]); }

  void check(const char* what, const Tensor& got, const Tensor& reference, double bar) {
    const std::string mode = program_ ? "program: " : "eager: ";
    expect(failures, mode + step_ + what, got, reference, bar);
  }

  void check_numbers(std::int64_t k) {
    if (!optimizer_) return;
    check("learning rate", Tensor::scalar(optimizer_->learning_rate()),
          Tensor::scalar(data("lr").flat(k)), kBar);
    if (!item_["data"].contains("momentum") || k >= data("momentum").size()) return;
    check("momentum", Tensor::scalar(optimizer_->momentum()),
          Tensor::scalar(data("momentum").flat(k)), kBar);
  }

  std::vector<Var> before() const {
    std::vector<Var> out;
    for (const Parameter& q : p_) out.emplace_back(q.value());
    return out;
  }

  std::unique_ptr<optim::LBFGS> make_lbfgs() const {
    const json& h = item_["hyper"];
    return std::make_unique<optim::LBFGS>(
        p_, optim::LBFGSOptions{.learning_rate = item_["lr"],
                                .max_iterations = h.value("max_iter", 20),
                                .max_evaluations = h.value("max_eval", 0),
                                .history = h.value("history_size", 100),
                                .line_search = h.contains("line_search_fn")});
  }

  void step(optim::LBFGS& newton, std::int64_t k) {
    double calls = 0;
    newton.step([&] {
      ++calls;
      return evaluate(false);
    });
    check("calls of the closure", Tensor::scalar(calls), Tensor::scalar(data("n_closure").flat(k)),
          0);
  }

  // Loss and gradients, recorded; and the step that they make.
  std::vector<Var> record(Tape& tape) const {
    std::vector<Var> now;
    for (const Parameter& q : p_) now.push_back(tape.parameter(q));
    std::vector<Var> out{problem_.loss(now)};
    for (const Var& g : gradient(out[0], p_)) out.push_back(g);
    return out;
  }

  void compile_step(bool lbfgs) {
    const auto make = [this](bool moves) {
      return compile(
          [this, moves](const Var& start) {
            std::vector<Var> out = record(*start.tape());
            if (moves) optimizer_->step(clipped(item_, {out.begin() + 1, out.end()}));
            return out;
          },
          {Signature()});
    };
    look_ = make(false);
    if (!lbfgs) move_ = make(true);
  }

  optim::Evaluation evaluate(bool moves) {
    std::vector<Tensor> out;
    if (program_) {
      out = (moves ? move_ : look_).run({Tensor::scalar(0, f32)});
    } else {
      Tape tape;
      for (const Var& v : record(tape)) out.push_back(v.value());
      if (moves) {
        std::vector<Tensor> g;
        for (const Var& v : clipped(item_, {out.begin() + 1, out.end()})) g.push_back(v.value());
        optimizer_->step(g);
      }
    }
    return {out[0].item(), {out.begin() + 1, out.end()}};
  }

  const Item& all_;
  const json& item_;
  bool program_;
  Row& row_;
  double bar_;
  Problem problem_;
  Parameters p_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  Program look_, move_;
  std::string step_;
};

// The learning rates alone.
std::vector<Failure> check_table(const Item& all, const json& item) {
  std::vector<Failure> out;
  json full = item;
  full["optimizer"] = "SGD";
  full["hyper"] = {{"momentum", item["momentum"]}};
  const auto optimizer = make_optimizer(full, {Parameter(Tensor({1.0}))});
  const Driver driver = make_driver(item);
  const json& data = item["data"];
  const Tensor& rates = all.tensor(data["lr"]);
  for (std::int64_t k = 0; k < rates.size(); ++k) {
    const double metric =
        data.contains("metric") && k > 0 ? all.tensor(data["metric"]).flat(k - 1) : 0;
    driver(*optimizer, k, metric);
    const std::string where = "step " + std::to_string(k) + ": ";
    expect(out, where + "learning rate", Tensor::scalar(optimizer->learning_rate()),
           Tensor::scalar(rates.flat(k)), kBar);
    if (!data.contains("momentum")) continue;
    expect(out, where + "momentum", Tensor::scalar(optimizer->momentum()),
           Tensor::scalar(all.tensor(data["momentum"]).flat(k)), kBar);
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

std::vector<Row> run_optimizers(const std::string& folder, const Modes& modes) {
  const Item all = read_item(folder + "/optim");
  std::map<std::string, Row> rows;
  for (const json& item : all.manifest.at("items")) {
    const std::string name = name_of(item);
    Row& row =
        rows.try_emplace(name, Row{"optim", name, "optim", 0, 0, 0, 0, {}, {}}).first->second;
    ++row.samples;
    std::vector<Failure> failures;
    bool known = true;
    if (item["kind"] == "lr_table") {
      failures = check_table(all, item);
    } else {
      for (const bool program : {false, true}) {
        if (!(program ? modes.program : modes.eager)) continue;
        Run run(all, item, program, row);
        known = run.run();
        failures.insert(failures.end(), run.failures.begin(), run.failures.end());
      }
    }
    ++(!known ? row.missing : failures.empty() ? row.passed : row.failed);
    if (!failures.empty())
      row.failures.push_back({item["id"], item.value("hyper", json()), failures});
  }
  std::vector<Row> out;
  for (auto& [name, row] : rows) out.push_back(std::move(row));
  return out;
}

}  // namespace xtape::conformance
