#include <filesystem>
#include <set>
#include <unistd.h>

#include <xtape/nn/export.hpp>

#include "support.hpp"

// Networks of any shape, by names and from text.
namespace xtape {
namespace {

using test::relative_difference;

Tensor draw(const Shape& s, std::uint64_t seed) { return Rng(seed).normal(s, 0, 1, f64); }

nn::TextOptions doubles() { return {.dense = {.dtype = f64}}; }

const char* const kLines =
    "# two ways to the sum\n"
    "x = input:3x8x8\n"
    "a = conv2d:4:3:padding=same (x)\n"
    "b = conv2d:4:1:nobias (x)\n"
    "s = add (a, b)\n"
    "y = dense:5 (f)   # needs what comes later\n"
    "f = flatten (s)\n"
    "t = same:a (x)\n"
    "output (y, t)\n";

// A text of a random topology of vectors: skip connections, joins, shared modules.
std::string random_text(std::uint64_t seed) {
  Rng rng(seed);
  const auto pick = [&](std::int64_t n) { return rng.integer(n); };
  const std::vector<std::string> words{"dense:5",     "dense:3:nobias", "tanh",
                                       "gelu",        "elu:0.7",        "layernorm",
                                       "batchnorm",   "rmsnorm",        "neurons:tanh,sigmoid,silu",
                                       "softmax",     "prelu",          "groupnorm:1",
                                       "log_softmax", "softplus:2"};
  std::string text = "x0 = input:4\n";
  std::vector<std::string> names{"x0"}, dense;
  if (pick(2)) {
    text += "x1 = input:" + std::to_string(1 + pick(5)) + "\n";
    names.emplace_back("x1");
  }
  std::set<std::string> unused(names.begin(), names.end());
  const auto use = [&] {
    const std::string& n = names[static_cast<std::size_t>(pick(std::int64_t(names.size())))];
    unused.erase(n);
    return n;
  };
  const auto line = [&](const std::string& word, const std::string& inputs) {
    const std::string name = "n" + std::to_string(names.size());
    text += name + " = " + word + " (" + inputs + ")\n";
    names.push_back(name);
    unused.insert(name);
    return name;
  };
  const std::int64_t n = 3 + pick(7);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t kind = pick(8);
    if (kind == 0) {
      line("concat", use() + ", " + use());
    } else if (kind == 1) {
      const std::string a = line("dense:4", use()), b = line("dense:4", use());
      unused.erase(a);
      unused.erase(b);
      line(pick(2) ? "add" : "multiply", a + ", " + b);
    } else if (kind == 2) {
      line("bilinear:2", use() + ", " + use());
    } else if (kind == 3) {
      const std::string a = line("dense:6", use()), b = line("dense:6", a);
      unused.erase(a);
      unused.erase(b);
      const std::string c = line("same:" + b, b);
      unused.erase(c);
      line("add", a + ", " + c);  // a residual over a module that stands twice
    } else {
      line(words[static_cast<std::size_t>(pick(std::int64_t(words.size())))], use());
    }
  }
  std::string rest;
  for (const std::string& u : unused) rest += (rest.empty() ? "" : ", ") + u;
  line("concat", rest);
  const std::string last = names.back();
  text += "y = dense:2 (" + last + ")\n";
  return text;
}

}  // namespace

TEST_CASE("a graph runs what its names say", "[nn][graph]") {
  nn::Graph g;
  const auto twice = std::make_shared<nn::Dense>(3, 3, nn::DenseOptions{.dtype = f64});
  g.input("x").input("z");
  g.add("sum", nn::Add(), {"h2", "x"});  // before what it needs
  g.add("h1", twice, {"x"}).add("t", nn::Tanh(), {"h1"}).add("h2", twice, {"t"});
  g.add("joined", nn::Concat(), {"sum", "z"}).output("joined").output("t");
  const Tensor x = draw({2, 3}, 1), z = draw({2, 2}, 2);
  const Var xs[] = {no_grad(x), no_grad(z)};
  const std::vector<Var> out = g.run(xs);
  REQUIRE(out.size() == 2);
  const Var t = tanh((*twice)(xs[0]));
  CHECK(identical(out[1].value(), t.value()));
  CHECK(identical(out[0].value(), concat({(*twice)(t) + xs[0], xs[1]}, -1).value()));
  CHECK(g.parameters().size() == 2);
  CHECK(g.parameters()[0].name() == "h1.weight");
  REQUIRE_ERROR(g(std::span<const Var>(xs)), ValueError, "2 outputs (joined, t): call run()");
  REQUIRE_ERROR(g.run({xs, 1}), ValueError, "1 inputs: it takes 2 (x, z)");
  const auto r = gradcheck_parameters(
      [&](Tape& tape) {
        const Var in[] = {tape.input(x), tape.input(z)};
        const std::vector<Var> y = g.run(in);
        return sum(square(y[0])) + sum(y[1]);
      },
      g.parameters(), {.order = 2});
  INFO(r);
  CHECK(r.ok());
  // A clone is a graph of its own, in which the module stands twice, too.
  const auto clone = std::dynamic_pointer_cast<nn::Graph>(g.clone());
  REQUIRE(clone);
  CHECK(clone->parameters().size() == 2);
  for (Parameter p : g.parameters()) p.assign(Tensor::zeros(p.shape(), f64));
  CHECK(identical(clone->run(xs)[0].value(), out[0].value()));
}

