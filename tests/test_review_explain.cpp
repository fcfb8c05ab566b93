#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "io_support.hpp"
#include "support.hpp"

// What adversaries of explanations, diagnoses, texts and files have found.
namespace xtape {
namespace {

bool has(const nn::Diagnosis& d, nn::Ailment kind) {
  return std::any_of(d.findings.begin(), d.findings.end(),
                     [kind](const nn::Finding& f) { return f.kind == kind; });
}

nn::Diagnosis diagnosed(const std::string& text, const Tensor& x, const Tensor& t,
                        const char* loss = "mse", const nn::DiagnosisOptions& o = {}) {
  const nn::TextNetwork n = nn::parse_network(text);
  nn::Sequential net = n.net;
  net.initialize(nn::he_normal(), Rng(1));
  return nn::diagnose(net, nn::loss(loss).f, x, t, o);
}

}  // namespace

TEST_CASE("numbers of activations keep their digits in texts", "[review][nn]") {
  const nn::TextNetwork n = nn::parse_network("4 leaky_relu:0.123456789012 elu:0.1");
  CHECK(n.text == "4 leaky_relu:0.123456789012 elu:0.1");
  const Tensor x = Tensor::full({1, 4}, -1, f64);
  CHECK(identical(n.net(no_grad(x)).value(), nn::parse_network(n.text).net(no_grad(x)).value()));
  CHECK_FALSE(
      nn::activation("leaky_relu:0.1234567").same_as(nn::activation("leaky_relu:0.12345678")));
  REQUIRE_ERROR(nn::activation("softmax:0.5"), ParseError, "axis 0.5: must be a whole number");
}

TEST_CASE("a mean over many positions is no vanishing gradient", "[review][diagnose]") {
  const Tensor x = Rng(2).normal({32, 1, 32, 32}), t = Rng(3).uniform({32, 2});
  const nn::Diagnosis d = diagnosed(
      "1x32x32 conv2d:8:3:padding=1 batchnorm relu conv2d:8:3:padding=1 batchnorm relu "
      "adaptiveavgpool2d:1 flatten dense:2",
      x, t);
  INFO(d.str());
  CHECK_FALSE(has(d, nn::Ailment::vanishing_gradient));
  // Data that the first layers hand on is no measure for what comes behind.
  const Tensor large = (2e4 * Var(Rng(4).normal({32, 6}))).value();
  const nn::Diagnosis e =
      diagnosed("6 identity batchnorm dense:16 relu dense:2", large, Rng(5).uniform({32, 2}));
  INFO(e.str());
  CHECK_FALSE(has(e, nn::Ailment::vanishing_output));
}

TEST_CASE("gradients of parameters that are not finite are a finding", "[review][diagnose]") {
  nn::Sequential net{nn::Dense(2, 2)};
  for (Parameter p : net.parameters()) p.assign((1e-30 * Var(Tensor::ones(p.shape()))).value());
  const nn::Diagnosis d = nn::diagnose(net, nn::loss("mse").f, Tensor::full({4, 2}, 1e35, f32),
                                       Tensor::zeros({4, 2}), {.learning_rate = 0.1});
  INFO(d.str());
  REQUIRE(has(d, nn::Ailment::nonfinite));
  CHECK_THAT(d.findings[0].sentence, ContainsSubstring("0.weight, its gradient"));
  CHECK(std::isnan(d.parameters[0].update));
}

TEST_CASE("dead units of a ReLU that is called at two widths are counted", "[review][diagnose]") {
  const nn::TextNetwork n = nn::parse_network(
      "x = input:4\na = dense:64 (x)\nr = relu (a)\nb = dense:8 (r)\ns = same:r (b)\n"
      "y = dense:2 (s)\n");
  nn::Sequential net = n.net;
  net.initialize(Rng(1));
  Parameter bias = net.parameter("0.a.bias");
  Tensor b = Tensor::full({64}, -1000, f32);
  for (int i = 0; i < 4; ++i) b.mutable_data<float>()[i] = 100;
  bias.assign(b);
  const nn::Diagnosis d =
      nn::diagnose(net, nn::loss("mse").f, Rng(2).normal({32, 4}), Tensor::zeros({32, 2}));
  INFO(d.str());
  CHECK(has(d, nn::Ailment::dead_units));
}

TEST_CASE("a monitor keeps the passes apart", "[review][diagnose]") {
  nn::Sequential net{nn::Dense(3, 4), nn::Tanh(), nn::Dense(4, 2)};
  nn::Monitor monitor(net);
  const Tensor x = Rng(1).normal({20, 3});
  Tape tape;
  const Var once = net(tape.input(x)), twice = net(tape.input((2 * Var(x)).value()));
  tape.gradient(sum(square(once - twice)), net.parameters());
  nn::Diagnosis d = monitor.diagnosis();
  CHECK(d.layers[0].output.count == 80);
  CHECK(d.layers[0].gradient.count == 80);
  // A pass that breaks off, and the next on a tape at the same address.
  nn::ForwardHook hook = const_cast<nn::Module&>(net[1]).add_forward_hook(
      [](const nn::Module&, std::span<const Var>, const Var&) { throw ValueError("hook", "no"); });
  for (int k = 0; k < 2; ++k) {
    Tape again;
    if (k == 1) hook.remove();
    try {
      net(again.input(x));
    } catch (const ValueError&) {
    }
  }
  d = monitor.diagnosis();
  CHECK(d.layers[0].output.count == 80);
}

TEST_CASE("a layer that hands an earlier value on begins no pass", "[review][diagnose]") {
  const nn::TextNetwork n = nn::parse_network(
      "x = input:3\na = dense:4 (x)\nb = tanh (a)\nc = dense:4 (b)\nd = identity (a)\n"
      "s = add (c, d)\ny = dense:2 (s)\n");
  const nn::Diagnosis d =
      nn::diagnose(n.net, nn::loss("mse").f, Rng(2).normal({20, 3}), Tensor::zeros({20, 2}));
  REQUIRE(d.layers.size() == 6);
  for (const nn::LayerHealth& l : d.layers) {
    INFO(l.path);
    CHECK(l.output.count == l.gradient.count);
    CHECK(l.output.count > 0);
  }
}

TEST_CASE("calls of a shared module have names of their own", "[review][explain]") {
  const nn::TextNetwork n = nn::parse_network(
      "x = input:2\na = dense:2 (x)\nh = sigmoid (a)\nb = same:a (h)\ny = sigmoid (b)\n");
  nn::Sequential net = n.net;
  net.initialize(Rng(1));
  net.to(f64);
  const auto labels = nn::label_outputs(net);
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    const Var y = net(tape.input(Tensor({{0.5, 0.2}})));
    const Var loss = sum(square(y));
    const Explanation e = explain(loss, net.parameter("0.a.weight"), {0, 1});
    std::set<std::string> names;
    for (const Dependency& d : e.dependencies) names.insert(d.of);
    CHECK(names.contains("Dense0.a:0,0"));
    CHECK(names.contains("Dense0.a#2:0,0"));
    CHECK_FALSE(names.contains("Dense0.a#3:0,0"));
  }
}

