#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <string_view>
#include <unordered_map>

#include <xtape/autodiff/kernels/simd.hpp>
#include <xtape/nn/activation.hpp>
#include <xtape/nn/convolution.hpp>
#include <xtape/nn/dense.hpp>
#include <xtape/nn/diagnose_findings.hpp>
#include <xtape/nn/embedding.hpp>
#include <xtape/nn/labels.hpp>

// What is looked at: layers and parameters, through hooks.
namespace xtape::nn {

namespace {

// Sums over f(i), i < n: one in each lane, so that no addition waits for the one before.
template <std::size_t N, class F>
std::array<double, N> sums(std::int64_t n, F&& f) {
  constexpr std::int64_t kLanes = 8;
  double lanes[N][kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    XTAPE_LANES
    for (std::int64_t k = 0; k < kLanes; ++k) {
      const std::array<double, N> v = f(i + k);
      for (std::size_t j = 0; j < N; ++j) lanes[j][k] += v[j];
    }
  }
  std::array<double, N> out{};
  for (; i < n; ++i) {
    const std::array<double, N> v = f(i);
    for (std::size_t j = 0; j < N; ++j) out[j] += v[j];
  }
  for (std::size_t j = 0; j < N; ++j) {
    for (const double lane : lanes[j]) out[j] += lane;
  }
  return out;
}

}  // namespace

void Statistics::add(const Tensor& x) {
  dispatch(x.dtype(), [&](auto zero) {
    const auto* const p = x.data<decltype(zero)>();
    const auto finite = [p](std::int64_t i) {
      return std::abs(static_cast<double>(p[i])) <= std::numeric_limits<double>::max();
    };
    if (count == nonfinite) {  // the first that counts
      for (std::int64_t i = 0; i < x.size(); ++i) {
        if (!finite(i)) continue;
        center = static_cast<double>(p[i]);
        break;
      }
    }
    const auto [s, q, n] = sums<3>(x.size(), [=, c = center](std::int64_t i) {
      const double is = finite(i) ? 1 : 0;
      const double d = is != 0 ? static_cast<double>(p[i]) - c : 0;
      return std::array<double, 3>{d, d * d, is};
    });
    sum += s;
    squares += q;
    nonfinite += x.size() - static_cast<std::int64_t>(n);
  });
  count += x.size();
}

double Statistics::mean() const { return center + sum / static_cast<double>(count - nonfinite); }
double Statistics::stddev() const {
  const double n = static_cast<double>(count - nonfinite), m = sum / n;
  return std::sqrt(std::max(0.0, squares / n - m * m));
}
double Statistics::rms() const {
  return norm() / std::sqrt(static_cast<double>(count - nonfinite));
}
double Statistics::norm() const {
  const double n = static_cast<double>(count - nonfinite);
  return std::sqrt(std::max(0.0, squares + center * (2 * sum + n * center)));
}

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// What the outputs of a layer are looked at for.
enum class Watch : std::uint8_t { nothing, zeros, neurons, sigmoid, tanh };

bool is_relu(const Activation& a) {
  return a.same_as(activation("relu")) || a.same_as(activation("relu6"));
}

Watch watch_of(const Module& m) {
  const auto* const neurons = dynamic_cast<const Neurons*>(&m);
  if (neurons && std::any_of(neurons->activations().begin(), neurons->activations().end(), is_relu))
    return Watch::neurons;
  const auto* a = dynamic_cast<const Activation*>(&m);
  if (!a) return Watch::nothing;
  if (is_relu(*a)) return Watch::zeros;
  if (a->same_as(activation("sigmoid"))) return Watch::sigmoid;
  return a->same_as(activation("tanh")) ? Watch::tanh : Watch::nothing;
}

struct Layer {
  Watch watch = Watch::nothing;
  LayerHealth health;
  // By unit, for each width that the module is called at.
  std::map<std::size_t, std::vector<char>> alive;
  std::int64_t saturated = 0;
};

// `run` elements of each unit lie together.
void note_alive(const Tensor& y, std::size_t units, std::int64_t run, std::vector<char>& alive) {
  dispatch(y.dtype(), [&](auto zero) {
    const auto* p = y.data<decltype(zero)>();
    for (std::int64_t i = 0; i < y.size(); ++i) {
      // Not == 0: NaN is no sign of death.
      if (p[i] != zero) alive[static_cast<std::size_t>(i / run) % units] = 1;
    }
  });
}

void note_alive(const Tensor& y, Layer& l) {
  if (y.size() == 0) return;
  const std::int64_t each = y.size() / y.shape()[0];
  const std::int64_t units = y.rank() >= 4 ? y.shape()[1] : each;  // of images: channels
  const auto n = static_cast<std::size_t>(units);
  std::vector<char>& alive = l.alive[n];
  alive.resize(n);
  note_alive(y, n, each / units, alive);
}

// The neurons of a layer that have one activation each: those without a ReLU do not count.
void note_alive(const Tensor& y, const Neurons& layer, Layer& l) {
  if (y.size() == 0) return;
  std::vector<char> all(layer.activations().size());
  note_alive(y, all.size(), 1, all);
  std::vector<char>& alive = l.alive[all.size()];
  std::size_t k = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!is_relu(layer.activations()[i])) continue;
    if (k == alive.size()) alive.push_back(0);
    alive[k++] |= all[i];
  }
}