TEST_CASE("what is wrong with a graph is said", "[nn][graph][errors]") {
  const Var x = no_grad(Tensor::ones({2, 3}));
  nn::Graph g;
  g.input("x").add("a", nn::Tanh(), {"b"}).add("b", nn::Add(), {"x", "c"});
  g.add("c", nn::Tanh(), {"a"}).output("c");
  REQUIRE_ERROR(g(x), ValueError, "a cycle, each needed by the one before: a → b → c → a");
  nn::Graph unknown;
  unknown.input("x").add("a", nn::Tanh(), {"y"}).output("a");
  REQUIRE_ERROR(unknown(x), ValueError, "node 'a' needs 'y', which is not one of x, a");
  nn::Graph unused;
  unused.input("x").add("a", nn::Tanh(), {"x"}).add("b", nn::Tanh(), {"x"}).output("a");
  REQUIRE_ERROR(unused(x), ValueError, "node 'b' is not used");
  unused.output("b");
  CHECK(unused.run({&x, 1}).size() == 2);
  nn::Graph idle;
  idle.input("x").input("z").add("a", nn::Tanh(), {"x"}).output("a");
  REQUIRE_ERROR(idle.check(), ValueError, "input 'z' is not used");
  REQUIRE_ERROR(nn::Graph().check(), ValueError, "no output");
  REQUIRE_ERROR(g.add("a", nn::Tanh(), {"x"}), ValueError, "there is a 'a' already");
  REQUIRE_ERROR(g.add("2a", nn::Tanh(), {"x"}), ValueError, "'2a' is no name");
  REQUIRE_ERROR(g.add("d", nn::Tanh(), {}), ValueError, "node 'd' has no inputs");
  REQUIRE_ERROR(g.output("c"), ValueError, "'c' is an output already");
  // Errors of a node name it.
  nn::Graph bad;
  bad.input("x").add("h", nn::Dense(4, 2), {"x"}).output("h");
  REQUIRE_ERROR(bad(x), ShapeError, "[h] Dense: input of shape (2, 3)");
}

TEST_CASE("long graphs need no stack", "[nn][graph]") {
  nn::Graph g;
  const auto id = std::make_shared<nn::Identity>();
  g.input("x");
  for (int i = 3000; i > 0; --i) {
    g.add("n" + std::to_string(i), id, {i == 1 ? "x" : "n" + std::to_string(i - 1)});
  }
  g.output("n3000");
  CHECK(g(no_grad(Tensor::ones({2}))).value().flat(1) == 1);
}

TEST_CASE("texts in lines make graphs", "[nn][graph][text]") {
  const nn::TextNetwork t = nn::parse_network(kLines, doubles());
  REQUIRE(t.graph);
  CHECK(t.samples == std::vector<Shape>{{3, 8, 8}});
  CHECK(t.net.parameters().size() == 5);
  CHECK(t.net.parameters()[0].name() == "0.a.weight");
  const Tensor x = draw({2, 3, 8, 8}, 1);
  const Var in = no_grad(x);
  const std::vector<Var> out = t.graph->run({&in, 1});
  CHECK(out[0].shape() == Shape{2, 5});
  const Var a = (*t.graph->node("a"))(in), b = (*t.graph->node("b"))(in);
  CHECK(identical(out[1].value(), a.value()));
  CHECK(identical(out[0].value(), (*t.graph->node("y"))(flatten(a + b, 1)).value()));
  // It writes what it reads.
  CHECK(t.text ==
        "x = input:3x8x8\n"
        "a = conv2d:4:3:padding=same (x)\n"
        "b = conv2d:4:1:nobias (x)\n"
        "s = add (a, b)\n"
        "f = flatten (s)\n"
        "y = dense:5 (f)\n"
        "t = same:a (x)\n"
        "output (y, t)");
  const nn::TextNetwork again = nn::parse_network(t.text, doubles());
  CHECK(again.text == t.text);
  CHECK(identical(again.graph->run({&in, 1})[0].value(), out[0].value()));
}

