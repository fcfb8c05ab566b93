// 16. Learning by trial with a target network: Q-learning on a corridor, where a slow clone of the
// network gives the values that the network learns from.
//
// Ten places in a row, a reward at the right end, a smaller one at the left. Each step's target
// r + γ max Q'(next) comes from a clone whose parameters follow slowly (Mnih et al., 2015); it is a
// constant to the gradient. clone() shares nothing with the network: a target that moved with it
// would be no target.
#include <algorithm>
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

constexpr std::int64_t kPlaces = 10, kBatch = 32;
constexpr double kDiscount = 0.9;

struct Step {
  std::int64_t place, action, next;
  double reward;
  bool end;
};

Step walk(std::int64_t place, std::int64_t action) {
  const std::int64_t next = place + (action == 1 ? 1 : -1);
  const bool end = next == 0 || next == kPlaces - 1;
  return {place, action, next, next == kPlaces - 1 ? 1. : next == 0 ? 0.1 : 0., end};
}

}  // namespace

int main() {
  nn::Sequential net{nn::Dense(kPlaces, 32), nn::ReLU(), nn::Dense(32, 2)};
  net.initialize(Rng(1));
  net.to(f64);
  const std::shared_ptr<nn::Module> target = net.clone();
  target->freeze();
  const Parameters own = net.parameters();
  Parameters followers = target->parameters();
  expect("a clone shares no parameter", !(own[0] == followers[0]));

  optim::Adam adam(own, {.learning_rate = 3e-3});
  Rng rng(2);
  std::vector<Step> memory;
  std::int64_t place = kPlaces / 2;
  for (int t = 0; t < 4000; ++t) {
    const Tensor here = one_hot(Tensor({place}, i64), kPlaces, f64).value();
    const bool explore = rng.uniform() < 0.3;
    const std::int64_t action =
        explore ? rng.integer(2) : static_cast<std::int64_t>(argmax(net(no_grad(here)), 1).item());
    memory.push_back(walk(place, action));
    place = memory.back().end ? 1 + rng.integer(kPlaces - 2) : memory.back().next;
    if (memory.size() < 200) continue;

    Tensor from = Tensor::empty({kBatch}, i64), to = from.clone(), chosen = from.clone();
    Tensor reward = Tensor::empty({kBatch}, f64), alive = reward.clone();
    for (std::int64_t k = 0; k < kBatch; ++k) {
      const Step& s =
          memory[static_cast<std::size_t>(rng.integer(static_cast<std::int64_t>(memory.size())))];
      from.mutable_data<std::int64_t>()[k] = s.place;
      to.mutable_data<std::int64_t>()[k] = s.next;
      chosen.mutable_data<std::int64_t>()[k] = s.action;
      reward.mutable_data<double>()[k] = s.reward;
      alive.mutable_data<double>()[k] = s.end ? 0 : 1;
    }
    const Var best = max((*target)(no_grad(one_hot(to, kPlaces, f64).value())), 1);
    const Tensor wanted = (reward + kDiscount * alive * best).value();
    Tape tape;
    const Var q = net(tape.input(one_hot(from, kPlaces, f64).value()));
    const Var taken = sum(q * one_hot(chosen, 2, f64), 1);
    const Var loss = nn::huber_loss(taken, wanted);
    adam.step(tape.gradient(loss, own));
    for (std::size_t i = 0; i < own.size(); ++i) {  // the clone follows by one percent
      followers[i].assign(lerp(followers[i].value(), own[i].value(), 0.01).value());
    }
  }

  // The value of going right from place p is γ^(steps − 1).
  const Tensor all = one_hot(Tensor::arange(kPlaces), kPlaces, f64).value();
  const Tensor q = net(no_grad(all)).value();
  double off = 0;
  bool right = true;
  for (std::int64_t p = 1; p < kPlaces - 1; ++p) {
    const double truth = std::pow(kDiscount, static_cast<double>(kPlaces - 2 - p));
    std::printf("  place %lld: left %.3f, right %.3f (truth %.3f)\n", static_cast<long long>(p),
                q.at({p, 0}), q.at({p, 1}), truth);
    off = std::max(off, std::abs(q.at({p, 1}) - truth));
    right = right && q.at({p, 1}) > q.at({p, 0});
  }
  expect("goes right everywhere", right);
  expect("largest error of a value", off, 0, 0.1);
  return failures != 0;
}