TEST_CASE("operations are explained where f32 has no room for squares", "[review][explain]") {
  for (const double scale : {1e-26, 1e21}) {
    Tape tape;
    const Var x = tape.variable(Rng(1).uniform({5}, 0.1, 1, f32), "x");
    const Var y = sum(tanh(x) * scale);
    const OperationExplanation e = explain_operations(y, x);
    CHECK(e.norm > 0);
    CHECK(std::isfinite(e.norm));
    CHECK(std::abs(e.share() - 1) < 1e-3);
  }
}

TEST_CASE("JSON of more paths than numbers go is JSON", "[review][explain]") {
  Explanation e;
  e.count = HUGE_VAL;
  CHECK(nlohmann::json::parse(e.json())["count"].is_null());
  OperationExplanation o;
  o.count = HUGE_VAL;
  CHECK(nlohmann::json::parse(o.json())["count"].is_null());
}

TEST_CASE("texts: a shared embedding takes indices, marks count characters", "[review][nn]") {
  const nn::TextNetwork n = nn::parse_network(
      "a = input:3\nb = input:3\ne = embedding:7:2 (a)\nf = same:e (b)\ns = add (e, f)\n"
      "g = flatten (s)\ny = dense:2 (g)\n");
  const Tensor ids = Tensor({{1, 2, 3}}, i64);
  CHECK(n.net(no_grad(ids), no_grad(ids)).shape() == Shape{1, 2});
  REQUIRE_ERROR(nn::parse_network("4 relü"), ParseError, "\n    ^^^^");
  try {
    nn::parse_network("4 relü");
  } catch (const ParseError& e) {
    CHECK_FALSE(std::string(e.what()).find("^^^^^") != std::string::npos);
  }
}

