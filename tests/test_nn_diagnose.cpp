#include <nlohmann/json.hpp>

#include "support.hpp"

// What is wrong with a network, found by looking at it.
namespace xtape {
namespace {

using nn::Ailment;
using nn::Diagnosis;

const nn::Finding* find(const Diagnosis& d, Ailment kind) {
  for (const nn::Finding& f : d.findings) {
    if (f.kind == kind) return &f;
  }
  return nullptr;
}

data::Dataset digits() {
  data::Dataset d = data::digits().take(0, 64).to(f64);
  // Mean 0 and deviation 1, as people scale them.
  const double m = mean(d.inputs).item(), s = stddev(d.inputs).item();
  d.inputs = ((no_grad(d.inputs) - m) / s).value();
  return d;
}

nn::Sequential deep(const nn::Activation& activation, const nn::Initializer& init, int depth = 12) {
  nn::Sequential net;
  for (int i = 0; i < depth; ++i) {
    net.add(nn::Dense(64, 64, {.weight_init = init, .dtype = f64}));
    net.add(nn::Activation(activation));
  }
  net.add(nn::Dense(64, 10, {.weight_init = init, .dtype = f64}));
  net.initialize(Rng(3));
  return net;
}

Diagnosis diagnose(const nn::Module& net, const nn::DiagnosisOptions& o = {}) {
  const data::Dataset d = digits();
  return nn::diagnose(net, nn::loss("cross_entropy").f, d.inputs, d.labels, o);
}

Tensor filled(const Shape& shape, double v) { return Tensor::full(shape, v, f64); }

}  // namespace

TEST_CASE("the vanishing gradient of deep sigmoid networks is found", "[nn][diagnose]") {
  const Diagnosis d = diagnose(deep(nn::Sigmoid(), nn::xavier_uniform()));
  const nn::Finding* f = find(d, Ailment::vanishing_gradient);
  REQUIRE(f);
  CHECK(f->path == "0");
  CHECK(f->value < 1e-5);
  CHECK_THAT(f->sentence, ContainsSubstring("0 (Dense(64 → 64)): the gradients are"));
  CHECK_THAT(f->sentence, ContainsSubstring("ReLU"));
  CHECK(d.findings.size() == 1);
}

TEST_CASE("statistics of large numbers keep their spread", "[nn][diagnose]") {
  nn::Statistics s;
  s.add(Tensor({std::nan(""), 1e8 - 1, 1e8 + 1}));
  s.add(Tensor({1e8 + 1, 1e8 - 1, INFINITY}));
  CHECK(s.count == 6);
  CHECK(s.nonfinite == 2);
  CHECK(s.mean() == 1e8);
  CHECK(s.stddev() == 1);
  CHECK(std::abs(s.rms() / std::sqrt(1e16 + 1) - 1) < 1e-15);
  nn::Statistics far;  // the center is not near the rest
  far.add(Tensor({-1e6, 1.0, 2.0, 3.0}));
  CHECK(std::abs(far.norm() / std::sqrt(1e12 + 14) - 1) < 1e-15);
  CHECK(std::abs(far.mean() + 249998.5) < 1e-9);
}

TEST_CASE("a well-initialised ReLU network has no findings", "[nn][diagnose]") {
  const Diagnosis d = diagnose(deep(nn::ReLU(), nn::he_normal()), {.learning_rate = 0.01});
  INFO(d.str());
  CHECK(d.findings.empty());
  CHECK_THAT(d.str(), ContainsSubstring("no findings"));
  CHECK(d.layers.size() == 25);
}

TEST_CASE("the numbers of a diagnosis are those of the network", "[nn][diagnose]") {
  nn::Sequential net{nn::Dense(64, 8, {.dtype = f64}), nn::Sigmoid(),
                     nn::Dense(8, 10, {.dtype = f64})};
  net.initialize(Rng(1));
  const data::Dataset data = digits();
  const Diagnosis d = diagnose(net, {.learning_rate = 0.5});

  Tape tape;
  const Var z = net[0](tape.input(data.inputs)), a = net[1](z), y = net[2](a);
  const Var loss = nn::cross_entropy(y, data.labels);
  const Parameters ps = net.parameters();
  const Tensors g = tape.gradient(loss, {z, a, y, ps[0], ps[2]});
  const auto near = [](double x, double want, double size = 0) {
    return std::abs(x - want) <= 1e-9 * std::max(std::abs(want), size);
  };
  const auto same = [&](const nn::Statistics& s, const Tensor& t) {
    CHECK(s.count == t.size());
    CHECK(near(s.norm(), std::sqrt(sum(square(t)).item())));
    CHECK(near(s.rms(), std::sqrt(mean(square(t)).item())));
    CHECK(near(s.mean(), mean(t).item(), s.rms()));
    CHECK(near(s.stddev(), std::sqrt(mean(square(no_grad(t) - mean(t))).item())));
  };
  REQUIRE(d.layers.size() == 3);
  REQUIRE(d.parameters.size() == 4);
  CHECK(near(d.loss.value(), loss.item()));
  same(d.layers[0].output, z.value());
  same(d.layers[1].output, a.value());
  same(d.layers[0].gradient, g[0]);
  same(d.layers[1].gradient, g[1]);
  same(d.layers[2].gradient, g[2]);
  same(d.parameters[0].value, ps[0].value());
  same(d.parameters[0].gradient, g[3]);
  same(d.parameters[2].gradient, g[4]);
  CHECK(near(d.layers[0].gradient_ratio, d.layers[0].gradient.rms() / d.layers[1].gradient.rms()));
  CHECK(near(d.layers[1].output_ratio, d.layers[1].output.rms() / d.layers[0].output.rms()));
  CHECK(std::isnan(d.layers[2].gradient_ratio));
  CHECK(std::isnan(d.layers[0].output_ratio));
  CHECK(near(d.parameters[0].update,
             0.5 * d.parameters[0].gradient.norm() / d.parameters[0].value.norm()));
  std::int64_t saturated = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    saturated += a.value().flat(i) < 0.015 || a.value().flat(i) > 0.985;
  }
  CHECK(d.layers[1].saturated == static_cast<double>(saturated) / static_cast<double>(a.size()));
  CHECK(std::isnan(d.layers[1].dead));
}