// Both by tanh: sigmoid x = (1 + tanh(x/2)) / 2, whose slope is the same part of its maximum.
std::int64_t count_saturated(const Tensor& y, bool sigmoid) {
  constexpr double kBound = 0.97;
  double n = 0;
  dispatch(y.dtype(), [&](auto zero) {
    const auto* const p = y.data<decltype(zero)>();
    const double factor = sigmoid ? 2 : 1, offset = sigmoid ? 1 : 0;
    n = sums<1>(y.size(), [=](std::int64_t i) {
      const bool is = std::abs(factor * static_cast<double>(p[i]) - offset) > kBound;
      return std::array<double, 1>{is ? 1.0 : 0.0};
    })[0];
  });
  return static_cast<std::int64_t>(n);
}

std::string_view row_bytes(const Tensor& t, std::int64_t row) {
  const std::size_t bytes = t.nbytes() / static_cast<std::size_t>(t.shape()[0]);
  return {static_cast<const char*>(t.raw()) + static_cast<std::size_t>(row) * bytes, bytes};
}

// Of some bytes here and there: what tells rows apart is in most of their elements.
struct SparseHash {
  std::size_t operator()(std::string_view row) const {
    constexpr std::size_t kPieces = 8, kBytes = 8;
    char sample[kPieces * kBytes] = {};
    const std::size_t step = row.size() / kPieces / kBytes * kBytes;
    if (step == 0) return std::hash<std::string_view>()(row);
    for (std::size_t k = 0; k < kPieces; ++k) {
      std::memcpy(sample + k * kBytes, row.data() + k * step, kBytes);
    }
    return std::hash<std::string_view>()({sample, sizeof sample});
  }
};

bool close_rows(const Tensor& g, std::int64_t a, std::int64_t b) {
  const std::int64_t n = g.size() / g.shape()[0];
  double apart = 0, size = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = g.flat(a * n + i), y = g.flat(b * n + i);
    apart = std::max(apart, std::abs(x - y));
    size = std::max({size, std::abs(x), std::abs(y)});
  }
  return apart <= 1e-5 * size;  // sums of equal numbers in another order
}

// Rows of w equal to one before, whose gradients are equal, too: no rule that treats the rows alike
// will ever tell them apart.
std::int64_t equal_rows(const Tensor& w, const Tensor& g) {
  std::unordered_map<std::string_view, std::int64_t, SparseHash> first;
  std::int64_t n = 0;
  if (w.size() == 0) return 0;
  for (std::int64_t row = 0; row < w.shape()[0]; ++row) {
    const auto [it, added] = first.try_emplace(row_bytes(w, row), row);
    if (!added) n += close_rows(g, it->second, row);
  }
  return n;
}

// Whether the rows of the weights of a layer are neurons.
bool rows_are_neurons(const Module& m) {
  return !dynamic_cast<const Embedding*>(&m) && !dynamic_cast<const ConvTranspose1d*>(&m) &&
         !dynamic_cast<const ConvTranspose2d*>(&m) && !dynamic_cast<const ConvTranspose3d*>(&m);
}

