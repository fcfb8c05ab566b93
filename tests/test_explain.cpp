#include <nlohmann/json.hpp>

#include <xtape/plot/explanation.hpp>

#include "support.hpp"

// The chain rule, written out: paths by element, their sum, the strongest ones, labels.
namespace xtape {
namespace {

const Parameter w1(Tensor{{.15, .20}, {.25, .30}}, "W1"), w2(Tensor{{.40, .45}, {.50, .55}}, "W2");

// The 2-2-2 network neuron by neuron, with both outputs.
struct Worked {
  Tape tape;
  Var h, z2, cost;
  explicit Worked(bool labels = true) {
    const Var x = tape.input(Tensor{.05, .10});
    const Var z1 = matmul(w1, x) + .35;
    h = sigmoid(z1);
    z2 = matmul(w2, h) + .60;
    const Var out = sigmoid(z2);
    cost = 0.5 * sum(square(out - Tensor{.01, .99}));
    if (!labels) return;
    tape.label(z1, "Z1");
    tape.label(h, "H1");
    tape.label(z2, "Z2");
    tape.label(out, "H2");
    tape.label(cost, "C");
  }
};

double sum_of(const std::vector<GradientPath>& paths) {
  double sum = 0;
  for (const GradientPath& p : paths) sum += p.value;
  return sum;
}

}  // namespace

TEST_CASE("a gradient is the sum over the paths of a network", "[explain]") {
  Worked net;
  const Explanation e = explain(net.cost, w1, {0, 1});
  CHECK(e.of == "C");
  CHECK(e.by == "W1:0,1");
  REQUIRE(e.count == 2);  // by each of the two outputs
  REQUIRE(e.paths.size() == 2);
  CHECK(e.paths[0].str() == "(dC/dH2:0)(dH2:0/dZ2:0)(dZ2:0/dH1:0)(dH1:0/dZ1:0)(dZ1:0/dW1:0,1)");
  CHECK(e.paths[1].str() == "(dC/dH2:1)(dH2:1/dZ2:1)(dZ2:1/dH1:0)(dH1:0/dZ1:0)(dZ1:0/dW1:0,1)");
  // The article's numbers: dE/do1, do1/dnet1, w5.
  CHECK(e.paths[0].factors[0].slope == Approx(0.74136507).epsilon(1e-8));
  CHECK(e.paths[0].factors[1].slope == Approx(0.186815602).epsilon(1e-8));
  CHECK(e.paths[0].factors[2].slope == 0.40);
  CHECK(e.paths[0].factors[4].slope == 0.10);
  CHECK(e.gradient == Approx(0.000877135).epsilon(1e-6));
  CHECK(std::abs(e.sum - e.gradient) <= 1e-15);
  CHECK(std::abs(sum_of(e.paths) - e.gradient) <= 1e-15);
  CHECK(e.magnitude == Approx(std::abs(e.paths[0].value) + std::abs(e.paths[1].value)));
  CHECK(e.share() == Approx(1));
  CHECK(e.str().find("the sum of 2 paths") != std::string::npos);
  const auto json = nlohmann::json::parse(e.json());
  CHECK(json["paths"][1]["factors"][0]["of"] == "C");
  CHECK(json["gradient"].get<double>() == e.gradient);
  // Every element, grouped by where the paths end; the tape is still there.
  const std::vector<Explanation> all = explain_all(net.cost, net.h);
  REQUIRE(all.size() == 2);
  CHECK(all[1].by == "H1:1");
  const Tensor g = net.tape.gradient(net.cost, net.h);
  for (std::int64_t k = 0; k < 2; ++k) {
    CHECK(std::abs(all[static_cast<std::size_t>(k)].sum - g.flat(k)) <= 1e-15);
  }
}

TEST_CASE("steps without labels are stepped over, or shown", "[explain]") {
  Worked net(false);
  const Explanation every = explain(net.cost, w1, {0, 1});
  CHECK(every.count == 2);
  CHECK(every.paths[0].factors.size() > 5);
  CHECK(every.paths[0].factors.back().by == "W1:0,1");
  net.tape.label(net.z2, "Z");
  const Explanation short_one = explain(net.cost, w1, {0, 1});
  REQUIRE(short_one.paths[0].factors.size() == 2);
  CHECK(short_one.paths[0].factors[0].by == "Z:0");
  CHECK(short_one.sum == Approx(every.sum));
  CHECK(explain(net.cost, w1, {0, 1}, {.every_step = true}).paths[0].factors.size() ==
        every.paths[0].factors.size());
}

TEST_CASE("the strongest paths are found without listing all", "[explain]") {
  // 8 layers of 6 neurons: 6⁷ paths between an input and the output.
  Rng rng(3);
  Tape tape;
  const Var x = tape.variable(rng.uniform({6}, -1, 1, f64), "x");
  Var h = x;
  for (int layer = 0; layer < 7; ++layer) {
    h = tanh(matmul(rng.uniform({6, 6}, -1, 1, f64), h));
    tape.label(h, "h" + std::to_string(layer));
  }
  const Var y = sum(h);
  const Explanation few = explain(y, x, {2}, {.paths = 10});
  CHECK(few.count == std::pow(6., 7));
  CHECK(few.sum == Approx(few.gradient).epsilon(1e-12));
  REQUIRE(few.paths.size() == 10);
  for (std::size_t k = 1; k < 10; ++k) {
    CHECK(std::abs(few.paths[k].value) <= std::abs(few.paths[k - 1].value));
  }
  CHECK(few.share() < 1);
  // Against the list of all.
  const Explanation all = explain(y, x, {2}, {.paths = 1'000'000});
  REQUIRE(static_cast<double>(all.paths.size()) == all.count);
  CHECK(sum_of(all.paths) == Approx(all.gradient).epsilon(1e-11));
  double strongest = 0;
  for (const GradientPath& p : all.paths) strongest = std::max(strongest, std::abs(p.value));
  CHECK(std::abs(few.paths[0].value) == strongest);
  // What flows through the arrows of one layer is everything.
  double through = 0;
  for (const Dependency& d : few.dependencies) {
    if (d.of.rfind("h3:", 0) == 0) through += d.contribution;
  }
  CHECK(through == Approx(few.gradient).epsilon(1e-11));
}

TEST_CASE("paths that repeat, cancel, vanish or broadcast", "[explain]") {
  Tape tape;
  const Var x = tape.variable(Tensor{3, -1}, "x");
  CHECK(explain(sum(x * x), x, {0}).paths[0].value == 6);  // one dependency, not two
  const Explanation zero = explain(sum(x) - sum(x), x, {0});
  CHECK(zero.sum == 0);
  CHECK(zero.magnitude == 2);
  CHECK(zero.count == 2);
  const Explanation dead = explain(sum(relu(x)), x, {1});
  CHECK(dead.count == 0);
  CHECK(dead.gradient == 0);
  CHECK(dead.paths.empty());
  const Var b = tape.variable(Tensor{{2.}, {5.}}, "b");
  const Explanation spread = explain(sum(b * x), b, {1, 0});  // (2, 1) times (2)
  CHECK(spread.sum == 2);
  CHECK(spread.count == 2);
  const Var row = softmax(x);
  const Explanation s = explain(select(row, 0, 0), x, {1});
  CHECK(s.sum == Approx(s.gradient));
  CHECK(explain(select(x, 0, 0) * 2, x, {0}).sum == 2);
}

TEST_CASE("a large network is explained by layers", "[explain]") {
  // Six residual blocks: 2⁶ paths from the loss to the input.
  Rng rng(5);
  Tape tape;
  const Var x = tape.variable(rng.uniform({4, 16}, -1, 1, f64), "x");
  Var h = x;
  for (int k = 0; k < 6; ++k) {
    const Var branch = tanh(matmul(h, rng.uniform({16, 16}, -0.5, 0.5, f64)));
    tape.label(branch, "block" + std::to_string(k));
    h = h + branch;
  }
  const Var loss = sum(square(h));
  tape.label(loss, "loss");
  const OperationExplanation all = explain_operations(loss, x, {.paths = 100});
  CHECK(all.of == "loss");
  CHECK(all.count == 64);
  REQUIRE(all.paths.size() == 64);
  CHECK(all.share() == Approx(1).epsilon(1e-10));
  const Tensor g = tape.gradient(loss, x, {.keep_tape = true});
  CHECK(all.norm == Approx(euclidean_norm(g).item()));
  // The path that skips every block is the derivative of Σ h² by its last addend alone.
  const auto skips = std::find_if(all.paths.begin(), all.paths.end(),
                                  [](const OperationPath& p) { return p.steps.size() == 2; });
  REQUIRE(skips != all.paths.end());
  CHECK(skips->share == Approx((sum(2 * h * g) / sum(square(g))).item()).epsilon(1e-10));
  const OperationExplanation few = explain_operations(loss, x, {.paths = 5});
  REQUIRE(few.paths.size() == 5);
  CHECK(few.paths[0].share == Approx(all.paths[0].share));
  CHECK(few.str().find("and 59 others") != std::string::npos);
  CHECK(nlohmann::json::parse(few.json())["paths"].size() == 5);
  // What enters x through its dependencies is everything.
  double arrives = 0;
  for (const Dependency& d : all.dependencies) arrives += d.by == "x" ? d.contribution : 0;
  CHECK(arrives == Approx(1).epsilon(1e-10));
  // Operation by operation there are as many.
  CHECK(explain_operations(loss, x, {.every_step = true}).count == 64);
  // One path, and parameters.
  Worked net;
  const OperationExplanation worked = explain_operations(net.cost, w1);
  REQUIRE(worked.paths.size() == 1);
  CHECK(worked.paths[0].steps == std::vector<std::string>{"C", "H2", "Z2", "H1", "Z1", "W1"});
  CHECK(worked.paths[0].share == Approx(1));
}

TEST_CASE("explain refuses what has no answer", "[explain]") {
  Tape tape;
  const Var x = tape.variable(Tensor{3, -1}, "x"), other = tape.variable(Tensor{1.});
  REQUIRE_ERROR(explain(x * x, x, {0}), GradientError, "[explain] the output has shape (2,)");
  const Var y = sum(x * x);
  REQUIRE_ERROR(explain(y, x, {2}), ValueError, "element (2,) of a value of shape (2,)");
  REQUIRE_ERROR(explain(y, other, {0}), GradientError, "does not depend");
  REQUIRE_ERROR(explain(Tensor{1.}, x, {0}), TapeError, "on no tape");
  REQUIRE_ERROR(explain(y, x, {0}, {.max_dependencies = 1}), GradientError, "more than 1");
  REQUIRE_ERROR(tape.label(Tensor{1.}, "c"), TapeError, "'c'");
  tape.gradient(y, x);
  REQUIRE_ERROR(explain(y, x, {0}), GradientError, "consumed");
}

TEST_CASE("drawings of a tape and of an explanation", "[explain][plot]") {
  Worked net;
  const std::string dot = net.tape.dot();
  CHECK(dot.find("digraph tape") == 0);
  CHECK(dot.find("'H1'") != std::string::npos);
  const std::string svg = plot::explanation(explain(net.cost, w1, {0, 1}));
  CHECK(svg.find("<svg") == 0);
  CHECK(svg.find(">Z2:1<") != std::string::npos);
  CHECK(svg.find("</svg>") != std::string::npos);
}

}  // namespace xtape
