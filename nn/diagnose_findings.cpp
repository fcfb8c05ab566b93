#include <algorithm>
#include <cmath>
#include <cstdio>

#include <xtape/nn/diagnose_findings.hpp>

// From numbers to findings.
namespace xtape::nn {
namespace {

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", v);
  return text;
}
std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
  return text;
}
std::string name(const LayerHealth& l) {
  return l.path.empty() ? l.kind : l.path + " (" + l.kind + ")";
}

class Search {
 public:
  Search(Diagnosis& d, const DiagnosisOptions& o) : d_(d), o_(o) {}

  void run() {
    ratios();
    nonfinite();
    along(&LayerHealth::output, true);
    along(&LayerHealth::gradient, false);
    for (std::size_t i = 0; i < d_.layers.size(); ++i) units(d_.layers[i], i + 1 < last());
    for (const ParameterHealth& p : d_.parameters) parameter(p);
  }

 private:
  // One behind the last layer.
  std::size_t last() const { return d_.layers.size(); }

  void add(Ailment kind, const std::string& path, double value, std::string sentence) {
    d_.findings.push_back({kind, path, value, std::move(sentence)});
  }

  void ratios() {
    for (std::size_t i = 0; i + 1 < d_.layers.size(); ++i) {
      LayerHealth &a = d_.layers[i], &b = d_.layers[i + 1];
      if (a.gradient.count > 0 && b.gradient.count > 0) {
        a.gradient_ratio = a.gradient.rms() / b.gradient.rms();
      }
      b.output_ratio = b.output.rms() / a.output.rms();
    }
  }

  void nonfinite() {
    const auto note = [&](const std::string& path, const std::string& what, const Statistics& s) {
      add(Ailment::nonfinite, path, static_cast<double>(s.nonfinite),
          what + ": " + std::to_string(s.nonfinite) + " of " + std::to_string(s.count) +
              " numbers are NaN or infinite. ");
    };
    const auto advise = [&](const char* text) { d_.findings.back().sentence += text; };
    for (const ParameterHealth& p : d_.parameters) {
      if (p.value.nonfinite == 0) continue;
      note(p.path, p.path, p.value);
      advise(
          "Training has broken down: go back to the last good parameters; a smaller learning rate "
          "and clipped gradients keep it from happening again.");
    }
    for (const LayerHealth& l : d_.layers) {
      if (l.output.nonfinite == 0) continue;
      note(l.path, name(l) + ", the first such output", l.output);
      advise("Look at its inputs and parameters; Tape::detect_anomaly finds the operation.");
      break;
    }
    if (d_.findings.empty() && d_.loss && !std::isfinite(*d_.loss)) {
      add(Ailment::nonfinite, "loss", *d_.loss,
          "The loss is " + number(*d_.loss) +
              " where all outputs are finite. A loss that takes logits "
              "(cross_entropy, binary_cross_entropy_with_logits) has no such points.");
    }
    for (std::size_t i = last(); i-- > 0;) {
      const LayerHealth& l = d_.layers[i];
      if (l.gradient.nonfinite == 0) continue;
      note(l.path, name(l) + ", the first such gradient on the way back", l.gradient);
      advise(
          "Look at the loss and at what comes behind; Tape::detect_anomaly finds the operation.");
      break;
    }
    for (const ParameterHealth& p : d_.parameters) {
      if (p.gradient.nonfinite == 0 || !d_.findings.empty()) continue;  // they follow from others
      note(p.path, p.path + ", its gradient", p.gradient);
      advise("Optimizers refuse it. Smaller inputs, or f64.");
    }
  }

  // What fades or grows: outputs from the first layer with parameters on (what stands before it
  // hands the data on), gradients from the last one back. The extreme layer is named. The last
  // output is the answer, whose size is given. Gradients go by their norm: where a layer takes
  // means, each element has a small part in them, and weights that were used for all get the sum of
  // the parts.
  void along(Statistics LayerHealth::*of, bool outputs) {
    std::vector<const LayerHealth*> seen;
    for (const LayerHealth& l : d_.layers) {
      if (outputs && seen.empty() && !has_parameters(l)) continue;
      if ((l.*of).count > (l.*of).nonfinite) seen.push_back(&l);
    }
    if (outputs && !seen.empty()) seen.pop_back();
    if (seen.size() < 2) return;
    const auto size = [of, outputs](const LayerHealth* l) {
      return outputs ? (l->*of).rms() : (l->*of).norm();
    };
    const auto [low, high] = std::minmax_element(
        seen.begin(), seen.end(), [&](const auto* a, const auto* b) { return size(a) < size(b); });
    const LayerHealth* reference = outputs ? seen.front() : seen.back();
    if (!(size(reference) > 0)) return;
    const auto steps = [&](const LayerHealth* l) {
      const auto at = std::find(seen.begin(), seen.end(), l) - seen.begin();
      return static_cast<double>(outputs ? at : static_cast<std::ptrdiff_t>(seen.size()) - 1 - at);
    };
    const double fallen = size(*low) / size(reference), grown = size(*high) / size(reference);
    if (fallen < o_.vanishing) tell(outputs, true, **low, *reference, fallen, steps(*low));
    if (grown > o_.exploding) tell(outputs, false, **high, *reference, grown, steps(*high));
  }