double change(const Tensor& before, const Tensor& after) {
  double share = kNaN;
  if (before.dtype() != after.dtype()) return share;
  dispatch(before.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *const old = before.data<T>(), *const now = after.data<T>();
    const auto [moved, size] = sums<2>(before.size(), [=](std::int64_t i) {
      const double x = static_cast<double>(old[i]), d = static_cast<double>(now[i]) - x;
      return std::array<double, 2>{d * d, x * x};
    });
    if (size > 0) share = std::sqrt(moved / size);
  });
  return share;
}

}  // namespace

struct Monitor::State {
  struct Watched {
    Parameter parameter;
    bool neurons;
    Statistics gradient;
    std::int64_t equal = 0;
    Tensor before;  // the value that the gradient is for, until it has changed
    std::uint64_t version = 0;
    double update = kNaN;
  };
  DiagnosisOptions options;
  std::int64_t every = 1, passes = 0;
  bool recorded = false, inferred = false;  // what passed unseen
  bool looking = false, complete = true, removed = false;
  const Tape* tape = nullptr;
  std::uint32_t size = 0;  // of the tape, which grows in a pass: another may have its address
  std::int64_t pass = 0;   // whose gradients count
  std::vector<Layer> layers;
  std::vector<std::size_t> order;
  std::vector<Watched> parameters;

  // Whether this call is one to look at; the first one of a pass forgets the pass before.
  bool begins(const Var& out) {
    if (!out.tape()) {
      inferred = true;
      return false;
    }
    if (out.tape()->recording() || out.value().is_symbolic()) {
      recorded = true;
      return false;
    }
    const bool another = complete || out.tape() != tape || tape->size() < size;
    size = out.tape()->size();
    if (another) {
      ++pass;
      settle();
      complete = false;
      tape = out.tape();
      looking = passes % every == 0;
      if (looking) forget();
    }
    return looking;
  }
  void forget() {
    order.clear();
    for (Layer& l : layers) l = {l.watch, {}, {}, 0};
    for (Watched& w : parameters) w = {w.parameter, w.neurons, {}, 0, {}, 0, kNaN};
  }
  // The updates that have happened since.
  void settle() {
    for (Watched& w : parameters) {
      if (!w.before.defined() || w.parameter.version() == w.version) continue;
      w.update = change(w.before, w.parameter.value());
      w.before = Tensor();
    }
  }
  void see(std::size_t i, const Module& m, const Var& out) {
    Layer& l = layers[i];
    if (std::find(order.begin(), order.end(), i) == order.end()) order.push_back(i);
    l.health.path = m.path();
    l.health.kind = m.describe();
    const Tensor& y = out.value();
    if (y.dtype() != f32 && y.dtype() != f64) return;
    l.health.samples = y.rank() > 0 ? y.shape()[0] : 1;
    l.health.output.add(y);
    if (l.watch == Watch::zeros && y.rank() > 1) note_alive(y, l);
    if (l.watch == Watch::neurons) {
      note_alive(y, dynamic_cast<const Neurons&>(m), l);
    }
    if (l.watch == Watch::sigmoid || l.watch == Watch::tanh) {
      l.saturated += count_saturated(y, l.watch == Watch::sigmoid);
    }
  }
  void see_gradient(std::size_t i, std::int64_t of, const Tensor& g) {
    if (of == pass && !removed && !g.is_symbolic()) layers[i].health.gradient.add(g);
  }
  void see_gradient(Watched& w, const Tensor& g) {
    if (!looking || g.is_symbolic()) return;
    w.gradient = {};
    w.gradient.add(g);
    w.before = w.parameter.value();
    w.version = w.parameter.version();
    w.equal = w.neurons && g.rank() > 1 ? equal_rows(w.before, g) : 0;
  }
  // Why there is nothing to tell.
  std::string unseen() const {
    if (!order.empty()) return {};
    if (recorded) {
      return "nothing was seen: the network ran in a program (compile(), a compiled fit), whose "
             "runs call no layers; train eagerly (fit::Options{.compiled = false}), or give a "
             "batch to nn::diagnose()";
    }
    if (inferred) {
      return "nothing was seen: the network ran without a tape only; give it an input on one "
             "(tape.input(x)) and take the gradient of a loss, or give a batch to nn::diagnose()";
    }
    return "nothing was seen: the network was not called while the monitor was attached to it";
  }
  LayerHealth health(const Layer& l) const {
    LayerHealth h = l.health;
    std::ptrdiff_t dead = 0, units = 0;
    for (const auto& [width, alive] : l.alive) {
      dead += std::count(alive.begin(), alive.end(), char{0});
      units += static_cast<std::ptrdiff_t>(alive.size());
    }
    if (units > 0) h.dead = static_cast<double>(dead) / static_cast<double>(units);
    if (l.watch == Watch::sigmoid || l.watch == Watch::tanh) {
      h.saturated = static_cast<double>(l.saturated) / static_cast<double>(h.output.count);
    }
    return h;
  }
};