TEST_CASE("names that texts or drawings have no room for", "[review][nn][plot]") {
  nn::Graph g;
  g.input("x");
  REQUIRE_ERROR(g.add("output", std::make_shared<nn::Tanh>(), {"x"}), ValueError, "is no name");
  Tape tape;
  const Var x = tape.variable(Tensor({1.0}), "a\x01\nb");
  const std::string svg = plot::explanation(explain(sum(sin(x)), x, {0}));
  CHECK(svg.find('\x01') == std::string::npos);
}

TEST_CASE("a hook that takes itself away and adds another leaves the others in", "[review][nn]") {
  nn::Sequential net{nn::Tanh()};
  nn::ForwardHook first, added;
  int second = 0;
  const auto nothing = [](const nn::Module&, std::span<const Var>, const Var&) {};
  first = net.add_forward_hook([&](const nn::Module&, std::span<const Var>, const Var&) {
    first.remove();
    added = net.add_forward_hook(nothing);
  });
  const nn::ForwardHook other =
      net.add_forward_hook([&](const nn::Module&, std::span<const Var>, const Var&) { ++second; });
  net(no_grad(Tensor({{1.0}})));
  CHECK(second == 1);
}

TEST_CASE("what would be lost or mixed in a training is refused or kept", "[review][fit]") {
  nn::Sequential net{nn::Dense(1, 1)};
  Parameters twice = net.parameters();
  twice.push_back(twice[0]);
  REQUIRE_ERROR(optim::WeightAverage(twice), ValueError, "stands twice");
  REQUIRE_ERROR(optim::GradientSum(twice), ValueError, "stands twice");
  optim::WeightAverage average(net.parameters());
  {
    const auto swapped = average.swap_in();
    REQUIRE_ERROR(average.state(), ValueError, "swapped in");
  }
  // State of several groups has names that differ.
  optim::Adam adam({{{net.parameters()[0]}, {}}, {{net.parameters()[1]}, {}}});
  const test::Folder folder;
  CHECK_NOTHROW(io::save(folder / "adam.safetensors", adam.state()));
  fit::RSquared r2;
  r2.add(Tensor({{1.0}, {2.0}}), Tensor({{std::nan("")}, {1.0}}));
  CHECK(std::isnan(r2.value()));
  REQUIRE_ERROR(data::decode_csv(std::as_bytes(std::span("1\t2\t0\n3\t4\t1\n\t\t\n", 15)), "t",
                                 {.delimiter = '\t'}),
                DataError, "the field is empty");
}

