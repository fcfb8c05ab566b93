#include "train.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "network.hpp"
#include "report.hpp"

namespace xtape::tools {
namespace {

using nlohmann::json;
// An optimizer that knows only a rate and a decay.
template <class O, class Options>
std::unique_ptr<optim::Optimizer> plain(const Parameters& parameters, const TrainOptions& o) {
  if (o.momentum != 0 || o.nesterov) {
    throw ParseError("--momentum", "is for --optimizer sgd, not " + o.optimizer);
  }
  Options own{.learning_rate = o.learning_rate.value_or(1e-3)};
  if (o.weight_decay) own.weight_decay = *o.weight_decay;
  return std::make_unique<O>(parameters, own);
}

std::unique_ptr<optim::Optimizer> optimizer(const Parameters& p, const TrainOptions& o) {
  if (o.optimizer == "adam") return plain<optim::Adam, optim::AdamOptions>(p, o);
  if (o.optimizer == "adamw") return plain<optim::AdamW, optim::AdamWOptions>(p, o);
  if (o.optimizer == "radam") return plain<optim::RAdam, optim::RAdamOptions>(p, o);
  if (o.optimizer == "rmsprop") return plain<optim::RMSprop, optim::RMSpropOptions>(p, o);
  if (o.optimizer == "lion") return plain<optim::Lion, optim::LionOptions>(p, o);
  return std::make_unique<optim::SGD>(
      p, optim::SGDOptions{.learning_rate = o.learning_rate.value_or(0.1),
                           .momentum = o.momentum,
                           .weight_decay = o.weight_decay.value_or(0),
                           .nesterov = o.nesterov});
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
  explicit Trainer(const TrainOptions& o) : o_(o), loss_(nn::loss(o.loss.value_or("mse"))) {
    Rng rng = Rng(o.seed).split(0xda7a);
    data_ = load(o.data, rng);
    if (!o.loss && !regression()) loss_ = nn::loss("cross_entropy");
    text_ = o.net ? network_text(*o.net)
                  : fmt::format("{} dense:128 relu dense:64 relu dense:{}",
                                data_.train.inputs.shape()[1], outputs_of(data_.train));
    refuse_wrong_settings();  // before anything is written
    if (o.dtype == "f64") data_ = {data_.train.to(f64), data_.test.to(f64)};
    for (const std::string& path : {o.picture, o.save}) {
      const auto folder = std::filesystem::path(path).parent_path();
      if (folder.empty() || std::filesystem::is_directory(folder)) continue;
      throw DataError(path, "cannot be written: there is no folder " + folder.string());
    }
    log_.emplace(o.log);
  }

  int run() {
    start();
    nn::TextNetwork net = build();
    const auto rule = optimizer(net.net.parameters(), o_);
    const data::Split shown{shaped_set(data_.train, net), shaped_set(data_.test, net)};
    fit::Restarts all;
    try {
      all = fit::fit_restarts(
          net.net, *rule, loss_.f, shown.train, options(shown.test, net.text),
          {.restarts = o_.restarts, .on_restart = [this](std::int64_t r) { restart_ = r; }});
    } catch (const fit::StepError& e) {
      if (loss_.name != "bce") throw;
      throw ValueError(
          "bce", std::string(e.what()) + "; bce needs outputs in [0, 1], bce_logits does not");
    }
    const fit::History& best = all.histories[static_cast<std::size_t>(all.best)];
    if (o_.restarts > 1) {
      fmt::print("best: restart {}, training loss {:.6g}\n", all.best, best.values("loss").back());
    }
    finish(net, all);
    return 0;
  }

 private:
  // From where on a single output means class 1.
  double threshold() const { return loss_.name == "bce_logits" ? 0 : 0.5; }
  bool regression() const { return is_regression(data_.train); }
  DType dtype() const { return o_.dtype == "f64" ? f64 : f32; }

  nn::TextNetwork build() const {
    nn::TextOptions t;
    if (!o_.init.empty()) t.dense.weight_init = nn::initializer(o_.init);
    t.dense.dtype = dtype();
    const nn::TextNetwork n = nn::parse_network(text_, t);
    check_fit(n, data_.train);
    return n;
  }

  void refuse_wrong_settings() const {
    try {
      optimizer(build().net.parameters(), o_);
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
                {"loss", loss_.name},
                {"parameters", net.net.parameter_count()},
                {"epochs", o_.epochs},
                {"batch", o_.full_batch ? data_.train.size() : o_.batch},
                {"learning_rate", optimizer(net.net.parameters(), o_)->learning_rate()},
                {"momentum", o_.momentum},
                {"weight_decay", o_.weight_decay ? json(*o_.weight_decay) : json()},
                {"seed", o_.seed},
                {"dtype", o_.dtype}});
  }

