#include <algorithm>
#include <cxxabi.h>
#include <filesystem>
#include <memory>
#include <typeinfo>
#include <zlib.h>

#include <xtape/autodiff/shown.hpp>
#include <xtape/fit/modes.hpp>
#include <xtape/fit/record.hpp>
#include <xtape/fit/trainer.hpp>

namespace xtape::fit::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgress = "fit.progress";
constexpr const char* kIdentity = "fit.";  // begins the names of what must be equal to go on

// "xtape::optim::Adam".
std::string kind_of(const Mover& optimizer) {
  const char* const mangled =
      std::visit([](const auto* o) { return typeid(*o).name(); }, optimizer);
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : mangled;
}

std::string checksum(const data::Dataset& d) {
  std::vector<Tensor> all{d.inputs, d.labels};
  all.insert(all.end(), d.more.begin(), d.more.end());
  unsigned long crc = 0;
  for (const Tensor& t : all) {
    crc = ::crc32_z(crc, static_cast<const Bytef*>(t.raw()), t.nbytes());
  }
  return std::to_string(crc);
}

// The flags of a training that goes on: those that it had. The caller's are those of its beginning,
// or of where it was broken off in this process; others would be lost in silence.
void require_flags(const std::string& path, const char* what, const std::vector<bool>& given,
                   const std::vector<bool>& begun, const std::vector<bool>& kept) {
  if (given == begun || given == kept) return;
  throw ValueError("fit", std::string(what) + " are neither those that the training in " + path +
                              " began with nor those that it came to: go on with the same, or give "
                              "another folder");
}

void require_same(const std::string& path, const char* what, std::int64_t kept,
                  std::int64_t given) {
  if (kept == given) return;
  throw ValueError("fit", "the training in " + path + " has " + what + " " + std::to_string(kept) +
                              ", this one " + std::to_string(given) +
                              ": they must be equal to go on, or give another folder");
}

}  // namespace

void Trainer::bind() {
  if (options_.checkpoint.folder.empty()) {
    saved_ = true;
    return;
  }
  std::error_code error;  // now, and not behind the first epoch
  fs::create_directories(options_.checkpoint.folder, error);
  if (error) throw DataError(options_.checkpoint.folder, "cannot be made: " + error.message());
  const Parameters inside = net_.parameters();
  Parameters outside;
  for (const Parameter& p : parameters_of(optimizer_)) {
    if (std::find(inside.begin(), inside.end(), p) == inside.end()) outside.push_back(p);
  }
  checkpoint_.add("model", inside).add("model", net_.buffers());
  checkpoint_.add_list("other", outside).add_list("random", net_.random_state());
  checkpoint_.add_list("optimizer", state_of(optimizer_)).add("order", order_);
  if (average_) checkpoint_.add_list("average", average_->state());
  checkpoint_.add_list("best", best_->values());
  identity_ = make_identity();
}

void Trainer::save() {
  if (options_.checkpoint.folder.empty()) return;
  checkpoint_.step = history_.steps;
  checkpoint_.epoch = static_cast<std::int64_t>(history_.epochs.size());
  checkpoint_.metadata = identity_;
  checkpoint_.metadata[kProgress] = progress();
  try {
    checkpoint_.save_in(options_.checkpoint.folder, options_.checkpoint.keep_last);
  } catch (const ValueError& e) {  // numbers of a network that has diverged
    throw StepError(checkpoint_.epoch + 1, history_.steps, e.what());
  }
  saved_ = true;
}

std::string Trainer::progress() const {
  Record r;
  r.put(data_.size()).put(options_.batch_size).put(options_.accumulate);
  r.put(batch_).put(samples_).put(total_).put(seconds());
  r.put(best_->value()).put(best_->epoch()).put(best_->waited());
  r.put(std::int64_t{plateau_.has_value()});
  if (plateau_) {
    const optim::ReduceOnPlateau::State& p = plateau_->state();
    r.put(p.best).put(p.bad).put(p.cooldown);
  }
  r.put(static_cast<std::int64_t>(history_.epochs.size()));
  for (const Epoch& e : history_.epochs) {
    r.put(e.loss).put(e.validation_loss).put(e.learning_rate);
    r.put(e.seconds).put(e.samples_per_second);
    for (const double m : e.metrics) r.put(m);
  }
  const Flags now = flags();
  r.put(began_with_.frozen).put(now.frozen).put(began_with_.modes).put(now.modes);
  return r.text();
}

Trainer::Flags Trainer::flags() const {
  return {frozen_of(moved(net_, optimizer_)), modes_of(net_)};
}

// What a checkpoint must have in common with the training that goes on from it.
io::Metadata Trainer::make_identity() const {
  io::Metadata all;
  const auto put = [&](const char* what, const std::string& text) {
    all[kIdentity + std::string(what)] = text;
  };
  put("optimizer", kind_of(optimizer_));
  std::string names;
  for (const Parameter& p : parameters_of(optimizer_)) names += p.name() + "\n";
  put("parameters", names);
  const bool larger = larger_is_better(options_, history_.monitored);
  put("monitor", (larger ? "the largest " : "the smallest ") + history_.monitored);
  std::string metrics;
  for (const std::string& m : history_.metric_names) metrics += m + "\n";
  put("metrics", metrics);
  put("averages", average_ ? "yes" : "no");
  put("best weights", best_->keeps() ? "yes" : "no");
  put("data", checksum(data_));
  put("validation data", options_.validation ? checksum(*options_.validation) : "none");
  all.insert(options_.checkpoint.metadata.begin(), options_.checkpoint.metadata.end());
  return all;
}

