#include <xtape/optim/rule.hpp>

#include "support.hpp"

// The code of docs/optim.md.
namespace xtape {
namespace {

struct YogiOptions {
  double learning_rate = 1e-2;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-3;
};

class Yogi : public optim::Rule<Yogi, YogiOptions> {
 public:
  using Rule::Rule;
  static void check(const YogiOptions& o) {
    optim::require_factor("Yogi", "beta1", o.beta1);
    optim::require_factor("Yogi", "beta2", o.beta2);
  }
  static std::vector<optim::State> state_of(const YogiOptions&) {
    return {{"mean"}, {"square", 1e-6, optim::State::squares}};
  }
  static std::optional<double> momentum_of(const YogiOptions& o) { return o.beta1; }

 protected:
  void update(optim::Update& u) override {
    const YogiOptions& o = options(u);
    const Var m = optim::average(u, 0, u.momentum(), u.gradient());
    const Var v = u.state(1), g2 = square(u.gradient());
    u.set(1, v - (1 - o.beta2) * sign(v - g2) * g2);
    optim::descend(u, m / (sqrt(u.state(1)) + o.epsilon), u.rate());
  }
};

nn::Sequential small_net() {
  nn::Sequential net{nn::Dense(4, 8), nn::Tanh(), nn::Dense(8, 3)};
  net.initialize(Rng(1));
  return net;
}

struct Batch {
  Tensor x = Rng(2).uniform({16, 4}, -1, 1), y = Rng(3).uniform({16, 3}, -1, 1);
};

}  // namespace

TEST_CASE("the training of docs/optim.md trains", "[optim][docs]") {
  const nn::Sequential net = small_net();
  const Batch batch;
  const auto error = [&] { return nn::mse_loss(net(no_grad(batch.x)), batch.y).item(); };
  const double before = error();
  const auto validate = [&](const nn::Sequential&) { CHECK(error() < before); };

  optim::AdamW adam(net.parameters(), {.learning_rate = 1e-2, .weight_decay = 0.05});
  optim::WeightAverage average(net.parameters());
  const optim::Schedule schedule = optim::warm_up(10, optim::cosine(190));

  Program step = compile(
      [&](const Var& x, const Var& y) {
        const Var loss = nn::mse_loss(net(x), y);
        adam.step(optim::clip_by_norm(gradient(loss, net.parameters()), 1.0));
        average.update(loss);
        return loss;
      },
      {batch.x, batch.y});
  for (int i = 0; i < 200; ++i) {
    optim::drive(adam, schedule);  // the rate of this step
    step(batch.x, batch.y);
  }
  {
    const auto swapped = average.swap_in();  // the averages are the weights
    validate(net);
  }  // and the weights are back

  CHECK(error() < 0.6 * before);
  CHECK(adam.steps() == 200);
}

TEST_CASE("the groups, the rule and the range test of docs/optim.md work", "[optim][docs]") {
  const nn::Sequential net = small_net();
  const Batch batch;
  const Parameters all = net.parameters();
  const Parameters weights{all[0], all[2]}, biases{all[1], all[3]};

  optim::AdamW grouped({{weights, {.learning_rate = 1e-2, .weight_decay = 0.1}},
                        {biases, {.learning_rate = 2e-2, .weight_decay = 0}}});

  CHECK(grouped.groups() == 2);
  Yogi yogi(all, {.learning_rate = 0.02});
  const auto train = [&] {
    Tape tape;
    const Var loss = nn::mse_loss(net(tape.input(batch.x)), batch.y);
    yogi.step(tape.gradient(loss, all));
    return loss.item();
  };

  const optim::RangeTest test = optim::find_learning_rate(yogi, train);
  yogi.set_learning_rate(test.suggestion);

  CHECK(test.suggestion > 1e-5);
  yogi.set_learning_rate(0.02);
  const double before = train();
  for (int i = 0; i < 30; ++i) train();
  CHECK(train() < 0.8 * before);
  REQUIRE_ERROR(Yogi(all, {.beta1 = 2}), ValueError, "[Yogi] beta1");
}

TEST_CASE("LBFGS as in docs/optim.md fits", "[lbfgs][docs]") {
  const nn::Sequential net = small_net();
  const Batch batch;

  optim::LBFGS lbfgs(net.parameters());
  Program evaluate = compile(
      [&](const Var& x, const Var& y) {
        const Var loss = nn::mse_loss(net(x), y);
        std::vector<Var> out{loss};
        for (const Var& g : gradient(loss, net.parameters())) out.push_back(g);
        return out;
      },
      {batch.x, batch.y});
  const double first = lbfgs.step([&] {
    const std::vector<Tensor> out = evaluate.run({batch.x, batch.y});
    return optim::Evaluation{out[0].item(), {out.begin() + 1, out.end()}};
  });

  CHECK(evaluate.run({batch.x, batch.y})[0].item() < 0.6 * first);
}

}  // namespace xtape