TEST_CASE("checkpoints that cannot be read are not written over", "[review][fit][resume]") {
  const test::Folder folder;
  nn::Sequential net{nn::Dense(2, 1)};
  optim::SGD sgd(net.parameters());
  data::Dataset d;
  d.inputs = Rng(1).uniform({8, 2});
  d.labels = Rng(2).uniform({8, 1});
  fit::Options o{.epochs = 2};
  o.monitor = "loss";
  o.checkpoint = {.folder = folder.str(), .metadata = {{"network", "2 dense:1"}}};
  fit::fit(net, sgd, nn::loss("mse").f, d, o);
  o.checkpoint.metadata["network"] = "2 dense:1:nobias";
  REQUIRE_ERROR(fit::fit(net, sgd, nn::loss("mse").f, d, o), ValueError, "differ in 'network'");
  o.checkpoint.metadata["network"] = "2 dense:1";
  o.validation = d;
  REQUIRE_ERROR(fit::fit(net, sgd, nn::loss("mse").f, d, o), ValueError, "'validation data'");
  o.validation.reset();
  for (const auto& f : std::filesystem::directory_iterator(folder.str())) {
    folder.write(f.path().filename().string(), "no checkpoint");
  }
  REQUIRE_ERROR(fit::fit(net, sgd, nn::loss("mse").f, d, o), DataError, "none of its checkpoints");
  // A folder that cannot be made is told of before the training.
  folder.write("file", "x");
  o.checkpoint.folder = folder / "file/inside";
  o.on_step = [](const fit::StepReport&, fit::Control&) { FAIL("trains"); };
  REQUIRE_ERROR(fit::fit(net, sgd, nn::loss("mse").f, d, o), DataError, "cannot be made");
  o.checkpoint = {};
  o.momentum = optim::constant(0.5);
  REQUIRE_ERROR(fit::fit(net, sgd, nn::loss("mse").f, d, o), ValueError, "momentum");
}

TEST_CASE("a stop within an epoch has the score of what is kept", "[review][fit]") {
  nn::Sequential net{nn::Dense(2, 1)};
  net.initialize(Rng(1));
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
  data::Dataset d;
  d.inputs = Rng(1).uniform({8, 2});
  d.labels = Rng(2).uniform({8, 1});
  fit::Options o{.epochs = 5, .batch_size = 2};
  o.validation = d;
  o.on_step = [](const fit::StepReport& r, fit::Control& c) {
    if (r.step == 6) c.stop();
  };
  const fit::History h = fit::fit(net, sgd, nn::loss("mse").f, d, o);
  CHECK(h.epochs.size() == 1);
  const Var y = net(no_grad(d.inputs));
  CHECK(h.score == Approx(nn::mse_loss(y, d.labels).item()).epsilon(1e-6));
}

TEST_CASE("a restart whose validation or checkpoint fails is out of the race", "[review][fit]") {
  for (const bool checkpoints : {false, true}) {
    const test::Folder folder;
    nn::Sequential net{nn::Dense(2, 3)};
    optim::SGD sgd(net.parameters(), {.learning_rate = 0.1});
    data::Dataset d;
    d.inputs = Rng(1).uniform({8, 2});
    d.labels = Tensor({0, 1, 2, 0, 1, 2, 0, 1}, i64);
    d.classes = 3;
    fit::Options o{.epochs = 2};
    o.validation = d;
    o.metrics = {std::make_shared<fit::Accuracy>()};
    if (checkpoints) o.checkpoint = {.folder = folder.str()};
    std::int64_t restart = 0;
    o.on_step = [&](const fit::StepReport&, fit::Control&) {
      if (restart > 0) return;
      for (Parameter p : net.parameters()) p.assign(Tensor::full(p.shape(), NAN, f32));
    };
    const fit::Restarts all =
        fit::fit_restarts(net, sgd, nn::loss("cross_entropy").f, d, o,
                          {.restarts = 2, .on_restart = [&](std::int64_t r) { restart = r; }});
    CHECK(all.best == 1);
    CHECK_FALSE(all.histories[0].stopped.empty());
  }
}

}  // namespace xtape
