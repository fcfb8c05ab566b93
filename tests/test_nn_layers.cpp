#include <set>

#include "support.hpp"

// Every layer: gradients, programs, shapes, clones, modes.
namespace xtape {
namespace {

using test::relative_difference;

struct Case {
  const char* name;
  std::function<std::shared_ptr<nn::Module>()> make;  // f64, of known or open sizes
  std::vector<Shape> in;
  int order = 1;
};

template <class M, class... A>
std::function<std::shared_ptr<nn::Module>()> of(A... a) {
  return [=] {
    auto m = std::make_shared<M>(a...);
    m->to(f64);
    return m;
  };
}

constexpr std::int64_t kOpen = nn::infer;

std::vector<Case> cases() {
  const nn::ConvLayerOptions odd{.stride = 2, .padding = 1, .groups = 2};
  const nn::ConvTransposeLayerOptions spread{.stride = 2, .padding = 1, .output_padding = 1};
  const nn::RecurrentOptions deep{.layers = 2, .batch_first = true, .bidirectional = true};
  return {
      {"dense", of<nn::Dense>(3, 4), {{2, 3}}, 2},
      {"dense open", of<nn::Dense>(kOpen, 4), {{2, 5, 3}}, 2},
      {"bilinear", of<nn::Bilinear>(3, 2, 4), {{5, 3}, {5, 2}}, 2},
      {"neurons",
       of<nn::Neurons>(3, std::vector<nn::Activation>{nn::Tanh(), nn::GELU()}),
       {{4, 3}}},
      {"conv1d", of<nn::Conv1d>(2, 3, 3), {{2, 2, 7}}, 2},
      {"conv2d", of<nn::Conv2d>(4, 6, PerAxis{3, 2}, odd), {{2, 4, 5, 5}}},
      {"conv2d open", of<nn::Conv2d>(kOpen, 6, 3, odd), {{2, 4, 5, 5}}},
      {"conv2d same",
       of<nn::Conv2d>(2, 3, 3, nn::ConvLayerOptions{.padding = "same"}),
       {{2, 4, 4}}},
      {"conv1d circular",
       of<nn::Conv1d>(2, 3, 4,
                      nn::ConvLayerOptions{.padding = "same", .padding_mode = Padding::circular}),
       {{2, 2, 5}},
       2},
      {"conv2d reflect",
       of<nn::Conv2d>(
           kOpen, 3, 3,
           nn::ConvLayerOptions{
               .stride = 2, .padding = ConvPadding{1, 2}, .padding_mode = Padding::reflect}),
       {{2, 2, 5, 4}}},
      {"conv3d", of<nn::Conv3d>(kOpen, 2, 2), {{1, 2, 3, 3, 3}}},
      {"transposed 1d", of<nn::ConvTranspose1d>(2, 3, 3, spread), {{2, 2, 4}}},
      {"transposed 2d", of<nn::ConvTranspose2d>(kOpen, 3, 3, spread), {{1, 2, 3, 3}}},
      {"transposed 3d", of<nn::ConvTranspose3d>(2, 2, 2), {{1, 2, 2, 2, 2}}},
      {"max 1d", of<nn::MaxPool1d>(2), {{2, 3, 6}}},
      {"max 2d", of<nn::MaxPool2d>(3, MaxPoolOptions{.stride = 2, .padding = 1}), {{2, 2, 6, 6}}},
      {"max 3d", of<nn::MaxPool3d>(2), {{1, 2, 4, 4, 4}}},
      {"mean 1d", of<nn::AvgPool1d>(2), {{2, 3, 6}}},
      {"mean 2d", of<nn::AvgPool2d>(PerAxis{2, 3}), {{2, 2, 6, 6}}},
      {"mean 3d", of<nn::AvgPool3d>(2), {{1, 2, 4, 4, 4}}},
      {"norm 2d", of<nn::LpPool2d>(2.0, 2), {{1, 2, 4, 4}}},
      {"adaptive mean 1d", of<nn::AdaptiveAvgPool1d>(2), {{2, 3, 5}}},
      {"adaptive mean 2d", of<nn::AdaptiveAvgPool2d>(1), {{2, 3, 5, 4}}},
      {"adaptive mean 3d", of<nn::AdaptiveAvgPool3d>(2), {{1, 2, 3, 3, 3}}},
      {"adaptive max 1d", of<nn::AdaptiveMaxPool1d>(2), {{2, 3, 5}}},
      {"adaptive max 2d", of<nn::AdaptiveMaxPool2d>(2), {{2, 3, 5, 4}}},
      {"adaptive max 3d", of<nn::AdaptiveMaxPool3d>(2), {{1, 2, 3, 3, 3}}},
      {"batch norm 1d", of<nn::BatchNorm1d>(3), {{4, 3}}},
      {"batch norm 2d", of<nn::BatchNorm2d>(kOpen), {{2, 3, 3, 2}}, 2},
      {"batch norm 3d", of<nn::BatchNorm3d>(2), {{2, 2, 2, 2, 2}}},
      {"batch norm, cumulative",
       of<nn::BatchNorm>(3, nn::BatchNormLayerOptions{.momentum = std::nullopt}),
       {{4, 3, 2}}},
      {"instance norm",
       of<nn::InstanceNorm>(
           2, nn::InstanceNormLayerOptions{.affine = true, .track_running_stats = true}),
       {{2, 2, 5}}},
      {"layer norm", of<nn::LayerNorm>(Shape{3, 4}), {{2, 3, 4}}, 2},
      {"layer norm open", of<nn::LayerNorm>(kOpen), {{2, 3, 4}}},
      {"rms norm", of<nn::RMSNorm>(4), {{3, 4}}},
      {"group norm", of<nn::GroupNorm>(2, kOpen), {{2, 4, 3}}},
      {"rnn", of<nn::RNN>(3, 4), {{5, 2, 3}}, 2},
      {"relu rnn", of<nn::ReluRNN>(3, 4), {{5, 2, 3}}},
      {"lstm", of<nn::LSTM>(kOpen, 4), {{5, 2, 3}}, 2},
      {"gru", of<nn::GRU>(3, 4), {{5, 2, 3}}, 2},
      {"gru of one sequence", of<nn::GRU>(kOpen, 4), {{5, 3}}},
      {"deep rnn", of<nn::RNN>(3, 4, deep), {{2, 3, 3}}},
      {"deep lstm", of<nn::LSTM>(3, 4, deep), {{2, 3, 3}}},
      {"deep gru", of<nn::GRU>(3, 4, deep), {{2, 3, 3}}},
      {"lstm with state", of<nn::LSTM>(3, 4), {{3, 2, 3}, {1, 2, 4}, {1, 2, 4}}},
      {"open lstm without biases",
       of<nn::LSTM>(kOpen, 4, nn::RecurrentOptions{.layers = 2, .bias = false}),
       {{3, 2, 3}}},
      {"gru without biases", of<nn::GRU>(3, 4, nn::RecurrentOptions{.bias = false}), {{3, 2, 3}}},
      {"conv without bias",
       of<nn::Conv1d>(2, 3, 2, nn::ConvLayerOptions{.bias = false}),
       {{2, 2, 5}}},
      {"attention without biases",
       of<nn::MultiheadAttention>(4, 2, nn::MultiheadAttentionOptions{.bias = false}),
       {{3, 2, 4}, {5, 2, 4}}},
      {"batch norm without state",
       of<nn::BatchNorm>(3,
                         nn::BatchNormLayerOptions{.affine = false, .track_running_stats = false}),
       {{4, 3}}},
      {"layer norm without bias",
       of<nn::LayerNorm>(4, nn::NormLayerOptions{.bias = false}),
       {{3, 4}}},
      {"attention", of<nn::MultiheadAttention>(6, 2), {{4, 2, 6}}},
      {"attention to others",
       of<nn::MultiheadAttention>(
           6, 3, nn::MultiheadAttentionOptions{.batch_first = true, .kdim = 4, .vdim = 5}),
       {{2, 3, 6}, {2, 4, 4}, {2, 4, 5}}},
      {"encoder",
       of<nn::TransformerEncoderLayer>(
           4, 2,
           nn::TransformerOptions{
               .feedforward = 6, .dropout = 0, .activation = nn::GELU(), .causal = true}),
       {{3, 2, 4}}},
      {"decoder",
       of<nn::TransformerDecoderLayer>(4, 2,
                                       nn::TransformerOptions{.feedforward = 6,
                                                              .dropout = 0,
                                                              .activation = nn::Tanh(),
                                                              .batch_first = true,
                                                              .norm_first = true}),
       {{2, 3, 4}, {2, 5, 4}}},
      {"encoders",
       of<nn::TransformerEncoder>(
           nn::TransformerEncoderLayer(4, 2, {.feedforward = 6, .dropout = 0}), 2, true),
       {{3, 2, 4}}},
      {"decoders",
       of<nn::TransformerDecoder>(
           nn::TransformerDecoderLayer(4, 2, {.feedforward = 6, .dropout = 0}), 2),
       {{3, 2, 4}, {5, 2, 4}}},
      {"prelu", of<nn::PReLU>(nn::PReLUOptions{.channels = 3}), {{2, 3, 2}}},
      {"flatten", of<nn::Flatten>(), {{2, 3, 4}}},
      {"unflatten", of<nn::Unflatten>(1, Shape{2, -1}), {{2, 6}}},
      {"select", of<nn::Select>(1, -1), {{2, 3, 4}}},
      {"mean", of<nn::Mean>(Axes{1, 2}), {{2, 3, 4}}},
      {"add", of<nn::Add>(), {{2, 3}, {3}, {2, 1}}},
      {"multiply", of<nn::Multiply>(), {{2, 3}, {3}}, 2},
      {"concat", of<nn::Concat>(1), {{2, 3}, {2, 1}}},
      {"residual", of<nn::Residual>(nn::Dense(3, 3)), {{2, 3}}},
      {"residual with shortcut", of<nn::Residual>(nn::Dense(3, 5), nn::Dense(3, 5)), {{2, 3}}},
      {"parallel", of<nn::Parallel>(nn::Concat(), nn::Dense(3, 2), nn::Dense(3, 4)), {{2, 3}}},
      {"channel dropout, still", of<nn::ChannelDropout>(0.0), {{2, 3, 4}}},
  };
}

std::vector<Tensor> inputs(const Case& c) {
  Rng rng(11);
  std::vector<Tensor> out;
  for (const Shape& s : c.in) out.push_back(rng.normal(s, 0, 1, f64));
  return out;
}

Var run(const nn::Module& m, std::span<const Var> xs) { return m(xs); }

void randomise(nn::Module& m) {
  // Weights of 1 and biases of 0 would hide mistakes.
  Rng rng(5);
  for (Parameter p : m.parameters()) p.assign(rng.normal(p.shape(), 0, 0.5, f64));
}

}  // namespace

TEST_CASE("every layer has right gradients, eagerly and in programs", "[nn][layers]") {
  for (const Case& c : cases()) {
    INFO(c.name);
    const auto m = c.make();
    const std::vector<Tensor> xs = inputs(c);
    std::vector<Spec> specs;
    for (const Tensor& x : xs) specs.push_back(x.spec());
    const Shape shape = m->output_spec(specs).shape;  // builds
    randomise(*m);

    const auto loss = [&](Tape& t) {
      std::vector<Var> in;
      for (const Tensor& x : xs) in.push_back(t.input(x));
      const Var y = run(*m, in);
      const Tensor w = Rng(3).normal(y.shape(), 0, 1, f64);
      return sum(y * w);
    };
    if (m->parameter_count() > 0) {
      const auto r = gradcheck_parameters(loss, m->parameters(), {.order = c.order});
      INFO(r);
      CHECK(r.ok());
    }
    const auto r =
        gradcheck([&](std::span<const Var> in) { return run(*m, in); }, xs, {.order = c.order});
    INFO(r);
    CHECK(r.ok());

    Tape tape;
    std::vector<Var> in;
    for (const Tensor& x : xs) in.push_back(tape.variable(x));
    const Var y = run(*m, in);
    CHECK(y.shape() == shape);
    std::vector<Var> targets = in;
    for (const Parameter& p : m->parameters()) targets.push_back(p);
    const Tensor w = Rng(3).normal(shape, 0, 1, f64);
    const Tensors eager = tape.gradient(sum(y * w), targets);
    Program program = compile(
        [&](std::span<const Var> v) {
          const Var out = run(*m, v);
          std::vector<Var> all(v.begin(), v.end());
          for (const Parameter& p : m->parameters()) all.push_back(p);
          std::vector<Var> results = gradient(sum(out * w), all);
          results.push_back(out);
          return results;
        },
        specs);
    const std::vector<Tensor> results = program.run(xs);
    for (std::size_t i = 0; i < eager.size(); ++i) {
      CHECK(relative_difference(results[i], eager[i]) < 1e-11);
    }
    CHECK(relative_difference(results.back(), y.value()) < 1e-12);

    const auto clone = m->clone();
    CHECK(clone->describe() == m->describe());
    REQUIRE(clone->parameters().size() == m->parameters().size());
    std::vector<Var> plain;
    for (const Tensor& x : xs) plain.push_back(no_grad(x));
    CHECK(identical(run(*clone, plain).value(), run(*m, plain).value()));
    for (Parameter p : clone->parameters()) p.assign(Tensor::zeros(p.shape(), f64));
    CHECK(identical(run(*m, plain).value(), y.value()));
  }
}

TEST_CASE("every activation is a layer, by class and by name", "[nn][layers]") {
  const std::vector<nn::Activation> classes{
      nn::Sigmoid(),        nn::ReLU(),       nn::Tanh(),        nn::Softplus(),
      nn::Softmax(),        nn::Identity(),   nn::LeakyReLU(),   nn::ELU(),
      nn::SELU(),           nn::CELU(),       nn::SiLU(),        nn::GELU(),
      nn::GELU(Gelu::tanh), nn::Mish(),       nn::Softsign(),    nn::LogSigmoid(),
      nn::Hardtanh(),       nn::ReLU6(),      nn::Hardsigmoid(), nn::Hardswish(),
      nn::Tanhshrink(),     nn::Softshrink(), nn::Hardshrink(),  nn::Threshold(0, 0),
      nn::LogSoftmax(),     nn::Softmin(),    nn::GLU()};
  std::set<std::string> names;
  for (const nn::ActivationKind& k : nn::activation_kinds()) names.insert(k.name);
  CHECK(names.size() == classes.size());
  Rng rng(2);
  const Tensor x = rng.normal({3, 4}, 0, 2, f64);
  for (const nn::Activation& a : classes) {
    INFO(a.name());
    CHECK(names.erase(a.name()) == 1);
    CHECK(a.same_as(nn::activation(a.name())));
    CHECK(gradcheck([&](const Var& v) { return a(v); }, {x}).ok());
    Program p = compile([&](const Var& v) { return a(v); }, {{{3, 4}, f64}});
    CHECK(relative_difference(p(x), a(no_grad(x)).value()) < 1e-14);
  }
  // With numbers, their values and texts.
  const Tensor v({-2.0, 3.0});
  CHECK(nn::LeakyReLU(0.5)(v).value().flat(0) == -1);
  CHECK(nn::activation("leaky_relu:0.5")(v).value().flat(0) == -1);
  CHECK(nn::LeakyReLU(0.5).name() == "leaky_relu:0.5");
  CHECK(nn::Hardtanh(-1, 2).name() == "hardtanh:-1:2");
  CHECK(nn::activation("hardtanh:-1:2")(v).value().flat(1) == 2);
  CHECK_FALSE(nn::LeakyReLU(0.5).same_as(nn::LeakyReLU()));
  CHECK(nn::Softplus(2)(v).value().flat(0) == Approx(std::log1p(std::exp(-4.0)) / 2));
  CHECK(nn::Softmax(0)(Tensor({{1, 2}, {1, 2}})).value().flat(1) == 0.5);
  REQUIRE_ERROR(nn::activation("relu:1"), ParseError, "takes 0 numbers, not 1");
  REQUIRE_ERROR(nn::activation("elu:x"), ParseError, "'x' in 'elu:x' is not a number");
  REQUIRE_ERROR(nn::Neurons(2, {nn::GLU()}), ValueError, "glu looks at all neurons");
}

TEST_CASE("batch normalization learns statistics and then uses them", "[nn][layers]") {
  nn::BatchNorm1d norm(2, {.dtype = f64});
  const auto state = [&](std::size_t k, int i) { return norm.buffers()[k].value().flat(i); };
  CHECK(norm.buffers()[0].name() == "running_mean");
  CHECK(norm.buffers()[2].name() == "num_batches_tracked");
  const Tensor x({{1, 10}, {3, 10}, {5, 40}});
  norm(no_grad(x));
  CHECK(state(0, 0) == Approx(0.3));
  CHECK(state(1, 0) == Approx(0.9 + 0.1 * 4));
  CHECK(state(1, 1) == Approx(0.9 + 0.1 * 300));
  CHECK(state(2, 0) == 1);
  norm.eval();
  const Tensor y = norm(no_grad(x)).value();
  CHECK(y.at({0, 0}) == Approx((1 - 0.3) / std::sqrt(1.3 + 1e-5)));
  CHECK(state(0, 0) == Approx(0.3));
  CHECK(state(2, 0) == 1);
  // In training the output does not depend on them.
  norm.train();
  CHECK(std::abs(sum(norm(no_grad(x))).item()) < 1e-12);
  // Without momentum: the mean over batches.
  nn::BatchNorm1d mean(2, {.momentum = std::nullopt, .dtype = f64});
  mean(no_grad(x));
  mean(no_grad(x * 3));
  CHECK(mean.buffers()[0].value().flat(0) == Approx(6));
  CHECK(mean.buffers()[1].value().flat(0) == Approx((4 + 36) / 2.0));
  REQUIRE_ERROR(nn::BatchNorm2d(3)(no_grad(x)), ShapeError, "[BatchNorm] input of shape (3, 2)");
  REQUIRE_ERROR(norm(no_grad(Tensor({{1, 2}}))), ShapeError, "");
  CHECK(state(2, 0) == 2);  // the refused batch does not count
}

TEST_CASE("programs move running statistics as eager steps do", "[nn][layers][program]") {
  const nn::Sequential eager(nn::Dense(2, 3, {.dtype = f64}), nn::BatchNorm1d(3, {.dtype = f64}),
                             nn::Tanh());
  const auto twin = eager.clone();
  Rng rng(4);
  Program p = compile(
      [&](const Var& x) {
        const Var loss = sum(square((*twin)(x)));
        std::vector<Var> g = gradient(loss, twin->parameters());
        g.push_back(loss);
        return g;
      },
      {{{4, 2}, f64}});
  for (int i = 0; i < 3; ++i) {
    const Tensor x = rng.normal({4, 2}, 1, 2, f64);
    Tape tape;
    const Var loss = sum(square(eager(tape.input(x))));
    const Tensors g = tape.gradient(loss, eager.parameters());
    const std::vector<Tensor> got = p.run({x});
    CHECK(got.back().item() == Approx(loss.item()).epsilon(1e-12));
    for (std::size_t k = 0; k < g.size(); ++k) CHECK(relative_difference(got[k], g[k]) < 1e-9);
    for (std::size_t k = 0; k < 3; ++k) {
      CHECK(relative_difference(twin->buffers()[k].value(), eager.buffers()[k].value()) < 1e-13);
    }
  }
}

TEST_CASE("dropout draws fresh masks from a stream by its place", "[nn][layers]") {
  nn::Sequential net(nn::Dropout(0.25), nn::Dropout(0.25));
  const Tensor x = Tensor::ones({1000}, f64);
  const auto zeros = [](const Tensor& t) { return sum(cast(equal(t, 0), f64)).item(); };
  const Tensor a = net[0](no_grad(x)).value(), b = net[0](no_grad(x)).value(),
               c = net[1](no_grad(x)).value();
  CHECK(zeros(a) == Approx(250).margin(60));
  CHECK(a.at({0}) + a.at({1}) + a.at({2}) > 0);
  CHECK(sum(a).item() == Approx(1000).epsilon(0.1));
  CHECK_FALSE(identical(a, b));
  CHECK_FALSE(identical(a, c));
  // The same network draws the same numbers; a seed draws others, but the same for the same seed.
  nn::Sequential again(nn::Dropout(0.25), nn::Dropout(0.25));
  CHECK(identical(again[0](no_grad(x)).value(), a));
  net.seed(Rng(7));
  again.initialize(Rng(7));
  const Tensor seeded = net[0](no_grad(x)).value();
  CHECK(identical(again[0](no_grad(x)).value(), seeded));
  CHECK_FALSE(identical(seeded, a));
  // A clone goes on from there, with a stream of its own.
  const auto clone = net.clone();
  CHECK(identical(clone->children()[0].module->forward(no_grad(x)).value(),
                  net[0](no_grad(x)).value()));
  // Positions kept are positions to go on from.
  REQUIRE(net.random_state().size() == 4);
  const Tensor position = net.random_state()[1].value();
  const Tensor next = net[0](no_grad(x)).value();
  Parameter(net.random_state()[1]).assign(position);
  CHECK(identical(net[0](no_grad(x)).value(), next));
  net.eval();
  CHECK(identical(net(no_grad(x)).value(), x));
  REQUIRE_ERROR(nn::Dropout(1), ValueError, "p = 1");
}

TEST_CASE("programs draw fresh masks at every run, those of eager steps", "[nn][layers][program]") {
  nn::Sequential net(nn::Dropout(0.5), nn::Tanh());
  nn::Sequential twin(nn::Dropout(0.5), nn::Tanh());
  const Tensor x = Tensor::ones({64}, f64);
  Program p = compile([&](const Var& v) { return net(v); }, {{{64}, f64}});
  const Tensor first = p(x).clone(), second = p(x).clone();
  CHECK_FALSE(identical(first, second));
  CHECK(relative_difference(twin(no_grad(x)).value(), first) < 1e-15);
  CHECK(relative_difference(twin(no_grad(x)).value(), second) < 1e-15);
}

TEST_CASE("channel dropout drops whole channels", "[nn][layers]") {
  const nn::ChannelDropout drop(0.5);
  const Tensor y = drop(no_grad(Tensor::ones({20, 5, 3, 3}, f64))).value();
  const Tensor per = sum(y, {2, 3}).value();
  int none = 0;
  for (std::int64_t i = 0; i < per.size(); ++i) {
    CHECK((per.flat(i) == 0 || per.flat(i) == 18));
    none += per.flat(i) == 0;
  }
  CHECK(none == Approx(50).margin(25));
}

TEST_CASE("embeddings take indices and keep the row of padding", "[nn][layers]") {
  nn::Embedding e(4, 3, {.padding_idx = -4, .dtype = f64});
  CHECK(e.weight().value().flat(0) == 0);
  CHECK(e.weight().value().flat(3) != 0);
  const Tensor ids = Tensor({{0, 2, 2}}).to(i64);
  CHECK(e.output_shape({1, 3}) == Shape{1, 3, 3});
  Tape tape;
  const Tensor g = tape.gradient(sum(e(tape.input(ids))), e.parameters())[0];
  CHECK(identical(g, Tensor({{0, 0, 0}, {0, 0, 0}, {2, 2, 2}, {0, 0, 0}})));
  REQUIRE_ERROR(nn::Embedding(4, 3, {.padding_idx = 4}), ValueError, "padding_idx 4");
  nn::Sequential net(nn::Embedding(4, 3), nn::LSTM(3, 2, {.batch_first = true}));
  CHECK(net.output_shape({5, 6}) == Shape{5, 6, 2});
}

TEST_CASE("open layers become what they would have been", "[nn][layers][lazy]") {
  const auto check = [](const nn::Module& open, const nn::Module& known, const Shape& in) {
    INFO(known.describe());
    for (const Parameters& list : {open.parameters(), open.buffers()}) {
      for (const Parameter& p : list) {
        if (p.name().find("hh_l0") == std::string::npos && p.name() != "num_batches_tracked") {
          REQUIRE_ERROR(p.value(), ValueError, "no value yet");
        }
      }
    }
    const auto clone = open.clone();
    open.build(in);
    for (const nn::Module* m : {&open, static_cast<const nn::Module*>(clone.get())}) {
      CHECK(m->output_shape(in) == known.output_shape(in));
      const Parameters p = m->parameters(), q = known.parameters();
      REQUIRE(p.size() == q.size());
      for (std::size_t i = 0; i < p.size(); ++i) CHECK(identical(p[i].value(), q[i].value()));
      for (std::size_t i = 0; i < m->buffers().size(); ++i) {
        CHECK(identical(m->buffers()[i].value(), known.buffers()[i].value()));
      }
    }
  };
  const nn::ConvLayerOptions conv{.groups = 2, .bias_init = nn::lecun_normal()};
  check(nn::Conv2d(kOpen, 4, 3, conv), nn::Conv2d(6, 4, 3, conv), {2, 6, 5, 5});
  check(nn::ConvTranspose1d(kOpen, 4, 3), nn::ConvTranspose1d(6, 4, 3), {2, 6, 5});
  check(nn::Dense(kOpen, 4, {.bias_init = nn::lecun_normal()}),
        nn::Dense(6, 4, {.bias_init = nn::lecun_normal()}), {2, 6});
  check(nn::BatchNorm2d(kOpen), nn::BatchNorm2d(6), {2, 6, 3, 3});
  check(nn::GroupNorm(3, kOpen), nn::GroupNorm(3, 6), {2, 6, 3});
  check(nn::LayerNorm(kOpen), nn::LayerNorm(6), {2, 6});
  check(nn::RMSNorm(kOpen), nn::RMSNorm(6), {2, 6});
  check(nn::LSTM(kOpen, 4), nn::LSTM(6, 4), {3, 2, 6});
  const nn::RecurrentOptions both{.bias = false, .bidirectional = true};
  check(nn::LSTM(kOpen, 4, both), nn::LSTM(6, 4, both), {3, 2, 6});
}

TEST_CASE("a convolution pads with what its mode says", "[nn][layers]") {
  const Var x = no_grad(Tensor::arange(5).to(f64).reshape({1, 1, 5}));
  const auto output = [&](const nn::ConvLayerOptions& o) {
    nn::Conv1d c(1, 1, 3, o);
    c.to(f64);
    c.parameter("weight").assign(Tensor({1, 10, 100}).reshape({1, 1, 3}));
    return c(x).value();
  };
  const auto row = [](std::initializer_list<double> v) {
    return Tensor::from(std::vector<double>(v), {1, 1, static_cast<std::int64_t>(v.size())});
  };
  CHECK(identical(output({.padding = 1}), row({100, 210, 321, 432, 43})));
  CHECK(identical(output({.padding = 1, .padding_mode = Padding::reflect}),
                  row({101, 210, 321, 432, 343})));
  CHECK(identical(output({.padding = 1, .padding_mode = Padding::replicate}),
                  row({100, 210, 321, 432, 443})));
  CHECK(identical(output({.padding = 1, .padding_mode = Padding::circular}),
                  row({104, 210, 321, 432, 43})));
  // In "same" the odd one goes to the end.
  nn::Conv1d even(1, 1, 2, {.padding = "same", .padding_mode = Padding::replicate});
  even.to(f64);
  even.parameter("weight").assign(Tensor({1, 10}).reshape({1, 1, 2}));
  CHECK(identical(even(x).value(), row({10, 21, 32, 43, 44})));
  CHECK(nn::Conv1d(1, 1, 3, {.padding = 1, .padding_mode = Padding::reflect}).describe() ==
        "Conv1d(1 → 1, window (3,), padding (1,), reflect)");
  const nn::Conv1d far(1, 1, 3, {.padding = 5, .padding_mode = Padding::reflect});
  REQUIRE_ERROR(far(no_grad(Tensor::zeros({1, 1, 5}))), ValueError, "");
}

TEST_CASE("a convolution's fans count what a unit sees", "[nn][layers][init]") {
  const auto spread = [](const nn::Module& m) {
    return std::sqrt(mean(square(m.parameters()[0].value())).item());
  };
  const nn::ConvLayerOptions o{.groups = 4, .weight_init = nn::he_normal(), .dtype = f64};
  CHECK(spread(nn::Conv2d(64, 64, 5, o)) == Approx(std::sqrt(2.0 / (16 * 25))).epsilon(0.02));
  const nn::ConvLayerOptions back{.weight_init = nn::he_normal(nn::Fan::out), .dtype = f64};
  CHECK(spread(nn::Conv2d(64, 32, 5, back)) == Approx(std::sqrt(2.0 / (32 * 25))).epsilon(0.02));
}

TEST_CASE("layers refuse what does not fit", "[nn][layers][errors]") {
  REQUIRE_ERROR(nn::Conv2d(0, 3, 3), ValueError, "[Conv2d] 0 → 3 channels");
  REQUIRE_ERROR(nn::Conv2d(4, 6, 3, {.groups = 4}), ValueError, "4 groups");
  REQUIRE_ERROR(nn::Conv2d(4, 6, PerAxis{3, 3, 3}), ValueError, "window (3, 3, 3)");
  REQUIRE_ERROR(nn::Conv2d(nn::infer, 6, 3)(no_grad(Tensor::ones({3, 3}))), ShapeError,
                "input of shape (3, 3)");
  REQUIRE_ERROR(nn::LSTM(3, 0), ValueError, "[LSTM(3 → 0)]");
  REQUIRE_ERROR(nn::GRU(3, 2)(no_grad(Tensor::ones({4, 2, 5}))), ShapeError,
                "must be [time, batch, 3]");
  REQUIRE_ERROR(nn::GRU(3, 2).run(no_grad(Tensor::ones({4, 2, 3})), {Tensor::ones({1, 3, 2})}),
                ShapeError, "[layers·directions, batch, hidden] = (1, 2, 2)");
  REQUIRE_ERROR(nn::MultiheadAttention(5, 2), ValueError, "5 features in 2 heads");
  REQUIRE_ERROR(nn::LayerNorm(Shape{0}), ValueError, "normalized shape (0,)");
  REQUIRE_ERROR(nn::GroupNorm(2, 5), ValueError, "5 channels in 2 groups");
  REQUIRE_ERROR(nn::Parallel({}, nullptr), ValueError, "no branches");
  REQUIRE_ERROR(nn::Residual(std::shared_ptr<nn::Module>()), ValueError, "'body' is null");
}

}  // namespace xtape