Monitor::Monitor(Module& net, const DiagnosisOptions& options, std::int64_t every)
    : state_(std::make_shared<State>()) {
  if (every < 1) {
    throw ValueError("Monitor", "every " + std::to_string(every) + ": must be 1 or more");
  }
  state_->options = options;
  state_->every = every;
  const std::weak_ptr<State> weak = state_;
  std::unordered_map<const void*, bool> neurons;
  for_each_layer(net, [&](Module& m) {
    for (const Parameter& p : m.own_parameters()) neurons.try_emplace(p.id(), rows_are_neurons(m));
    const std::size_t i = state_->layers.size();
    state_->layers.push_back({watch_of(m), {}, {}, 0});
    layers_.push_back(
        m.add_forward_hook([weak, i](const Module& layer, std::span<const Var>, const Var& y) {
          const auto s = weak.lock();
          if (!s || !s->begins(y)) return;
          s->see(i, layer, y);
          if (!is_floating(y.dtype())) return;
          add_gradient_hook(y, [weak, i, pass = s->pass](const Var& g) {
            if (const auto now = weak.lock()) now->see_gradient(i, pass, g.value());
            return Var();
          });
        }));
  });
  layers_.push_back(net.add_forward_hook([weak](const Module&, std::span<const Var>, const Var& y) {
    const auto s = weak.lock();
    if (!s || !y.tape() || y.tape()->recording()) return;
    s->begins(y);
    s->complete = true;
    ++s->passes;
  }));
  for (const Parameter& p : net.parameters()) {
    const std::size_t i = state_->parameters.size();
    state_->parameters.push_back({p, neurons[p.id()], {}, 0, {}, 0, kNaN});
    parameters_.push_back(add_gradient_hook(p, [weak, i](const Var& g) {
      if (const auto s = weak.lock()) s->see_gradient(s->parameters[i], g.value());
      return Var();
    }));
  }
}

Monitor::~Monitor() { remove(); }

void Monitor::remove() {
  state_->removed = true;
  for (ForwardHook& h : layers_) h.remove();
  for (HookHandle& h : parameters_) h.remove();
}

Diagnosis Monitor::diagnosis() const {
  state_->settle();
  Diagnosis d;
  for (const std::size_t i : state_->order) d.layers.push_back(state_->health(state_->layers[i]));
  for (const State::Watched& w : state_->parameters) {
    ParameterHealth p{w.parameter.name(), 0, {}, w.gradient, w.update, 0, w.equal};
    if (w.parameter.has_value()) {
      p.rank = w.parameter.value().rank();
      p.value.add(w.parameter.value());
      if (w.neurons && p.rank > 1) p.rows = w.parameter.shape()[0];
    }
    d.parameters.push_back(std::move(p));
  }
  d.unseen = state_->unseen();
  detail::find(d, state_->options);
  return d;
}

Diagnosis diagnose(const Module& net, const std::function<Var(const Var&, const Tensor&)>& loss,
                   const Tensor& inputs, const Tensor& targets, const DiagnosisOptions& options) {
  const std::shared_ptr<Module> copy = net.clone();
  const Monitor monitor(*copy, options);
  Tape tape;
  const Var cost = loss((*copy)(tape.input(inputs)), targets);
  const Parameters learned =
      copy->parameters([](const Parameter& p) { return p.has_value() && !p.frozen(); });
  const double value = cost.item();
  if (!learned.empty()) {
    tape.gradient(cost, learned, {.unconnected = Unconnected::zero});
  }
  Diagnosis d = monitor.diagnosis();
  d.loss = value;
  for (ParameterHealth& p : d.parameters) {
    if (options.learning_rate > 0 && p.gradient.count > 0 && p.value.norm() > 0) {
      const double norm = p.gradient.nonfinite > 0 ? kNaN : p.gradient.norm();
      p.update = options.learning_rate * norm / p.value.norm();
    }
  }
  d.findings.clear();
  detail::find(d, options);
  return d;
}

}  // namespace xtape::nn