TEST_CASE("neurons that begin equal are found", "[nn][diagnose]") {
  const auto net = [](const nn::Initializer& init) {
    nn::Sequential n{nn::Dense(64, 6, {.weight_init = init, .dtype = f64}), nn::Tanh(),
                     nn::Dense(6, 10, {.weight_init = init, .dtype = f64})};
    return n;
  };
  const Diagnosis d = diagnose(net(nn::constant(0.1)));
  const nn::Finding* f = find(d, Ailment::equal_neurons);
  INFO(d.str());
  REQUIRE(f);
  CHECK(f->path == "0.weight");
  CHECK(f->value == 5);
  CHECK_THAT(f->sentence, ContainsSubstring("0.weight: 5 of 6 neurons"));
  // The rows of the last weight are equal, too, but each has a class of its own: they part.
  CHECK(d.parameters[2].equal_rows == 0);

  nn::Sequential two = net(nn::xavier_uniform());
  two.initialize(Rng(5));
  CHECK_FALSE(find(diagnose(two), Ailment::equal_neurons));
  // Two neurons alike, forward and backward.
  Parameter w = two.parameter("0.weight"), v = two.parameter("2.weight");
  Tensor in = w.value().clone(), out = v.value().clone();
  std::copy_n(in.data<double>(), 64, in.mutable_data<double>() + 3 * 64);
  for (int i = 0; i < 10; ++i) out.mutable_data<double>()[i * 6 + 3] = out.flat(i * 6);
  w.assign(in);
  CHECK_FALSE(find(diagnose(two), Ailment::equal_neurons));  // forward alone
  v.assign(out);
  const Diagnosis pair = diagnose(two);
  REQUIRE(find(pair, Ailment::equal_neurons));
  CHECK(find(pair, Ailment::equal_neurons)->value == 1);
}

