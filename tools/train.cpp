#include "train.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "network.hpp"
#include "report.hpp"

namespace xtape::tools {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// One JSON object per line, each written whole.
class Log {
 public:
  explicit Log(const std::string& path) {
    if (path.empty()) return;
    file_.emplace(path, std::ios::trunc);
    if (!*file_) throw DataError(path, "cannot be written");
  }
  void line(const json& j) {
    if (file_) *file_ << j.dump() << '\n' << std::flush;
  }

 private:
  std::optional<std::ofstream> file_;
};

class Trainer {
 public:
  explicit Trainer(const TrainOptions& o) : o_(o), loss_(nn::loss(o.loss)) {
    Rng rng = Rng(o.seed).split(0xda7a);
    data_ = load(o.data, rng);
    inputs_ = data_.train.inputs.shape()[1];
    text_ = !o.net ? fmt::format("{} dense:128 relu dense:64 relu dense:{}", inputs_,
                                 data_.train.classes)
                   : network_text(*o.net);
    refuse_wrong_settings();  // before anything is written
    if (o.dtype == "f64") data_ = {data_.train.to(f64), data_.test.to(f64)};
    if (const auto folder = std::filesystem::path(o.picture).parent_path();
        !folder.empty() && !std::filesystem::is_directory(folder)) {
      throw DataError(o.picture, "cannot be written: there is no folder " + folder.string());
    }
    log_.emplace(o.log);
  }

  int run() {
    start();
    double best_loss = INFINITY;
    std::optional<nn::TextNetwork> best;
    int best_restart = 0;
    for (int r = 0; r < o_.restarts; ++r) {
      nn::TextNetwork net = build();
      Rng rng = Rng(o_.seed).split(static_cast<std::uint64_t>(r));
      net.net.initialize(rng.split(1));
      const double final_loss = train_one(net, r, rng);
      if (!best || final_loss < best_loss) {
        best_loss = final_loss;
        best.emplace(net);
        best_restart = r;
      }
    }
    if (o_.restarts > 1)
      fmt::print("best: restart {}, training loss {:.6g}\n", best_restart, best_loss);
    finish(*best, best_restart);
    return 0;
  }

 private:
  DType dtype() const { return o_.dtype == "f64" ? f64 : f32; }

  nn::TextNetwork build() const {
    nn::TextOptions t;
    if (!o_.init.empty()) t.dense.weight_init = nn::initializer(o_.init);
    t.dense.dtype = dtype();
    const nn::TextNetwork n = nn::parse_network(text_, t);
    check_fit(n, inputs_, data_.train.classes);
    return n;
  }

  optim::SGD optimizer(const nn::Module& net) const {
    return optim::SGD(net.parameters(), {.learning_rate = o_.learning_rate,
                                         .momentum = o_.momentum,
                                         .weight_decay = o_.weight_decay,
                                         .nesterov = o_.nesterov});
  }

  void refuse_wrong_settings() const {
    try {
      optimizer(build().net);
    } catch (const ValueError& e) {
      const std::string what = e.what();
      throw ParseError(e.where(), what.substr(what.find("] ") + 2));
    }
  }

  void start() {
    const nn::TextNetwork net = build();
    if (!o_.quiet) fmt::print("{}", nn::summary(net.net, net.samples[0]));
    fmt::print("{}: {} examples to train on, {} to test on\n", data_.train.name, data_.train.size(),
               data_.test.size());
    log_->line({{"event", "start"},
                {"data", o_.data.source},
                {"network", text_},
                {"loss", o_.loss},
                {"parameters", net.net.parameter_count()},
                {"epochs", o_.epochs},
                {"batch", o_.full_batch ? data_.train.size() : o_.batch},
                {"learning_rate", o_.learning_rate},
                {"momentum", o_.momentum},
                {"weight_decay", o_.weight_decay},
                {"seed", o_.seed},
                {"dtype", o_.dtype}});
  }

  Tensor outputs(nn::TextNetwork& net, const Tensor& x) const {
    net.net.eval();
    const Tensor y = net.net(no_grad(shaped(x, net))).value();
    net.net.train();
    return y;
  }

  double test_accuracy(nn::TextNetwork& net) const {
    if (data_.test.size() == 0) return NAN;
    return nn::accuracy(outputs(net, data_.test.inputs), data_.test.labels);
  }

  // Returns the training loss of the last epoch.
  double train_one(nn::TextNetwork& net, int restart, Rng& rng) {
    optim::SGD sgd = optimizer(net.net);
    Rng order = rng.split(2);
    restarts_.emplace_back();
    const auto began = Clock::now();
    double loss = NAN;
    for (int e = 1; e <= o_.epochs; ++e) {
      loss = one_epoch(net, sgd, order, restart, e);
      const Epoch epoch{e, loss, test_accuracy(net), sgd.learning_rate(), since(began)};
      restarts_.back().push_back(epoch);
      report(epoch, restart);
      sgd.set_learning_rate(sgd.learning_rate() * o_.lr_decay);
    }
    return loss;
  }

