#pragma once

#include <xtape/xtape.hpp>

// A training run with every kind of state that a checkpoint must keep: weights, momentum, random
// batches, dropout. Used by the tests of io::Checkpoint and by the program that they kill.
namespace xtape::test {

class Resumable {
 public:
  Resumable() {
    checkpoint_.add("body", body_.parameters()).add("head", head_.parameters());
    parameters_ = body_.parameters();
    for (const Parameter& p : head_.parameters()) parameters_.push_back(p);
    for (const Parameter& p : parameters_) {
      velocity_.push_back(Parameter::buffer(Tensor::zeros(p.shape(), p.dtype())));
    }
    checkpoint_.add_list("optimizer", velocity_).add("batches", batches_).add("dropout", dropout_);
  }
  Resumable(const Resumable&) = delete;
  Resumable& operator=(const Resumable&) = delete;

  void train(std::int64_t steps) {
    for (; steps > 0; --steps) step();
  }
  /// Of this run, its step counted.
  io::Checkpoint& checkpoint() { return checkpoint_; }
  /// Parameters, momentum, places of the generators.
  Tensors state() const {
    Tensors all;
    for (const Parameter& p : parameters_) all.push_back(p.value());
    for (const Parameter& v : velocity_) all.push_back(v.value());
    all.push_back(dropout_.position().value());
    all.push_back(Tensor::scalar(static_cast<double>(batches_.position()), i64));
    return all;
  }

 private:
  void step() {
    const std::vector<std::int64_t> order = batches_.permutation(inputs_.shape()[0]);
    const std::span<const std::int64_t> rows(order.data(), 8);
    Tape tape;
    const Var hidden = dropout(body_(tape.input(data::take_rows(inputs_, rows))), 0.3, dropout_);
    const Var loss = nn::mse_loss(head_(hidden), data::take_rows(targets_, rows));
    const Tensors gradients = tape.gradient(loss, parameters_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      velocity_[i].assign((0.9 * Var(velocity_[i].value()) + gradients[i]).value());
      parameters_[i].assign((Var(parameters_[i].value()) - 0.05 * velocity_[i].value()).value());
    }
    ++checkpoint_.step;
  }

  Tensor inputs_ = Rng(1).normal({20, 6}), targets_ = Rng(2).normal({20, 3});
  nn::Sequential body_{nn::Dense(6, 8), nn::Tanh()}, head_{nn::Dense(8, 3)};
  Parameters parameters_, velocity_;
  Rng batches_{5};
  Generator dropout_{6};
  io::Checkpoint checkpoint_;
};

}  // namespace xtape::test