TEST_CASE("rows of an embedding are no neurons", "[nn][diagnose]") {
  nn::Sequential net{nn::Embedding(5, 3), nn::Flatten(), nn::Dense(6, 2)};
  Parameter table = net.parameter("0.weight");
  table.assign(Tensor::ones({5, 3}));
  Tensor words = Tensor::zeros({4, 2}, i64), labels = Tensor::zeros({4}, i64);
  const Diagnosis d = nn::diagnose(net, nn::loss("cross_entropy").f, words, labels);
  CHECK(d.parameters[0].rows == 0);
  CHECK_FALSE(find(d, Ailment::equal_neurons));
  CHECK(d.layers.at(0).path == "0");
}

TEST_CASE("units that a bias killed are found", "[nn][diagnose]") {
  nn::Sequential net{nn::Dense(64, 8, {.dtype = f64}), nn::ReLU(),
                     nn::Dense(8, 10, {.dtype = f64})};
  net.initialize(Rng(2));
  Tensor bias = filled({8}, 5);
  for (int i = 0; i < 5; ++i) bias.mutable_data<double>()[i] = -1e4;
  net.parameter("0.bias").assign(bias);
  const Diagnosis d = diagnose(net);
  REQUIRE(find(d, Ailment::dead_units));
  CHECK(find(d, Ailment::dead_units)->path == "1");
  CHECK(find(d, Ailment::dead_units)->value == 5.0 / 8);
  CHECK_THAT(find(d, Ailment::dead_units)->sentence,
             ContainsSubstring("62 % of the units are 0 for all 64 samples"));
  CHECK_FALSE(find(diagnose(net, {.dead = 0.7}), Ailment::dead_units));
  // Few samples say nothing.
  CHECK_FALSE(find(diagnose(net, {.min_samples = 65}), Ailment::dead_units));
}

TEST_CASE("a dead unit of a convolution is a channel", "[nn][diagnose]") {
  nn::Sequential net{nn::Conv2d(1, 4, 3), nn::ReLU(), nn::Flatten(), nn::Dense(4 * 36, 10)};
  Tensor bias = Tensor::full({4}, 9);
  bias.mutable_data<float>()[2] = -1e4F;
  net.parameter("0.bias").assign(bias);
  const data::Dataset data = data::digits().take(0, 32);
  const Diagnosis d = nn::diagnose(net, nn::loss("cross_entropy").f,
                                   data.inputs.reshape({32, 1, 8, 8}), data.labels);
  CHECK(d.layers.at(1).dead == 0.25);
}

TEST_CASE("saturated hidden sigmoids and tanhs are found", "[nn][diagnose]") {
  for (const nn::Activation& a : {nn::Activation(nn::Sigmoid()), nn::Activation(nn::Tanh())}) {
    const Diagnosis d = diagnose(deep(a, nn::normal(0, 3), 1));
    const nn::Finding* f = find(d, Ailment::saturated_units);
    REQUIRE(f);
    CHECK(f->path == "1");
    CHECK(f->value > 0.5);
    CHECK_THAT(f->sentence, ContainsSubstring("saturated"));
  }
  // Answers that are sure are none of it.
  nn::Sequential last{nn::Dense(64, 10, {.weight_init = nn::normal(0, 9), .dtype = f64}),
                      nn::Sigmoid()};
  const Diagnosis d = diagnose(last);
  CHECK(d.layers[1].saturated > 0.5);
  CHECK_FALSE(find(d, Ailment::saturated_units));
}

TEST_CASE("large weights make outputs and gradients explode", "[nn][diagnose]") {
  const Diagnosis d = diagnose(deep(nn::ReLU(), nn::normal(0, 0.6)));
  REQUIRE(find(d, Ailment::exploding_gradient));
  CHECK(find(d, Ailment::exploding_gradient)->path == "1");
  REQUIRE(find(d, Ailment::exploding_output));
  CHECK(find(d, Ailment::exploding_output)->value > 1e3);
  const Diagnosis small = diagnose(deep(nn::Tanh(), nn::normal(0, 0.01)));
  REQUIRE(find(small, Ailment::vanishing_output));
  // tanh x is x for numbers so small: rounding decides which of the two is smaller.
  const std::string last = find(small, Ailment::vanishing_output)->path;
  CHECK((last == "22" || last == "23"));
}