  static data::Dataset shaped_set(data::Dataset d, const nn::TextNetwork& net) {
    if (d.size() > 0) d.inputs = shaped(d.inputs, net);
    return d;
  }

  fit::Options options(const data::Dataset& test, const std::string& network) {
    fit::Options f{.epochs = o_.epochs, .batch_size = o_.full_batch ? 0 : o_.batch};
    f.rng = Rng(o_.seed);
    f.clip_norm = o_.clip;
    f.schedule = optim::exponential(o_.lr_decay);
    if (o_.schedule == "cosine")
      f.schedule = optim::chained({f.schedule, optim::cosine(o_.epochs)});
    if (o_.schedule == "linear") {
      f.schedule = optim::chained({f.schedule, optim::polynomial(o_.epochs)});
    }
    f.schedule_by_epoch = true;
    f.monitor = "loss";
    if (test.size() > 0) {
      f.validation = test;
      f.metrics = metrics();
    }
    if (o_.early_stopping > 0) {
      f.early_stopping = fit::EarlyStopping{.patience = o_.early_stopping};
      f.monitor = "";  // the test loss, where there is one
    }
    f.checkpoint.folder = o_.checkpoint;
    f.checkpoint.metadata = {{"network", network}, {"loss", loss_.name}};
    f.on_step = [this](const fit::StepReport& r, fit::Control&) {
      progress_.show(o_.restarts > 1 ? fmt::format("restart {} epoch {}", restart_, r.epoch)
                                     : fmt::format("epoch {}", r.epoch),
                     r.samples, r.of);
    };
    f.on_epoch = [this](const fit::EpochReport& r, fit::Control&) { report(r.epoch); };
    f.on_note = [this](const std::string& text) {
      progress_.clear();
      fmt::print("{}\n", text);
    };
    return f;
  }

  // Of the test examples.
  fit::Metrics metrics() const {
    if (!regression()) return {std::make_shared<fit::Accuracy>(1, threshold())};
    fit::Metrics all{std::make_shared<fit::MeanError>(fit::MeanError::absolute)};
    if (data_.test.size() > 1) all.push_back(std::make_shared<fit::RSquared>());
    return all;
  }

  void report(const fit::Epoch& e) {
    progress_.clear();
    std::string line = o_.restarts > 1 ? fmt::format("restart {}  ", restart_) : "";
    line += fmt::format("epoch {:>3}/{}  loss {:.6f}", e.number, o_.epochs, e.loss);
    json logged{{"event", "epoch"},
                {"restart", restart_},
                {"epoch", e.number},
                {"train_loss", e.loss},
                {"learning_rate", e.learning_rate},
                {"seconds", e.seconds}};
    const fit::Metrics names = metrics();
    for (std::size_t m = 0; m < e.metrics.size(); ++m) {
      line += fmt::format("  test {} {:.4f}", names[m]->name(), e.metrics[m]);
      logged["test_" + names[m]->name()] = e.metrics[m];
    }
    fmt::print("{}  {:.1f} s\n", line, e.seconds);
    std::fflush(stdout);
    log_->line(logged);
  }

