// 2. The 2-2-2 network worked by hand, to nine digits, and the mistake in a widely copied article.
//
// Inputs 0.05 and 0.10, two hidden and two output neurons, all sigmoid, weights as below, targets
// 0.01 and 0.99, error E = ½ Σ (t − o)², learning rate 0.5, biases fixed.
//
// The article prints the error 0.291027924 after one step. The derivation that it gives leads to
// 0.291027774. The difference: its program changes the output weights first and then sends the
// error back to the hidden layer through the weights it has just changed. That is the gradient of
// no function. A tape cannot make this mistake: it multiplies with the values that the forward pass
// used, and refuses to go on if a parameter was changed in between.
#include <cstdio>

#include <xtape/xtape.hpp>

#include "check.hpp"

namespace {

using namespace xtape;

nn::Sequential make_network() {
  nn::Dense hidden(2, 2,
                   {.weight_init = nn::values(Tensor({{.15, .20}, {.25, .30}})),
                    .bias_init = nn::constant(.35),
                    .dtype = f64});
  nn::Dense output(2, 2,
                   {.weight_init = nn::values(Tensor({{.40, .45}, {.50, .55}})),
                    .bias_init = nn::constant(.60),
                    .dtype = f64});
  for (const nn::Dense* layer : {&hidden, &output}) Parameter(layer->bias()).freeze();
  return nn::Sequential(hidden, nn::Sigmoid(), output, nn::Sigmoid());
}

const Tensor x({{.05, .10}}), target({{.01, .99}});
constexpr double kRate = 0.5;

double error_of(const nn::Module& net) {
  return nn::half_squared_error(net(no_grad(x)), target).item();
}

// The right way: every gradient at the old weights, then every update.
void right() {
  const nn::Sequential net = make_network();
  const Parameters all = net.parameters();
  const Parameters weights{all[0], all[2]};
  optim::SGD sgd(weights, {.learning_rate = kRate});

  std::printf("gradients at the old weights:\n");
  {
    Tape tape;
    const Var o = net(tape.input(x));
    const Var error = nn::half_squared_error(o, target);
    expect("output 1", o.value().flat(0), 0.75136507, 5e-9);
    expect("output 2", o.value().flat(1), 0.772928465, 5e-10);
    expect("error", error.item(), 0.298371109, 5e-10);
    const auto g = tape.gradient(error, weights);
    expect("dE/dw5", g[1].at({0, 0}), 0.082167041, 5e-10);
    sgd.step(g);
  }
  const double w58[] = {0.35891648, 0.408666186, 0.511301270, 0.561370121};
  const double w14[] = {0.149780716, 0.19956143, 0.24975114, 0.29950229};
  const double digits58[] = {5e-9, 5e-10, 5e-10, 5e-10}, digits14[] = {5e-10, 5e-9, 5e-9, 5e-9};
  for (std::int64_t i = 0; i < 4; ++i) {
    expect(("new w" + std::to_string(i + 5)).c_str(), weights[1].value().flat(i), w58[i],
           digits58[i]);
  }
  for (std::int64_t i = 0; i < 4; ++i) {
    expect(("new w" + std::to_string(i + 1)).c_str(), weights[0].value().flat(i), w14[i],
           digits14[i]);
  }
  expect("error after 1 step", error_of(net), 0.291027774, 5e-10);
  while (sgd.steps() < 10000) {
    Tape tape;
    sgd.step(tape.gradient(nn::half_squared_error(net(tape.input(x)), target), weights));
  }
  expect("error after 10,000 steps", error_of(net), 3.510187783e-05, 5e-15);
}

// The wrong order, on purpose: the output weights move, and only then is the error sent to the
// hidden layer, by a second forward pass of the output layer over the same hidden signals, through
// the new weights. What the derivative of the error by the outputs was is kept from before.
void wrong() {
  const nn::Sequential net = make_network();
  const Parameters all = net.parameters();
  Parameter w1 = all[0], w2 = all[2];
  const auto step = [&] {
    Tape tape;
    const Var h = nn::Sigmoid()(net[0](tape.input(x)));
    const Var z = net[2](h);
    const Var error = nn::half_squared_error(sigmoid(z), target);
    const auto g = tape.gradient(error, {w2, z}, {.keep_tape = true});
    w2.assign((Var(w2.value()) - kRate * g[0]).value());  // too early
    const Var through_new_weights = matmul(h, no_grad(w2), {.transpose_b = true});
    const Tensor bad = tape.gradient(through_new_weights, w1, {.cotangent = g[1]});
    w1.assign((Var(w1.value()) - kRate * bad).value());
  };
  std::printf("the article's order, output weights first:\n");
  step();
  expect("error after 1 step", error_of(net), 0.291027924, 5e-10);
  for (int i = 1; i < 10000; ++i) step();
  const Tensor o = net(no_grad(x)).value();
  expect("error after 10,000 steps", error_of(net), 0.000035085, 5e-10);
  expect("output 1 after 10,000 steps", o.flat(0), 0.015912196, 5e-10);
  expect("output 2 after 10,000 steps", o.flat(1), 0.984065734, 5e-10);
}

// The same slip with a tape: it is an error, not a wrong number.
void refused() {
  const nn::Sequential net = make_network();
  const Parameters all = net.parameters();
  Parameter w2 = all[2];
  Tape tape;
  const Var error = nn::half_squared_error(net(tape.input(x)), target);
  const Tensor g = tape.gradient(error, w2, {.keep_tape = true});
  w2.assign((Var(w2.value()) - kRate * g).value());
  std::printf("the same order, asked of a tape:\n");
  try {
    tape.gradient(error, all[0]);
    expect("the tape refuses", false);
  } catch (const TapeError& e) {
    std::printf("  %s\n", e.what());
  }
}

}  // namespace

int main() {
  right();
  wrong();
  refused();
  return failures != 0;
}