TEST_CASE("numbers that are not finite are named where they begin", "[nn][diagnose]") {
  nn::Sequential net = deep(nn::ReLU(), nn::he_normal(), 3);
  Tensor w = net.parameter("2.weight").value().clone();
  w.mutable_data<double>()[7] = NAN;
  net.parameter("2.weight").assign(w);
  const Diagnosis d = diagnose(net);
  REQUIRE(d.findings.size() >= 3);
  CHECK(d.findings[0].kind == Ailment::nonfinite);
  CHECK(d.findings[0].path == "2.weight");
  CHECK(d.findings[0].value == 1);
  CHECK(d.findings[1].path == "2");  // the first output
  CHECK(d.findings[2].path == "6");  // the first gradient on the way back
  CHECK(d.parameters[2].value.count - d.parameters[2].value.nonfinite == 64 * 64 - 1);
  CHECK(std::isfinite(d.parameters[2].value.norm()));
  CHECK_NOTHROW(nlohmann::json::parse(d.json()));

  // log 0: finite outputs, a loss that is not.
  nn::Sequential sure{nn::Dense(1, 1, {.weight_init = nn::constant(1e3)}), nn::Sigmoid()};
  const Diagnosis infinite = nn::diagnose(
      sure, [](const Var& y, const Tensor&) { return sum(log(1 - y)); }, Tensor::ones({2, 1}),
      Tensor::zeros({2, 1}));
  REQUIRE(find(infinite, Ailment::nonfinite));
  CHECK(find(infinite, Ailment::nonfinite)->path == "loss");
}

TEST_CASE("updates too large and too small are found", "[nn][diagnose]") {
  const nn::Sequential net = deep(nn::ReLU(), nn::he_normal(), 2);
  const Diagnosis large = diagnose(net, {.learning_rate = 100});
  REQUIRE(find(large, Ailment::large_update));
  CHECK_THAT(find(large, Ailment::large_update)->sentence, ContainsSubstring("about 1e-3"));
  CHECK(find(diagnose(net, {.learning_rate = 1e-9}), Ailment::small_update));
  CHECK(diagnose(net).findings.empty());  // not known
}

TEST_CASE("a diagnosis changes nothing", "[nn][diagnose]") {
  nn::Sequential net{nn::Dense(64, 8), nn::BatchNorm(8), nn::Dropout(0.5), nn::Dense(8, 10)};
  net.initialize(Rng(1));
  const data::Dataset data = data::digits().take(0, 32);
  const auto state = [&] {
    std::vector<Tensor> all;
    for (const Parameter& p : net.parameters()) all.push_back(p.value());
    for (const Parameter& p : net.buffers()) all.push_back(p.value());
    for (const Parameter& p : net.random_state()) all.push_back(p.value());
    return all;
  };
  const auto before = state();
  const Diagnosis a = nn::diagnose(net, nn::loss("cross_entropy").f, data.inputs, data.labels);
  const Diagnosis b = nn::diagnose(net, nn::loss("cross_entropy").f, data.inputs, data.labels);
  CHECK(a.json() == b.json());
  const auto after = state();
  for (std::size_t i = 0; i < before.size(); ++i) CHECK(identical(before[i], after[i]));
  net.freeze();
  const Diagnosis frozen = nn::diagnose(net, nn::loss("cross_entropy").f, data.inputs, data.labels);
  CHECK(frozen.parameters[0].gradient.count == 0);
  CHECK(frozen.layers[0].gradient.count == 0);
  REQUIRE_ERROR(nn::diagnose(net, nn::loss("cross_entropy").f, Tensor::zeros({2, 3}), data.labels),
                ShapeError, "0");
}