TEST_CASE("a summary has a row for each node", "[nn][graph]") {
  const nn::TextNetwork t = nn::parse_network(
      "x = input:1x6x6\na = conv2d:2:3 (x)\nf = flatten (a)\ny = dense:4 (f)\nn = batchnorm (y)\n");
  CHECK(nn::summary(t.net, t.samples[0]) ==
        "name  layer                         output shape  parameters\n"
        "      input                         (1, 6, 6)               \n"
        "0.a   Conv2d(1 → 2, window (3, 3))  (2, 4, 4)             20\n"
        "0.f   Flatten()                     (32,)                  0\n"
        "0.y   Dense(32 → 4)                 (4,)                 132\n"
        "0.n   BatchNorm(4)                  (4,)                   8\n"
        "total: 160 parameters\n");
}

TEST_CASE("words make every kind of layers", "[nn][text]") {
  const auto check = [](const std::string& text, const Shape& sample, const Shape& out) {
    INFO(text);
    const nn::TextNetwork t = nn::parse_network(text, doubles());
    CHECK(t.samples == std::vector<Shape>{sample});
    CHECK(t.text == text);  // these are as short as can be
    Shape in{3};
    for (const std::int64_t e : sample) in.push_back(e);
    CHECK(t.net.output_shape(in) == out);
    for (const Parameter& p : t.net.parameters()) CHECK(p.dtype() == f64);
  };
  check("1x28x28 conv2d:6:5:padding=2 relu maxpool2d:2 flatten dense:10", {1, 28, 28}, {3, 10});
  check("2x9 conv1d:4:3:padding=same:mode=reflect", {2, 9}, {3, 4, 9});
  check("2x9 conv1d:4:3:stride=2 batchnorm1d adaptiveavgpool1d:1 flatten", {2, 9}, {3, 4});
  check("1x4x4x4 conv3d:2:2 instancenorm avgpool3d:3", {1, 4, 4, 4}, {3, 2, 1, 1, 1});
  check("2x4x4 convtranspose2d:3:2:stride=2 channeldropout:0.1", {2, 4, 4}, {3, 3, 8, 8});
  check("5x3 lstm:4:layers=2:bidirectional select:1:-1 dense:2:nobias", {5, 3}, {3, 2});
  check("5x4 attention:2:causal transformer:2:feedforward=8:norm_first mean:1", {5, 4}, {3, 4});
  check("7 embedding:20:6 gru:4 flatten", {7}, {3, 28});
  check("6 groupnorm:2 prelu leaky_relu:0.2 dropout hardtanh:-2:2", {6}, {3, 6});
  // Arguments by place and by name, usual ones left out.
  CHECK(nn::parse_network("3x8x8 conv2d:4:3:1:1 conv2d:channels=4:window=3x1:nobias").text ==
        "3x8x8 conv2d:4:3:padding=1 conv2d:4:3x1:nobias");
}

TEST_CASE("errors in texts mark line and column", "[nn][text][errors]") {
  REQUIRE_ERROR(nn::parse_network("3 dense:4\n  tanhh"), ParseError,
                "(line 2, column 3)\n    tanhh\n    ^^^^^");
  const auto lines = [](const std::string& second, const std::string& third) {
    return nn::parse_network("x = input:3\n" + second + "\n" + third + "\n");
  };
  REQUIRE_ERROR(lines("y = dense:2 (z)", ""), ParseError,
                "'z' is not one of x, y (line 2, column 14)\n  y = dense:2 (z)\n               ^");
  REQUIRE_ERROR(lines("y = add (x, w)", "w = dense:3 (y)"), ParseError,
                "a cycle: 'y' needs what it makes (line 3, column 14)");
  REQUIRE_ERROR(lines("y = dense:2 (x)", "z = dense:2 (x)"), ParseError,
                "node 'y' is not used: no output needs it (line 2, column 1)");
  REQUIRE_ERROR(lines("y = conv2d:4:3 (x)", ""), ParseError,
                "input of shape (2, 3): must be (samples, channels, 2 spatial axes) or without "
                "samples (line 2, column 5)");
  REQUIRE_ERROR(lines("y = conv2d:4 (x)", ""), ParseError,
                "no window: write conv2d:CHANNELS:WINDOW[:stride=1][:padding=0]");
  REQUIRE_ERROR(lines("y = dense:2 x)", ""), ParseError, "(line 2, column 14)");
  REQUIRE_ERROR(lines("y = dense:2 (x", ""), ParseError, "the line ends too early");
  REQUIRE_ERROR(lines("y = dense:2", ""), ParseError, "no inputs: write them in brackets");
  REQUIRE_ERROR(lines("x = dense:2 (x)", ""), ParseError, "");
  REQUIRE_ERROR(lines("y = dense:2 (x)", "output (y, y)"), ParseError, "'y' is an output already");
  REQUIRE_ERROR(lines("y = same:q (x)", ""), ParseError, "'q' is not one of x, y");
  REQUIRE_ERROR(nn::parse_network("3 dense:4:nobias:nobias"), ParseError,
                "'nobias' is no argument");
  REQUIRE_ERROR(nn::parse_network("3 dropout:2"), ParseError, "p = 2: must be in [0, 1)");
  REQUIRE_ERROR(nn::parse_network("3x conv1d:2:2"), ParseError, "not '3x'");
  REQUIRE_ERROR(nn::parse_network("3 conv2d:4:3"), ParseError, "(line 1, column 3)");
  REQUIRE_ERROR(nn::parse_network("3x9 conv1d:2:3:mode=mirror"), ParseError,
                "mode 'mirror': must be zeros, reflect, replicate or circular");
  REQUIRE_ERROR(nn::parse_network("3 dense:units=x"), ParseError, "units must be a whole number");
}

