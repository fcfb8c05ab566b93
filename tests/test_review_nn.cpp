#include <nlohmann/json.hpp>

#include "io_support.hpp"

// What independent readers found wrong with networks, optimizers, data and files, so that it stays
// right.
namespace xtape {
namespace {

// All gradients of mean y², eagerly.
Tensors gradients(const nn::Module& net, const Tensor& x) {
  Tape tape;
  return tape.gradient(mean(square(net(tape.input(x)))), net.parameters());
}

bool every(const Tensor& t, double v) {
  for (std::int64_t i = 0; i < t.size(); ++i) {
    if (t.flat(i) != v) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("initialize leaves frozen parameters alone, and the streams of the others",
          "[review][nn]") {
  nn::Sequential a{nn::Dense(3, 4), nn::Dense(4, 2)}, b{nn::Dense(3, 4), nn::Dense(4, 2)};
  Parameter kept = b.parameter("0.weight");
  kept.assign(Tensor::ones({4, 3}));
  kept.freeze();
  a.initialize(nn::he_normal(), Rng(5));
  b.initialize(nn::he_normal(), Rng(5));
  CHECK(every(kept.value(), 1));
  CHECK(identical(a.parameter("1.weight").value(), b.parameter("1.weight").value()));
  // Frozen before it has a size: there is no value to keep.
  nn::Dense open(nn::infer, 2);
  open.freeze();
  open.initialize(nn::constant(3), Rng(1));
  open.build({1, 2});
  CHECK(every(open.weight().value(), 3));
  // In a container, too.
  nn::Dense frozen(2, 2);
  frozen.freeze();
  const Tensor before = frozen.weight().value();
  nn::Sequential net{nn::Dense(2, 2)};
  net.add(std::move(frozen));
  CHECK(identical(net.parameter("1.weight").value(), before));
}

TEST_CASE("an initialiser for weights is for the weights of layers", "[review][nn]") {
  nn::Sequential weights{nn::Dense(3, 4), nn::Conv1d(2, 3, 2), nn::LSTM(3, 4),
                         nn::MultiheadAttention(4, 2), nn::Dense(nn::infer, 2)};
  weights.add(nn::Bilinear(2, 3, 2));
  weights.initialize(nn::constant(7), Rng(1));
  dynamic_cast<const nn::Dense&>(weights[4]).forward(no_grad(Tensor::ones({1, 3}, f32)));
  for (const Parameter& p : weights.parameters()) {
    CAPTURE(p.name());
    CHECK(every(p.value(), p.name().find("bias") == std::string::npos ? 7 : 0));
  }
  nn::Sequential norms{nn::LayerNorm(Shape{2, 3}), nn::RMSNorm(Shape{2, 3}),
                       nn::BatchNorm(nn::infer), nn::GroupNorm(1, nn::infer),
                       nn::LayerNorm(nn::infer)};
  norms.initialize(nn::constant(7), Rng(1));
  norms(no_grad(Tensor::ones({2, 2, 3})));
  for (const Parameter& p : norms.parameters()) {
    CAPTURE(p.name());
    CHECK(every(p.value(), p.name().find("bias") == std::string::npos ? 1 : 0));
  }
}

TEST_CASE("the row of padding is 0 after any draw", "[review][nn]") {
  const auto row = [](const Parameter& p, std::int64_t k) {
    return slice(p.value(), 0, {k, k + 1}).value();
  };
  nn::Embedding table(5, 3, {.padding_idx = -2});
  CHECK(every(row(table.weight(), 3), 0));
  table.initialize(nn::constant(7), Rng(1));
  CHECK(every(row(table.weight(), 3), 0));
  CHECK(every(row(table.weight(), 4), 7));
  CHECK(every(row(table.weight(), 2), 7));
  // The same of tied weights, whichever gives its name.
  for (const bool embedding_first : {true, false}) {
    nn::Sequential net{nn::Embedding(5, 3, {.padding_idx = 0}), nn::Dense(3, 5, {.bias = false})};
    if (embedding_first) {
      net.tie("1.weight", net.parameter("0.weight"));
    } else {
      net.tie("0.weight", net.parameter("1.weight"));
    }
    net.initialize(nn::constant(7), Rng(1));
    REQUIRE(net.parameters().size() == 1);
    CHECK(every(row(net.parameters()[0], 0), 0));
    CHECK(every(row(net.parameters()[0], 1), 7));
  }
}

TEST_CASE("samplers draw by weights of any size", "[review][data]") {
  const auto shares = [](const data::Sampler& s, int rounds) {
    std::vector<double> n(3);
    Rng rng(1);
    double all = 0;
    for (int k = 0; k < rounds; ++k) {
      for (const std::int64_t row : s(rng)) ++n[static_cast<std::size_t>(row)], ++all;
    }
    for (double& x : n) x /= all;
    return n;
  };
  for (const double unit : {1e-320, 1e-310, 1.0, 5e307}) {
    CAPTURE(unit);
    const std::vector<double> weights{unit, 0, 3 * unit};
    for (const auto& n : {shares(data::weighted(weights, 4000), 1),
                          shares(data::weighted_once(weights, 1), 4000)}) {
      CHECK(n[0] == Approx(0.25).margin(0.03));
      CHECK(n[1] == 0);
    }
  }
  // Beside a large weight small ones are never drawn before it, but all are there.
  Rng rng(1);
  CHECK(data::weighted_once({1e-320, 1e300, 1e-320}, 3)(rng)[0] == 1);
}

TEST_CASE("plateaus of negative losses are plateaus", "[review][optim]") {
  for (const double loss : {-1.0, 1.0}) {
    nn::Dense net(1, 1);
    optim::SGD sgd(net.parameters(), {.learning_rate = 1});
    optim::ReduceOnPlateau plateau({.patience = 2});
    int reductions = 0;
    for (int i = 0; i < 10; ++i) reductions += plateau.observe(sgd, loss);
    CHECK(reductions == 3);
    optim::ReduceOnPlateau improving({.patience = 2, .maximize = loss < 0});
    for (int i = 0; i < 10; ++i) {
      CHECK_FALSE(improving.observe(sgd, loss * std::pow(0.9, i)));  // by more than the threshold
    }
  }
}

TEST_CASE("numbers that a conversion makes infinite are refused", "[review][io]") {
  const test::Folder folder;
  io::save_safetensors(folder / "net",
                       {{"weight", Tensor({{1, 1e300}}, f64)}, {"bias", Tensor::ones({1}, f64)}});
  nn::Dense net(2, 1);
  const Tensor before = net.weight().value();
  const auto load = [&] { io::load(folder / "net", net.parameters(), {.convert = true}); };
  CHECK(test::thrown_at(folder / "net", load) ==
        "] weight is 1e+300 at element 1: too large for f32");
  CHECK(identical(net.weight().value(), before));
  CHECK(every(net.bias().value(), 0));
  // What was infinite before stays so.
  io::save_safetensors(
      folder / "net", {{"weight", Tensor({{1, INFINITY}}, f64)}, {"bias", Tensor::ones({1}, f64)}});
  load();
  CHECK(std::isinf(net.weight().value().flat(1)));
}

TEST_CASE("a network is kept with its buffers", "[review][io][docs]") {
  const test::Folder here;
  const std::string path = here / "net.safetensors";
  const auto make = [] {
    nn::Sequential made{nn::Dense(3, 4), nn::BatchNorm1d(4), nn::ReLU(), nn::Dense(4, 2)};
    made.initialize(Rng(1));
    return made;
  };
  nn::Sequential net = make();
  net.parameter("0.weight").assign(Tensor::full({4, 3}, 0.5));
  const Tensor x = Rng(2).normal({8, 3});
  net(no_grad(x));  // moves running statistics

  io::save(path, net.state());  // parameters, then buffers: running statistics, too

  nn::Sequential again = make();
  io::load(path, again.state());
  again.eval();

  // A part of another network: what fits is loaded, the report says what did not.
  nn::Sequential larger{nn::Dense(3, 4), nn::BatchNorm1d(4), nn::ReLU(), nn::Dense(4, 5)};
  const io::LoadReport report = io::load(path, larger.state(), {.strict = false});
  // report.mismatched: "3.weight: F32 (2, 4) in the file, f32 (5, 4) expected", "3.bias: …"

  net.eval();
  CHECK(identical(net(no_grad(x)).value(), again(no_grad(x)).value()));
  REQUIRE(net.state().size() == 6 + 3);
  CHECK(net.state()[6] == net.buffers()[0]);
  CHECK(report.mismatched.size() == 2);
  CHECK(report.mismatched[0] == "3.weight: F32 (2, 4) in the file, f32 (5, 4) expected");
  CHECK(identical(larger.buffers()[1].value(), net.buffers()[1].value()));
}

TEST_CASE("accuracy refuses impossible labels and nothing, and knows logits", "[review][nn]") {
  const Tensor two({{0.1, 0.9}, {0.8, 0.2}}), logits({{0.3}, {-1}, {2}});
  REQUIRE_ERROR(nn::accuracy(two, Tensor({1, 7}, i64)), ValueError, "class 7 at row 1");
  REQUIRE_ERROR(nn::accuracy(two, Tensor({-3, 0}, i64)), ValueError, "class -3 at row 0");
  REQUIRE_ERROR(nn::accuracy(logits, Tensor({1, 0, 2}, i64)), ValueError, "in [0, 2)");
  REQUIRE_ERROR(nn::confusion(two, Tensor({1, -1}, i64), 2), ValueError, "class -1 at row 1");
  REQUIRE_ERROR(nn::confusion(two, Tensor({1, 0}, i64), -1), ValueError, "-1 classes");
  const Tensor none = Tensor::zeros({0}, i64);
  REQUIRE_ERROR(nn::accuracy(Tensor::zeros({0, 3}), none), ValueError, "0 rows");
  CHECK(nn::confusion(Tensor::zeros({0, 1}), none, 1) ==
        std::vector<std::vector<std::int64_t>>{{0}});

  const Tensor labels({1, 0, 1}, i64);
  CHECK(nn::accuracy(logits, labels) == Approx(2.0 / 3));
  CHECK(nn::accuracy(logits, labels, 0) == 1);
  CHECK(nn::confusion(logits, labels, 2, 0)[1][1] == 2);
  REQUIRE_ERROR(nn::accuracy(logits, labels, NAN), ValueError, "threshold nan");
  fit::Accuracy accuracy(1, 0);
  fit::ConfusionMatrix confusion(2, fit::Average::micro, 0);
  for (fit::Metric* m :
       {static_cast<fit::Metric*>(&accuracy), static_cast<fit::Metric*>(&confusion)}) {
    m->add(logits, labels);
    CHECK(m->value() == 1);
  }
  REQUIRE_ERROR(fit::Accuracy(1, NAN), ValueError, "threshold nan");
  REQUIRE_ERROR(fit::ConfusionMatrix(2, fit::Average::macro, NAN), ValueError, "threshold nan");
}

TEST_CASE("a step with averages is refused while they are swapped in", "[review][optim]") {
  nn::Dense net(2, 1);
  net.initialize(Rng(1));
  optim::SGD sgd(net.parameters(), {.learning_rate = 0.1, .momentum = 0.9});
  optim::WeightAverage average(net.parameters());
  Program step = compile(
      [&](const Var& x) {
        const Var loss = mean(square(net(x)));
        sgd.step(gradient(loss, net.parameters()));
        average.update(loss);
        return loss;
      },
      {{4, 2}});
  const Tensor x = Tensor::ones({4, 2});
  step(x);
  std::vector<Tensor> before;
  Parameters everything = net.parameters();
  for (const Parameters& more : {sgd.state(), average.state()}) {
    everything.insert(everything.end(), more.begin(), more.end());
  }
  {
    const auto swapped = average.swap_in();
    for (const Parameter& p : everything) before.push_back(p.value().clone());
    REQUIRE_ERROR(step(x), ValueError, "averages are swapped in");
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(identical(everything[i].value(), before[i]));
    }
  }
  step(x);
  CHECK(average.state()[0].value().item() == 2);
}

TEST_CASE("programs follow seed() and initialize()", "[review][nn][program]") {
  nn::Sequential net{nn::Dense(4, 4), nn::Dropout(0.5)};
  const Tensor x = Tensor::ones({3, 4});
  const Parameters random = net.random_state();  // key, position
  Program run = compile([&](const Var& v) { return net(v); }, {x});
  const Tensor first = run(x);
  for (const std::uint64_t seed : {std::uint64_t{7}, ~std::uint64_t{0} - 3}) {
    net.seed(Rng(seed));
    CHECK(random[1].value().item() == 0);
    const Tensor got = run(x);
    CHECK(random[1].value().item() > 0);
    CHECK(net.random_state()[1] == random[1]);
    CHECK_FALSE(identical(got, first));
    net.seed(Rng(seed));
    CHECK(identical(got, net(no_grad(x)).value()));
  }
  Generator g(~std::uint64_t{0}, std::uint64_t{1} << 63), copy = g;
  CHECK(g.seed() == ~std::uint64_t{0});
  CHECK(g.stream() == std::uint64_t{1} << 63);
  g.reseed(3, 4);
  CHECK(copy.seed() == 3);
  CHECK(copy.stream() == 4);
}

TEST_CASE("a checkpointed part draws again what it drew, whatever the seed is now",
          "[review][program]") {
  Generator g(1), same(1);
  Tape tape;
  const Var x = tape.variable(Tensor::ones({50}));
  const Var y =
      sum(checkpoint([&](std::span<const Var> xs) { return dropout(xs[0], 0.5, g); }, {x}, {g}));
  g.reseed(2);
  const Tensor want = dropout(Tensor::ones({50}), 0.5, same).value();
  CHECK(identical(tape.gradient(y, x), want));
  CHECK(g.seed() == 2);
  CHECK(g.position().value().item() == 0);
}

TEST_CASE("a monitor that saw nothing says so, and why", "[review][nn][diagnose]") {
  nn::Sequential net{nn::Dense(4, 8), nn::ReLU(), nn::Dense(8, 3)};
  net.initialize(Rng(1));
  const nn::Monitor monitor(net);
  CHECK_THAT(monitor.diagnosis().str(), ContainsSubstring("nothing was seen: the network was not"));
  net(no_grad(Tensor::ones({2, 4})));
  CHECK_THAT(monitor.diagnosis().str(), ContainsSubstring("nothing was seen: the network ran wit"));
  compile([&](const Var& v) { return net(v); }, {{2, 4}})(Tensor::ones({2, 4}));
  const nn::Diagnosis d = monitor.diagnosis();
  CHECK_THAT(d.str(), ContainsSubstring("nothing was seen: the network ran in a program"));
  CHECK_THAT(d.str(), ContainsSubstring("nn::diagnose()"));
  CHECK_THAT(d.str(), !ContainsSubstring("no findings"));
  CHECK(nlohmann::json::parse(d.json())["unseen"] == d.unseen);
  gradients(net, Tensor::ones({2, 4}));
  CHECK(monitor.diagnosis().unseen.empty());
  CHECK(nlohmann::json::parse(monitor.diagnosis().json())["unseen"].is_null());
  CHECK_THAT(monitor.diagnosis().str(), ContainsSubstring("no findings"));
}

TEST_CASE("dead units among neurons of several activations are found", "[review][nn][diagnose]") {
  nn::Sequential net{nn::Neurons(2, {nn::ReLU(), nn::Sigmoid(), nn::ReLU(), nn::ReLU6()}),
                     nn::Dense(4, 2)};
  net.initialize(Rng(1));
  net.parameter("0.dense.bias").assign(Tensor({10, 0, -100, -100}, f32));
  const auto loss = [](const Var& y, const Tensor& t) { return nn::mse_loss(y, t); };
  const Tensor x = Rng(3).normal({20, 2}), y = Tensor::ones({20, 2});
  const nn::Diagnosis d = nn::diagnose(net, loss, x, y);
  REQUIRE(d.layers.size() == 3);  // those of the sums, the neurons, the answer
  CHECK(d.layers[1].path == "0");
  CHECK(d.layers[1].dead == Approx(2.0 / 3));
  REQUIRE(d.findings.size() == 1);
  CHECK(d.findings[0].kind == nn::Ailment::dead_units);
  nn::Sequential smooth{nn::Neurons(2, {nn::Tanh(), nn::Sigmoid()}), nn::Dense(2, 2)};
  CHECK(std::isnan(nn::diagnose(smooth, loss, x, y).layers[1].dead));
}

TEST_CASE("advice on vanishing gradients is for the activation at hand", "[review][nn][diagnose]") {
  nn::Sequential net{nn::Dense(4, 8), nn::ReLU(), nn::Dense(8, 8), nn::ReLU(), nn::Dense(8, 3)};
  net.initialize(nn::he_normal(), Rng(1));
  net.parameter("2.bias").assign(Tensor::full({8}, -100));
  const nn::Diagnosis d = nn::diagnose(net, nn::loss("cross_entropy").f, Rng(3).normal({20, 4}),
                                       Tensor::zeros({20}, i64));
  const auto at = std::find_if(d.findings.begin(), d.findings.end(), [](const nn::Finding& f) {
    return f.kind == nn::Ailment::vanishing_gradient;
  });
  REQUIRE(at != d.findings.end());
  CHECK_THAT(at->sentence, ContainsSubstring("dead ReLU units"));
  CHECK_THAT(at->sentence, !ContainsSubstring("sigmoid"));
}

TEST_CASE("printing a network changes nothing of it", "[review][nn]") {
  nn::Sequential net{nn::Dense(2, 6), nn::BatchNorm1d(6), nn::Dropout(0.5), nn::Dense(6, 1)};
  net.initialize(Rng(1));
  std::vector<Tensor> before;
  Parameters all = net.buffers();
  all.push_back(net.random_state()[1]);
  for (const Parameter& p : all) before.push_back(p.value().clone());
  const Tensor x = Tensor::ones({1, 2});
  const std::string text = nn::print_network(net, x);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(identical(all[i].value(), before[i]));
  CHECK(net.training());
  net.eval();
  CHECK(text == nn::print_network(net, x));
}

TEST_CASE("instance normalization has defaults of its own", "[review][nn]") {
  CHECK(nn::InstanceNorm(3, {.affine = true}).buffers().empty());
  CHECK(nn::InstanceNorm(3, {.affine = true}).parameters().size() == 2);
  CHECK(nn::InstanceNorm(3, {.eps = 1e-3}).parameters().empty());
  CHECK(nn::InstanceNorm(3, {.track_running_stats = true}).buffers().size() == 3);
}

TEST_CASE("lengths of sequences are checked in every run", "[review][nn][program]") {
  nn::GRU net(2, 3);
  net.initialize(Rng(1));
  const Tensor x = Tensor::ones({4, 2, 2});
  nn::Sequential outer;  // gives the layer a path
  outer.add(std::make_shared<nn::GRU>(net));
  const auto& inner = dynamic_cast<const nn::GRU&>(outer[0]);
  Program run = compile([&](const Var& v, const Var& n) { return inner.run(v, {}, n).output; },
                        {x, {{2}, i64}});
  const Tensor right({4, 1}, i64);
  CHECK(test::relative_difference(run(x, right), net.run(no_grad(x), {}, right).output.value()) <
        1e-6);
  for (const Tensor& wrong : {Tensor({5, 1}, i64), Tensor({4, -1}, i64)}) {
    REQUIRE_ERROR(run(x, wrong), ValueError, "of sequence");
    std::string eager, recorded;
    try {
      inner.run(no_grad(x), {}, wrong);
    } catch (const ValueError& e) {
      eager = e.what();
    }
    try {
      run(x, wrong);
    } catch (const ValueError& e) {
      recorded = e.what();
    }
    CHECK(eager == recorded);
  }
}

TEST_CASE("a sum of gradients weighs each parameter by what it got", "[review][optim]") {
  nn::Dense net(1, 1);
  Parameter bias = net.bias();
  const Tensor one = Tensor::ones({1}), w = Tensor::ones({1, 1});
  optim::GradientSum sums(net.parameters());
  bias.freeze();
  sums.add(std::vector<Tensor>{w, Tensor()}, 3);
  bias.freeze(false);
  REQUIRE_ERROR(sums.mean(), ValueError, "[bias] was frozen in every add()");
  sums.add(std::vector<Tensor>{w, one});
  CHECK(sums.mean()[0].item() == 1);
  CHECK(sums.mean()[1].item() == 1);
  // In programs, too.
  Program mean_of = compile([&](const Var& go) { return sums.mean(go); }, {Signature()});
  CHECK(mean_of.run({Tensor::scalar(0, f32)})[1].item() == 1);
  Program add = compile([&](const Var& g) { sums.add({reshape(g, {1, 1}), g}, 4); }, {{1}});
  add(Tensor({3.0}, f32));
  CHECK(sums.mean()[0].item() == Approx((4 + 12) / 8.0));
  CHECK(sums.mean()[1].item() == Approx((1 + 12) / 5.0));
}

TEST_CASE("a summary of a network of several inputs", "[review][nn]") {
  nn::Graph net;
  net.input("words").input("numbers");
  net.add("table", nn::Embedding(9, 4), {"words"});
  net.add("line", nn::Dense(nn::infer, 4), {"numbers"});
  net.add("both", nn::Bilinear(4, 4, 2), {"table", "line"});
  net.output("both");
  const std::vector<Spec> inputs{{{}, i64}, {{3}, f32}};
  const std::string text = nn::summary(net, inputs);
  INFO(text);
  CHECK_THAT(text, ContainsSubstring("input 1"));
  CHECK_THAT(text, ContainsSubstring("input 2"));
  CHECK_THAT(text, ContainsSubstring("Dense(3 → 4)"));
  CHECK_THAT(text, ContainsSubstring("total: 86 parameters"));
  nn::Sequential chain{nn::Bilinear(3, 2, 4), nn::Dense(4, 1)};
  const std::vector<Spec> two{{{3}, f32}, {{2}, f32}};
  CHECK_THAT(nn::summary(chain, two), ContainsSubstring("(4,)"));
}

TEST_CASE("examples of another dtype have targets of it", "[review][data]") {
  data::Dataset d;
  d.inputs = Tensor::ones({2, 3});
  d.labels = Tensor::ones({2, 1});
  CHECK(d.to(f64).labels.dtype() == f64);
  d.labels = Tensor({0, 1}, i64);
  CHECK(identical(d.to(f64).labels, d.labels));
  CHECK(d.to(f64).inputs.dtype() == f64);
}

TEST_CASE("L-BFGS refuses to step when other parameters are frozen than it was made for",
          "[review][optim]") {
  nn::Dense net(2, 1);
  Parameter bias = net.bias();
  bias.freeze();
  optim::LBFGS lbfgs(net.parameters());
  const Tensor x = Tensor::ones({4, 2});
  const auto evaluate = [&] {
    Tape tape;
    const Var loss = mean(square(net(tape.input(x)) - 1));
    return optim::Evaluation{
        loss.item(), tape.gradient(loss, net.parameters(), {.unconnected = Unconnected::zero})};
  };
  lbfgs.step(evaluate);
  bias.freeze(false);
  const Tensor before = net.weight().value();
  REQUIRE_ERROR(lbfgs.step(evaluate), ValueError, "'bias' was thawed since");
  CHECK(identical(net.weight().value(), before));
  bias.freeze();
  lbfgs.step(evaluate);
  net.freeze();
  REQUIRE_ERROR(lbfgs.step(evaluate), ValueError, "'weight' was frozen since");
}

TEST_CASE("hooks, ties and frozen parameters are those of the recording", "[review][program]") {
  nn::Sequential net{nn::Dense(2, 2, {.bias = false}), nn::Dense(2, 2, {.bias = false})};
  net.initialize(nn::constant(1), Rng(1));
  const Parameter first = net.parameter("0.weight");
  int calls = 0;
  const auto twice = [](const Var& g) { return 2 * g; };
  nn::ForwardHook forward = net.add_forward_hook([&](auto&, auto, const Var&) { ++calls; });
  HookHandle hook = add_gradient_hook(first, twice);
  nn::ForwardHook output = net.add_output_gradient_hook(twice);
  Program slope =
      compile([&](const Var& x) { return gradient(sum(net(x)), {first})[0]; }, {{1, 2}});
  CHECK(calls == 1);
  const Tensor x = Tensor::ones({1, 2});
  const Tensor with = slope(x);
  CHECK(with.flat(0) == 2 * 2 * 2);
  hook.remove();
  output.remove();
  const HookHandle other = add_gradient_hook(first, [](const Var& g) { return 100 * g; });
  CHECK(identical(slope(x), with));
  CHECK(calls == 1);
  net.tie("1.weight", Parameter(Tensor::zeros({2, 2}), "zero"));
  CHECK(identical(slope(x), with));
  Parameter frozen = first;
  frozen.freeze();
  CHECK(identical(slope(x), with));
}

TEST_CASE("rules that divide by a root refuse an epsilon of 0", "[review][optim]") {
  const Parameters p{Parameter(Tensor({1.0}))};
  REQUIRE_ERROR(optim::Adam(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::AdamW(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::Adamax(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::NAdam(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::RAdam(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::Lamb(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::Adagrad(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::RMSprop(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::Adadelta(p, {.epsilon = 0}), ValueError, "epsilon 0: must be");
  REQUIRE_ERROR(optim::Adam(p, {.epsilon = 1e-50}), ValueError, "epsilon 1e-50: must be");
}

}  // namespace xtape