TEST_CASE("a monitor sees what training does", "[nn][diagnose]") {
  const data::Dataset data = digits();
  nn::Sequential net = deep(nn::ReLU(), nn::he_normal(), 2);
  nn::Sequential alone = deep(nn::ReLU(), nn::he_normal(), 2);
  nn::Monitor monitor(net, {}, 2);
  CHECK(monitor.diagnosis().layers.empty());
  const auto step = [&](nn::Sequential& n, optim::SGD& sgd) {
    Tape tape;
    const Var loss = nn::cross_entropy(n(tape.input(data.inputs)), data.labels);
    sgd.step(tape.gradient(loss, n.parameters()));
    return loss.item();
  };
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  optim::SGD other(alone.parameters(), {.learning_rate = 0.1});
  const Tensor before = net.parameter("0.weight").value().clone();
  step(net, sgd);
  const Tensor after = net.parameter("0.weight").value();
  const Diagnosis first = monitor.diagnosis();
  CHECK_FALSE(first.loss.has_value());
  REQUIRE(first.layers.size() == 5);
  const double change = std::sqrt(sum(square(no_grad(after) - before)).item());
  CHECK(std::abs(first.parameters[0].update / (change / std::sqrt(sum(square(before)).item())) -
                 1) < 1e-9);
  CHECK(std::abs(first.parameters[0].update * std::sqrt(sum(square(before)).item()) /
                     (0.1 * first.parameters[0].gradient.norm()) -
                 1) < 1e-9);
  // The second pass is not looked at, nor are inference and recordings.
  step(net, sgd);
  net(no_grad(data.inputs));
  net.output_shape({4, 64});
  const Diagnosis second = monitor.diagnosis();
  CHECK(second.layers[0].gradient.sum == first.layers[0].gradient.sum);
  CHECK(second.parameters[0].update == first.parameters[0].update);
  step(net, sgd);
  const Diagnosis third = monitor.diagnosis();
  CHECK(third.layers[0].gradient.sum != first.layers[0].gradient.sum);
  CHECK(third.layers[0].output.count == 64 * 64);
  // A program passes unseen.
  const auto program = compile(
      [&](Var x) {
        const Var loss = nn::cross_entropy(net(x), data.labels);
        sgd.step(gradient(loss, net.parameters()));
        return loss;
      },
      {{{64, 64}, f64}});
  CHECK(monitor.diagnosis().json().size() > 100);
  monitor.remove();
  step(net, sgd);
  CHECK(monitor.diagnosis().layers[0].gradient.sum == third.layers[0].gradient.sum);
  for (int i = 0; i < 4; ++i) step(alone, other);
  CHECK(identical(net.parameter("0.weight").value(), alone.parameter("0.weight").value()));
  REQUIRE_ERROR(nn::Monitor(net, {}, 0), ValueError, "every 0");
}

TEST_CASE("a layer that is used twice is looked at twice", "[nn][diagnose]") {
  const auto shared = std::make_shared<nn::Dense>(3, 3);
  nn::Sequential net;
  net.add(shared).add(nn::Tanh()).add(shared);
  nn::Monitor monitor(net);
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    tape.gradient(sum(net(tape.input(Tensor::ones({5, 3})))), net.parameters());
  }
  const Diagnosis d = monitor.diagnosis();
  REQUIRE(d.layers.size() == 2);
  CHECK(d.layers[0].output.count == 30);
  CHECK(d.layers[0].gradient.count == 30);
  CHECK(d.layers[1].output.count == 15);
}

TEST_CASE("a diagnosis as text, JSON and picture", "[nn][diagnose]") {
  const Diagnosis d = diagnose(deep(nn::Sigmoid(), nn::xavier_uniform()));
  const std::string text = d.str();
  CHECK_THAT(text, ContainsSubstring("Dense(64 → 64)"));
  CHECK_THAT(text, ContainsSubstring("vanishing gradient: 0 (Dense"));
  const auto j = nlohmann::json::parse(d.json());
  CHECK(j["layers"].size() == 25);
  CHECK(j["layers"][0]["gradient"]["rms"].get<double>() == d.layers[0].gradient.rms());
  CHECK(j["layers"][0]["dead"].is_null());
  CHECK(j["findings"][0]["kind"] == "vanishing gradient");

  std::vector<plot::LayerNumbers> layers;
  for (const nn::LayerHealth& l : d.layers) {
    layers.push_back({l.path, l.output.rms(), l.gradient.rms(), l.dead, l.saturated});
  }
  const std::string svg = plot::diagnosis(layers);
  CHECK_THAT(svg, ContainsSubstring("rms of the gradient"));
  CHECK_THAT(svg, ContainsSubstring("saturated"));
  CHECK_THAT(svg, !ContainsSubstring("nan"));
  CHECK(svg.find("</svg>") != std::string::npos);
  CHECK_NOTHROW(plot::diagnosis({}));
}

}  // namespace xtape