  double one_epoch(const nn::TextNetwork& net, optim::SGD& sgd, Rng& order, int restart, int e) {
    const std::int64_t n = data_.train.size();
    double total = 0;
    std::int64_t done = 0;
    const auto batches =
        o_.full_batch ? data::batches(data_.train, 0) : data::batches(data_.train, o_.batch, order);
    for (auto& [x, labels] : batches) {
      Tape tape;
      const Var y = net.net(tape.input(shaped(x, net)));
      const Var loss = loss_.f(y, labels);
      sgd.step(tape.gradient(loss, net.net.parameters()));
      if (!std::isfinite(loss.item())) {
        progress_.clear();
        throw ValueError(loss_.name,
                         fmt::format("the loss is {} in epoch {}: lower the learning rate; "
                                     "bce needs outputs in [0, 1], bce_logits does not",
                                     std::isnan(loss.item()) ? "nan" : "infinite", e));
      }
      total += loss.item() * static_cast<double>(labels.size());
      done += labels.size();
      progress_.show(o_.restarts > 1 ? fmt::format("restart {} epoch {}", restart, e)
                                     : fmt::format("epoch {}", e),
                     done, n);
    }
    progress_.clear();
    return total / static_cast<double>(n);
  }

  void report(const Epoch& e, int restart) {
    const std::string which = o_.restarts > 1 ? fmt::format("restart {}  ", restart) : "";
    fmt::print("{}epoch {:>3}/{}  loss {:.6f}  test accuracy {:.4f}  {:.1f} s\n", which, e.number,
               o_.epochs, e.train_loss, e.test_accuracy, e.seconds);
    std::fflush(stdout);
    log_->line({{"event", "epoch"},
                {"restart", restart},
                {"epoch", e.number},
                {"train_loss", e.train_loss},
                {"test_accuracy", e.test_accuracy},
                {"learning_rate", e.learning_rate},
                {"seconds", e.seconds}});
  }

  void finish(nn::TextNetwork& best, int restart) {
    json end{{"event", "end"}, {"best_restart", restart}};
    if (data_.test.size() > 0) {
      const auto counts =
          nn::confusion(outputs(best, data_.test.inputs), data_.test.labels, data_.train.classes);
      fmt::print("\n{}", confusion_table(counts, data_.train.class_names));
      const double accuracy = test_accuracy(best);
      fmt::print("test accuracy: {:.2f}%\n", 100 * accuracy);
      end["test_accuracy"] = accuracy;
      end["confusion"] = counts;
    }
    log_->line(end);
    if (!o_.log.empty()) fmt::print("log: {}\n", o_.log);
    if (o_.picture.empty()) return;
    plot::save(o_.picture, curves(restarts_));
    fmt::print("picture: {}\n", o_.picture);
  }

  const TrainOptions& o_;
  nn::NamedLoss loss_;
  data::Split data_;
  std::int64_t inputs_ = 0;
  std::string text_;
  std::optional<Log> log_;
  Progress progress_;
  std::vector<std::vector<Epoch>> restarts_;
};

}  // namespace

void TrainOptions::add_to(CLI::App& app) {
  data.add_to(app);
  app.add_option(
      "--net", net,
      "network text, e.g. \"784 dense:128 sigmoid dense:64 relu dense:10\", or a file with "
      "one");
  app.add_option("--loss", loss, "mse, half_squared, bce, bce_logits, cross_entropy")
      ->capture_default_str();
  app.add_option("--init", init, "initialiser of the weights, e.g. he_normal, normal:0:0.1");
  app.add_option("--dtype", dtype, "f32 or f64")
      ->check(CLI::IsMember({"f32", "f64"}))
      ->capture_default_str();
  app.add_option("--learning-rate,--lr", learning_rate)->capture_default_str();
  app.add_option("--lr-decay", lr_decay, "factor of the learning rate after each epoch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--momentum", momentum)->capture_default_str();
  app.add_flag("--nesterov", nesterov);
  app.add_option("--weight-decay", weight_decay)->capture_default_str();
  app.add_option("--batch", batch, "examples per step")
      ->check(whole_from(1))
      ->capture_default_str();
  app.add_flag("--full-batch", full_batch, "all examples in every step");
  app.add_option("--epochs", epochs)->check(whole_from(1))->capture_default_str();
  app.add_option("--seed", seed)->check(whole_from(0))->capture_default_str();
  app.add_option("--restarts", restarts, "initialisations; that of the lowest loss is kept")
      ->check(whole_from(1))
      ->capture_default_str();
  app.add_option("--log", log, "write JSON lines to this file");
  app.add_option("--picture", picture, "draw loss and accuracy as SVG into this file");
  app.add_flag("--quiet", quiet, "no table of the layers");
}

int train(const TrainOptions& options) { return Trainer(options).run(); }

}  // namespace xtape::tools