void Trainer::require_identity(const std::string& path, const io::Metadata& kept) const {
  for (const auto& [name, here] : identity_) {
    const auto there = kept.find(name);
    if (there == kept.end() && name.starts_with(kIdentity)) {
      throw DataError(path, "is no checkpoint of this version's fit()");
    }
    const std::string was = there == kept.end() ? "" : there->second;
    if (was == here) continue;
    throw ValueError(
        "fit",
        "the training in " + path + " and this one differ in '" +
            (name.starts_with(kIdentity) ? name.substr(std::string(kIdentity).size()) : name) +
            "': " + xtape::detail::shown(was, 60) + " and " + xtape::detail::shown(here, 60) +
            " must be equal to go on, or give another folder");
  }
}

// A training that begins anew must not be taken for one that is further.
void Trainer::set_aside() const {
  std::vector<fs::path> earlier;
  try {
    if (!fs::exists(options_.checkpoint.folder)) return;
    for (const auto& entry : fs::directory_iterator(options_.checkpoint.folder)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("checkpoint-") && name.ends_with(".safetensors")) {
        earlier.push_back(entry.path());
      }
    }
    if (earlier.empty()) return;
    fs::path aside;
    for (int k = 1; aside.empty() || fs::exists(aside); ++k) {
      aside = fs::path(options_.checkpoint.folder) / ("earlier-" + std::to_string(k));
    }
    fs::create_directory(aside);
    for (const fs::path& p : earlier) fs::rename(p, aside / p.filename());
    note("checkpoints of an earlier training are in " + aside.string());
  } catch (const fs::filesystem_error& e) {
    throw DataError(options_.checkpoint.folder, e.what());
  }
}

void Trainer::resume() {
  const CheckpointOptions& o = options_.checkpoint;
  if (o.folder.empty()) return;
  if (!o.resume) return set_aside();
  const io::LatestCheckpoint found = io::latest(o.folder);
  for (const std::string& damaged : found.damaged) note("passed over: " + damaged);
  if (found.path.empty() && !found.damaged.empty()) {
    throw DataError(o.folder,
                    "none of its checkpoints can be read, a training that begins anew "
                    "would replace them: .resume = false sets them aside (" +
                        found.damaged[0] + ")");
  }
  if (found.path.empty()) return;
  io::Checkpoint looked_at;  // before anything changes
  looked_at.load(found.path, {.strict = false});
  const auto text = looked_at.metadata.find(kProgress);
  if (text == looked_at.metadata.end()) {
    throw DataError(found.path, "is no checkpoint of fit()");
  }
  require_identity(found.path, looked_at.metadata);
  restore(found.path, text->second);
}

void Trainer::restore(const std::string& path, const std::string& text) {
  Record r(path, text);
  require_same(path, "a number of examples of", r.count(), data_.size());
  require_same(path, "a batch size of", r.count(), options_.batch_size);
  require_same(path, "an accumulation of", r.count(), options_.accumulate);
  const std::int64_t batch = r.count(), samples = r.count();
  const double total = r.number(), seconds = r.number();
  const double best = r.number();
  const std::int64_t best_epoch = r.count(), waited = r.count();
  require_same(path, "a number of plateaus of", r.count(), plateau_.has_value());
  optim::ReduceOnPlateau::State plateau{0};
  if (plateau_) plateau = {r.number(), r.count(), r.count()};
  std::vector<Epoch> epochs;
  for (std::int64_t n = r.count(), k = 1; k <= n; ++k) {
    Epoch e{.number = k, .loss = r.number()};
    e.validation_loss = r.number();
    e.learning_rate = r.number();
    e.seconds = r.number();
    e.samples_per_second = r.number();
    for (std::size_t m = 0; m < history_.metric_names.size(); ++m) {
      e.metrics.push_back(r.number());
    }
    epochs.push_back(std::move(e));
  }
  Flags begun, kept;
  begun.frozen = r.flags(), kept.frozen = r.flags();
  begun.modes = r.flags(), kept.modes = r.flags();
  require_flags(path, "frozen parameters", began_with_.frozen, begun.frozen, kept.frozen);
  require_flags(path, "modes of modules", began_with_.modes, begun.modes, kept.modes);
  checkpoint_.load(path);
  began_with_ = std::move(begun);
  set_frozen(moved(net_, optimizer_), kept.frozen);
  set_modes(net_, kept.modes);
  batch_ = batch, samples_ = samples;
  total_ = total, earlier_seconds_ = seconds;
  best_->set(best, best_epoch, waited);
  if (plateau_) plateau_->restore(plateau);
  history_.epochs = std::move(epochs);
  history_.steps = checkpoint_.step;
  history_.best_epoch = best_epoch;
  history_.best = best;
  history_.resumed = path;
  saved_ = true;
  note("goes on from " + path);
}

}  // namespace xtape::fit::detail
