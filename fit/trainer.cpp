#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <xtape/data/prefetch.hpp>
#include <xtape/fit/trainer.hpp>

namespace xtape::fit::detail {
namespace {

void require(bool holds, const char* option, double value, const char* range) {
  if (holds) return;
  throw ValueError("fit",
                   std::string(option) + " " + xtape::detail::text(value) + ": must be " + range);
}

void require_from(std::int64_t low, const char* option, std::int64_t value) {
  require(value >= low, option, static_cast<double>(value), low == 0 ? "0 or more" : "1 or more");
}

void check(const data::Dataset& data, const Options& o) {
  require_from(1, "epochs", o.epochs);
  require_from(1, "accumulate", o.accumulate);
  require(o.clip_norm >= 0, "clip_norm", o.clip_norm, "0 or more");
  require_from(0, "every_epochs", o.checkpoint.every_epochs);
  require_from(0, "every_steps", o.checkpoint.every_steps);
  require_from(1, "keep_last", o.checkpoint.keep_last);
  if (o.early_stopping) {
    require_from(1, "patience", o.early_stopping->patience);
    require(o.early_stopping->min_delta >= 0, "min_delta", o.early_stopping->min_delta,
            "0 or more");
  }
  if (o.schedule && o.plateau) {
    throw ValueError("fit", "a schedule and a plateau: each would undo the other's learning rate");
  }
  data::batches(data, o.batch_size);  // throws what is wrong with them
  if (data.size() == 0) throw ValueError("fit", "there are no examples");
  if (!o.validation && !o.metrics.empty()) {
    throw ValueError("fit", "metrics without validation data: give Options::validation");
  }
  if (!o.validation) return;
  data::batches(*o.validation, o.validation_batch_size);
  if (o.validation->size() == 0) throw ValueError("fit", "there are no examples to validate on");
}

std::string default_monitor(const Options& o) {
  if (!o.monitor.empty()) return o.monitor;
  return o.validation ? "validation_loss" : "loss";
}

double between(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

}  // namespace

Trainer::Trainer(nn::Module& net, Mover optimizer, const Loss& loss, const data::Dataset& data,
                 const Options& options)
    : net_(net),
      optimizer_(optimizer),
      loss_(loss),
      data_(data),
      options_(options),
      modes_(net),
      evaluator_(net, loss, {options.validation_batch_size, options.compiled}),
      order_(options.rng) {
  check(data, options);
  for (const auto& m : options.metrics) {
    std::vector<std::string>& names = history_.metric_names;
    if (std::find(names.begin(), names.end(), m->name()) != names.end()) {
      throw ValueError("fit", "two metrics of the name '" + m->name() + "': names must differ");
    }
    names.push_back(m->name());
  }
  history_.monitored = default_monitor(options);
  monitored(Epoch{.metrics = std::vector<double>(options.metrics.size())});  // throws if unknown
  if (options.average) average_.emplace(parameters_of(optimizer), *options.average);
  stepper_ = make_stepper();
  const bool keeps = options.early_stopping && options.early_stopping->restore_best;
  const bool larger = larger_is_better(options, history_.monitored);
  best_.emplace(keeps ? moved(net, optimizer) : Parameters{}, larger,
                options.early_stopping ? options.early_stopping->min_delta : 0);
  if (options.plateau) {
    optim::PlateauOptions p = *options.plateau;
    p.maximize = larger;
    plateau_.emplace(p);
  }
}

std::unique_ptr<Steps> Trainer::make_stepper() {
  optim::WeightAverage* const average = average_ ? &*average_ : nullptr;
  if (auto* const rule = std::get_if<optim::Optimizer*>(&optimizer_)) {
    // Throws where there is none, before anything has changed.
    for (std::size_t g = 0; options_.momentum && g < (*rule)->groups(); ++g) (*rule)->momentum(g);
    return std::make_unique<Stepper>(net_, **rule, loss_, options_, average);
  }
  return std::make_unique<QuasiNewtonStepper>(net_, *std::get<optim::LBFGS*>(optimizer_), loss_,
                                              options_, average);
}

Parameters Trainer::moved(const nn::Module& net, const Mover& optimizer) {
  Parameters all = net.parameters();
  for (const Parameter& p : parameters_of(optimizer)) {
    if (std::find(all.begin(), all.end(), p) == all.end()) all.push_back(p);
  }
  const Parameters buffers = net.buffers();
  all.insert(all.end(), buffers.begin(), buffers.end());
  return all;
}

void Trainer::run() {
  if (!net_.training()) net_.train();
  began_with_ = flags();
  bind();
  resume();
  began_ = Clock::now();
  while (!done()) {
    one_epoch();
    if (batch_ < count_) break;  // a callback has stopped it
    end_epoch();
  }
  if (!history_.stopped.empty()) note("stopped: " + history_.stopped);
  if (!saved_) save();
  keep();
}

bool Trainer::done() {
  const auto& early = options_.early_stopping;
  if (control_.stopped()) {
    history_.stopped = "by a callback";
  } else if (early && best_->waited() >= early->patience) {
    history_.stopped =
        "no better " + history_.monitored + " in " + std::to_string(best_->waited()) + " epochs";
  }
  return !history_.stopped.empty() ||
         static_cast<std::int64_t>(history_.epochs.size()) >= options_.epochs;
}

void Trainer::one_epoch() {
  epoch_began_ = Clock::now();
  epoch_trained_ = 0;
  Rng after = order_;
  const data::Batches all = batches(after);
  // Sums of gradients are not kept: a training stops behind a step.
  const auto stops = [this] { return control_.stopped() && stepper_->stepped(); };
  if (options_.prefetch == 0) {
    for (auto it = all.begin(); it != all.end() && !stops(); ++it) take(*it);
  } else {
    data::Prefetch ahead(all, options_.prefetch);
    while (!stops()) {
      const std::optional<data::Batch> batch = ahead.next();
      if (!batch) break;
      take(*batch);
    }
  }
  if (batch_ < count_) {
    history_.stopped = "by a callback";
  } else {
    order_ = after;
  }
}

// What is left of the present epoch.
data::Batches Trainer::batches(Rng& rng) {
  const std::int64_t n = data_.size();
  const bool in_order = !options_.sampler && (!options_.shuffle || options_.batch_size == 0);
  std::vector<std::int64_t> rows;
  if (options_.sampler) {
    rows = options_.sampler(rng);
    if (rows.empty()) throw ValueError("fit", "the sampler drew no examples");
  } else if (!in_order) {
    rows = rng.permutation(n);
  }
  rows_ = in_order ? n : static_cast<std::int64_t>(rows.size());
  const std::int64_t size = options_.batch_size == 0 ? rows_ : std::min(options_.batch_size, rows_);
  if (options_.drop_last) rows_ -= rows_ % size;
  count_ = (rows_ - 1) / size + 1;
  if (in_order && batch_ == 0 && rows_ == n) return data::batches(data_, options_.batch_size);
  if (in_order) {
    rows.resize(static_cast<std::size_t>(n));
    std::iota(rows.begin(), rows.end(), std::int64_t{0});
  }
  rows.resize(static_cast<std::size_t>(rows_));
  rows.erase(rows.begin(), rows.begin() + std::min(batch_ * size, rows_));
  return data::batches(data_, size, std::move(rows));
}

void Trainer::take(const data::Batch& batch) {
  drive();
  double loss = 0;
  try {
    loss = stepper_->train(batch, batch_ + 1 == count_);
  } catch (const ValueError& e) {
    throw StepError(static_cast<std::int64_t>(history_.epochs.size()) + 1, history_.steps + 1,
                    e.what());
  }
  const std::int64_t n = batch.inputs.shape()[0];
  total_ += loss * static_cast<double>(n);
  samples_ += n;
  trained_ += n;
  epoch_trained_ += n;
  ++batch_;
  history_.steps += stepper_->stepped();
  saved_ = false;
  report_step(loss);
  const std::int64_t every = options_.checkpoint.every_steps;
  if (every > 0 && stepper_->stepped() && history_.steps % every == 0) save();
}

void Trainer::drive() {
  auto* const rule = std::get_if<optim::Optimizer*>(&optimizer_);
  if (!rule) return;
  const std::int64_t now = options_.schedule_by_epoch
                               ? static_cast<std::int64_t>(history_.epochs.size())
                               : (*rule)->steps();
  if (options_.schedule) optim::drive(**rule, options_.schedule, now);
  if (options_.momentum) (*rule)->set_momentum(options_.momentum(now));
}

void Trainer::report_step(double loss) {
  if (!options_.on_step) return;
  const double rate = static_cast<double>(epoch_trained_) / between(epoch_began_);
  options_.on_step({.epoch = static_cast<std::int64_t>(history_.epochs.size()) + 1,
                    .step = history_.steps,
                    .batch = batch_,
                    .batches = count_,
                    .samples = samples_,
                    .of = rows_,
                    .loss = loss,
                    .samples_per_second = rate,
                    .seconds_left = seconds_left()},
                   control_);
}

void Trainer::end_epoch() {
  Epoch epoch{
      .number = static_cast<std::int64_t>(history_.epochs.size()) + 1,
      .loss = total_ / static_cast<double>(rows_),
      .learning_rate = std::visit([](const auto* o) { return o->learning_rate(); }, optimizer_)};
  epoch.samples_per_second = static_cast<double>(epoch_trained_) / between(epoch_began_);
  bool better = false;
  {
    std::optional<optim::WeightAverage::Swapped> swapped;
    if (average_) swapped.emplace(*average_);
    if (options_.validation) validate(epoch);
    better = best_->observe(monitored(epoch), epoch.number);
  }
  if (plateau_ && plateau_->observe(*std::get<optim::Optimizer*>(optimizer_), monitored(epoch))) {
    note("learning rate lowered: no better " + history_.monitored);
  }
  epoch.seconds = seconds();
  history_.epochs.push_back(std::move(epoch));
  history_.best_epoch = best_->epoch();
  history_.best = best_->value();
  batch_ = samples_ = 0;
  total_ = 0;
  saved_ = false;
  if (options_.on_epoch) {
    options_.on_epoch({history_.epochs.back(), better, seconds_left()}, control_);
  }
  const std::int64_t every = options_.checkpoint.every_epochs;
  if (every > 0 && history_.epochs.back().number % every == 0) save();
}

void Trainer::validate(Epoch& epoch) try {
  Evaluation e = evaluator_(*options_.validation, options_.metrics);
  epoch.validation_loss = e.loss;
  epoch.metrics = std::move(e.metrics);
} catch (const ValueError& e) {  // outputs of a network that has diverged
  throw StepError(epoch.number, history_.steps, e.what());
}

double Trainer::monitored(const Epoch& epoch) const {
  History one;
  one.metric_names = history_.metric_names;
  one.epochs = {epoch};
  if (history_.monitored == "learning_rate") {
    throw ValueError("fit", "learning_rate is monitored: it says nothing about the network");
  }
  if (history_.monitored == "validation_loss" && !options_.validation) {
    throw ValueError("fit", "validation_loss is monitored: give Options::validation");
  }
  return one.values(history_.monitored)[0];
}

bool larger_is_better(const Options& options, const std::string& monitored) {
  if (options.mode != Mode::automatic) return options.mode == Mode::maximize;
  for (const auto& m : options.metrics) {
    if (m->name() == monitored) return m->larger_is_better();
  }
  return false;
}

// What the network is left with.
void Trainer::keep() {
  if (best_->keeps() && best_->epoch() > 0) {
    best_->restore();
    history_.score = best_->value();
    return;
  }
  if (average_) average_->assign_to_parameters();
  if (history_.epochs.empty() && batch_ == 0) return;
  Epoch last = batch_ == 0 ? history_.epochs.back() : Epoch{};
  if (batch_ > 0) {  // stopped within an epoch
    last.number = static_cast<std::int64_t>(history_.epochs.size()) + 1;
    last.loss = total_ / static_cast<double>(samples_);
    if (options_.validation) validate(last);
  }
  history_.score = monitored(last);
}

double Trainer::seconds() const { return earlier_seconds_ + between(began_); }

double Trainer::seconds_left() const {
  if (trained_ == 0) return 0;
  const std::int64_t epochs = options_.epochs - static_cast<std::int64_t>(history_.epochs.size());
  const double left =
      static_cast<double>(epochs) * static_cast<double>(rows_) - static_cast<double>(samples_);
  return left * between(began_) / static_cast<double>(trained_);
}

void Trainer::note(const std::string& text) const {
  if (options_.on_note) options_.on_note(text);
}

}  // namespace xtape::fit::detail