TEST_CASE("a text gets no more memory than it may have", "[nn][text][errors]") {
  // 3.9 TB, refused before anything is asked for.
  REQUIRE_ERROR(nn::parse_network("1000 relu dense:1000000000"), ParseError,
                "(TextOptions::max_bytes) (line 1, column 11)\n");
  REQUIRE_ERROR(nn::parse_network("x = input:4\ny = embedding:2147483648:1024 (x)"), ParseError,
                "(TextOptions::max_bytes) (line 2, column 5)");
  const nn::TextOptions little{.max_bytes = 20'000};
  CHECK(nn::parse_network("40 dense:40", little).net.parameter_count() == 1640);
  REQUIRE_ERROR(nn::parse_network("40 dense:40 dense:40", little), ParseError,
                "(TextOptions::max_bytes) (line 1, column 13)");
  // Many small ones take time, too.
  REQUIRE_ERROR(nn::parse_network("5x4 lstm:1:layers=1001"), ParseError,
                "layers must be a whole number from 1 to 1000");
}

TEST_CASE("fifty random topologies build, train, are kept and exported, and have right gradients",
          "[nn][graph][text]") {
  const std::string file =
      std::filesystem::temp_directory_path() / ("xtape-topology-" + std::to_string(getpid()));
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string text = random_text(seed);
    INFO(text);
    nn::TextNetwork t = nn::parse_network(text, doubles());
    CHECK(nn::parse_network(t.text, doubles()).text == t.text);
    t.net.initialize(Rng(seed));
    std::vector<Tensor> xs;
    for (const Shape& s : t.samples) xs.push_back(draw({5, s[0]}, 100 + seed));
    const Tensor labels = Tensor({0, 1, 1, 0, 1}).to(i64);
    const nn::Module& net = *t.graph;
    const auto loss = [&](Tape& tape) {
      std::vector<Var> in;
      for (const Tensor& x : xs) in.push_back(tape.input(x));
      return nn::cross_entropy(net(std::span<const Var>(in)), labels);
    };
    const auto r = gradcheck_parameters(loss, net.parameters(), {.max_elements = 10, .seed = seed});
    INFO(r);
    CHECK(r.ok());
    // Three steps, eagerly and by a program of a clone: the loss falls, and both go the same way.
    const auto twin = net.clone();
    optim::SGD sgd(net.parameters(), {.learning_rate = 0.01});
    optim::SGD other(twin->parameters(), {.learning_rate = 0.01});
    std::vector<Spec> specs;
    for (const Tensor& x : xs) specs.push_back(x.spec());
    Program step = compile(
        [&](std::span<const Var> in) {
          const Var l = nn::cross_entropy((*twin)(in), labels);
          other.step(gradient(l, twin->parameters()));
          return std::vector<Var>{l};
        },
        specs);
    std::vector<double> losses;
    for (int k = 0; k < 3; ++k) {
      Tape tape;
      const Var l = loss(tape);
      sgd.step(tape.gradient(l, net.parameters()));
      losses.push_back(l.item());
      CHECK(step.run(xs)[0].item() == Approx(l.item()).epsilon(1e-9));
    }
    CHECK(losses[2] < losses[0]);
    // Kept, and read into a network of the same text: the same bits.
    io::save(file, net.parameters());
    const nn::TextNetwork again = nn::parse_network(t.text, doubles());
    io::load(file, again.graph->parameters());
    std::vector<Var> in;
    for (const Tensor& x : xs) in.push_back(no_grad(x));
    const std::span<const Var> inputs(in);
    CHECK(identical((*again.graph)(inputs).value(), net(inputs).value()));
    t.net.to(f32);
    const std::span<const Shape> samples(t.samples);
    const std::string header = nn::export_predictor(t.net, samples, "net");
    CHECK(header.find("predict(const float") != std::string::npos);
  }
  std::filesystem::remove(file);
}

}  // namespace xtape