  void finish(nn::TextNetwork& net, const fit::Restarts& all) {
    json end{{"event", "end"}, {"best_restart", all.best}};
    if (data_.test.size() > 0) {
      const Tensor y = fit::predict(net.net, shaped(data_.test.inputs, net));
      end.update(regression() ? judge_targets(y) : judge_classes(y));
    }
    log_->line(end);
    if (!o_.log.empty()) fmt::print("log: {}\n", o_.log);
    if (!o_.save.empty()) keep(net);
    if (o_.picture.empty()) return;
    plot::save(o_.picture, curves(all.histories));
    fmt::print("picture: {}\n", o_.picture);
  }

  // Prints how good the outputs for the test examples are; the same for the log.
  json judge_classes(const Tensor& y) const {
    const auto counts = nn::confusion(y, data_.test.labels, data_.train.classes, threshold());
    fmt::print("\n{}", confusion_table(counts, data_.train.class_names));
    const double accuracy = nn::accuracy(y, data_.test.labels, threshold());
    fmt::print("test accuracy: {:.2f}%\n", 100 * accuracy);
    return {{"test_accuracy", accuracy}, {"confusion", counts}};
  }
  json judge_targets(const Tensor& y) const {
    json out;
    for (const auto& m : metrics()) {
      m->add(y, data_.test.labels);
      fmt::print("test {}: {:.6g}\n", m->name(), m->value());
      out["test_" + m->name()] = m->value();
    }
    return out;
  }

  // Weights and running statistics, and which network they are of.
  void keep(const nn::TextNetwork& net) const {
    io::save(o_.save, net.net.state(), {.metadata = {{"network", net.text}}});
    fmt::print("weights: {}\n", o_.save);
  }

  const TrainOptions& o_;
  nn::NamedLoss loss_;
  data::Split data_;
  std::string text_;
  std::optional<Log> log_;
  Progress progress_;
  std::int64_t restart_ = 0;
};

}  // namespace

void TrainOptions::add_to(CLI::App& app) {
  data.add_to(app);
  app.add_option(
      "--net", net,
      "network text, e.g. \"784 dense:128 sigmoid dense:64 relu dense:10\", or a file with "
      "one");
  app.add_option("--loss", loss,
                 nn::loss_names() + " (unless given: cross_entropy, mse for targets)");
  app.add_option("--init", init, "initialiser of the weights, e.g. he_normal, normal:0:0.1");
  app.add_option("--dtype", dtype, "f32 or f64")
      ->check(CLI::IsMember({"f32", "f64"}))
      ->capture_default_str();
  app.add_option("--optimizer", optimizer, "sgd, adam, adamw, radam, rmsprop, lion")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "radam", "rmsprop", "lion"}))
      ->capture_default_str();
  app.add_option("--learning-rate,--lr", learning_rate, "0.1 for sgd, else 0.001");
  app.add_option("--schedule", schedule, "of the learning rate: constant, cosine, linear")
      ->check(CLI::IsMember({"constant", "cosine", "linear"}))
      ->capture_default_str();
  app.add_option("--clip", clip, "largest norm of the gradient (0: any)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--early-stopping", early_stopping,
                 "stop after so many epochs without a lower test loss (0: never)")
      ->check(whole_from(0));
  app.add_option("--checkpoint", checkpoint,
                 "keep the training in this folder, and go on from what is there");
  app.add_option("--lr-decay", lr_decay, "factor of the learning rate after each epoch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--momentum", momentum)->capture_default_str();
  app.add_flag("--nesterov", nesterov);
  app.add_option("--weight-decay", weight_decay, "0.01 for adamw, else 0");
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
  app.add_option("--save", save, "write the weights to this safetensors file (see xtape export)");
  app.add_flag("--quiet", quiet, "no table of the layers");
}

int train(const TrainOptions& options) { return Trainer(options).run(); }

}  // namespace xtape::tools