  bool has_parameters(const LayerHealth& l) const {
    return std::any_of(d_.parameters.begin(), d_.parameters.end(), [&](const ParameterHealth& p) {
      return l.path.empty() || p.path.starts_with(l.path + ".");
    });
  }

  void tell(bool outputs, bool vanish, const LayerHealth& l, const LayerHealth& reference,
            double ratio, double steps) {
    const std::string each = number(std::pow(ratio, 1 / steps));
    std::string s = name(l) + ": the " + (outputs ? "outputs are " : "gradients are ") +
                    number(ratio) + " times as large as at " + name(reference) + ", a factor of " +
                    each + " per layer; they " + (vanish ? "vanish" : "explode") +
                    " on the way. Usual remedies: ";
    s += vanish
             ? against_vanishing(l, reference)
             : "smaller initial weights (Xavier, He), normalization layers, clipped gradients, a "
               "smaller learning rate.";
    const Ailment kind = outputs
                             ? (vanish ? Ailment::vanishing_output : Ailment::exploding_output)
                             : (vanish ? Ailment::vanishing_gradient : Ailment::exploding_gradient);
    add(kind, l.path, ratio, std::move(s));
  }

  // By the activations between the two layers.
  std::string against_vanishing(const LayerHealth& a, const LayerHealth& b) const {
    const auto [first, last] = std::minmax({&a, &b});
    bool dead = false, saturating = false;
    for (const LayerHealth* l = first; l <= last; ++l) {
      dead = dead || (l->dead >= o_.dead && l->samples >= o_.min_samples);
      saturating = saturating || !std::isnan(l->saturated);
    }
    std::string s;
    if (dead) {
      s = "life for the dead ReLU units (a smaller learning rate, no large negative biases, leaky "
          "ReLU), ";
    }
    if (saturating) s += "ReLU in place of sigmoid and tanh, ";
    return s +
           "Xavier or He initialisation for the activation used, normalization layers, residual "
           "connections.";
  }

  void units(const LayerHealth& l, bool hidden) {
    if (l.samples < o_.min_samples) return;
    if (l.dead >= o_.dead) {
      add(Ailment::dead_units, l.path, l.dead,
          name(l) + ": " + percent(l.dead) + " of the units are 0 for all " +
              std::to_string(l.samples) +
              " samples; such units have no gradient. Usual remedies: a smaller learning rate, He "
              "initialisation, no large negative biases, leaky ReLU.");
    }
    // Answers that are sure saturate.
    if (hidden && l.saturated >= o_.saturated) {
      add(Ailment::saturated_units, l.path, l.saturated,
          name(l) + ": " + percent(l.saturated) +
              " of the outputs are saturated; the slope there is less than 6 % of its maximum. "
              "Usual remedies: inputs scaled to mean 0 and deviation 1, smaller initial weights "
              "(Xavier), normalization before the activation, ReLU.");
    }
  }

  void parameter(const ParameterHealth& p) {
    if (p.equal_rows > 0) {
      add(Ailment::equal_neurons, p.path, static_cast<double>(p.equal_rows),
          p.path + ": " + std::to_string(p.equal_rows) + " of " + std::to_string(p.rows) +
              " neurons have the weights and the gradient of another one and will stay equal to "
              "it. Usual remedy: random initial weights (Xavier, He); biases may be equal.");
    }
    if (p.rank < 2 || p.gradient.nonfinite + p.value.nonfinite > 0) return;
    const std::string size =
        p.path + ": an update is " + number(p.update) + " times as large as the weights";
    if (p.update > o_.update_high) {
      add(Ailment::large_update, p.path, p.update,
          size +
              ", about 1e-3 is usual. Usual remedies: a smaller learning rate, a warm-up, "
              "clipped gradients.");
    } else if (p.update < o_.update_low) {
      add(Ailment::small_update, p.path, p.update,
          size +
              ", about 1e-3 is usual. Usual remedy: a larger learning rate, unless training is "
              "at its end; or see why the gradient is small.");
    }
  }

  Diagnosis& d_;
  const DiagnosisOptions& o_;
};

}  // namespace

const char* name_of(Ailment a) {
  constexpr const char* kNames[] = {"nonfinite",        "vanishing gradient", "exploding gradient",
                                    "vanishing output", "exploding output",   "dead units",
                                    "saturated units",  "equal neurons",      "small update",
                                    "large update"};
  return kNames[static_cast<std::size_t>(a)];
}

void detail::find(Diagnosis& d, const DiagnosisOptions& options) { Search(d, options).run(); }

}  // namespace xtape::nn
