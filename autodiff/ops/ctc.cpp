#include <limits>

#include <xtape/autodiff/ops/internal.hpp>
#include <xtape/autodiff/ops/loss_rules.hpp>

namespace xtape {
namespace {

using namespace rules;
using Values = std::span<const Var>;

// The logarithm of nothing. Finite, so that differences of such numbers are no NaN.
constexpr double kNothing = -1e30;

// Refused unless they are in [0, most].
Var checked_lengths(const char* what, const Var& lengths, std::int64_t batch, std::int64_t most) {
  if (lengths.dtype() != i64) {
    throw DTypeError("ctc_loss",
                     std::string(what) + " are " + name(lengths.dtype()) + ": they must be i64");
  }
  if (lengths.shape() != Shape{batch}) {
    throw ShapeError("ctc_loss", std::string(what) + " of shape " + lengths.shape().str() +
                                     ": must be (" + std::to_string(batch) + ",), the batch");
  }
  return looked_at(lengths, [what, most](std::span<const std::int64_t> all) {
    for (std::size_t b = 0; b < all.size(); ++b) {
      if (all[b] >= 0 && all[b] <= most) continue;
      throw ValueError("ctc_loss", std::string(what) + "[" + std::to_string(b) +
                                       "] = " + std::to_string(all[b]) + ": must be in [0, " +
                                       std::to_string(most) + "]");
    }
  });
}

void check(const Var& y, const Var& targets, std::int64_t blank) {
  if (y.rank() != 3 || targets.rank() != 2 || targets.shape()[0] != y.shape()[1]) {
    throw ShapeError("ctc_loss", "log_probs " + y.shape().str() + " and targets " +
                                     targets.shape().str() +
                                     ": must be [time, batch, classes] and [batch, length]");
  }
  if (targets.dtype() != i64) {
    throw DTypeError("ctc_loss",
                     std::string("targets are ") + name(targets.dtype()) + ": they must be i64");
  }
  if (blank < 0 || blank >= y.shape()[2]) {
    throw ValueError("ctc_loss", "blank = " + std::to_string(blank) + ": must be in [0, " +
                                     std::to_string(y.shape()[2]) + ")");
  }
}

// The states of a path: the labels, with a blank before, between and behind them, [batch, states].
Var states_of(const Var& targets, std::int64_t blank) {
  const std::int64_t batch = targets.shape()[0], length = targets.shape()[1];
  const Var blanks = Tensor::full({batch, length, 1}, static_cast<double>(blank), i64);
  const Var pairs = concat({blanks, reshape(targets, {batch, length, 1})}, 2);
  const Var last = Tensor::full({batch, 1}, static_cast<double>(blank), i64);
  return concat({reshape(pairs, {batch, 2 * length}), last}, 1);
}

// a, moved on by `by` states.
Var moved(const Var& a, std::int64_t by) {
  const std::int64_t batch = a.shape()[0], states = a.shape()[1];
  if (by >= states) return Tensor::full(a.shape(), kNothing, a.dtype());
  const Var nothing = Tensor::full({batch, by}, kNothing, a.dtype());
  return concat({nothing, slice(a, 1, {0, states - by})}, 1);
}

// ln Σ of the probabilities of all paths.
Var path_likelihood(const Var& log_probs, const Var& targets, const Var& input_lengths,
                    const Var& target_lengths, std::int64_t blank) {
  const std::int64_t time = log_probs.shape()[0], batch = log_probs.shape()[1];
  const Var states = states_of(targets, blank);
  const std::int64_t n = states.shape()[1];
  const Var place = Tensor::arange(n), two = Tensor::full({}, 2, i64);
  // y[t, b, s]: of the class of state s.
  const Var rows = one_hot(states, log_probs.shape()[2], log_probs.dtype());
  // What is behind the end of a sequence counts for nothing, NaN included; else NaN stays.
  const Var within = less(reshape(Tensor::arange(time), {time, 1, 1}),
                          reshape(cast(input_lengths, i64), {1, batch, 1}));
  const Var safe = where(within, where(log_probs < kNothing, kNothing, log_probs), 0);
  const Var y =
      transpose(matmul(transpose(safe, {1, 0, 2}), rows, {.transpose_b = true}), {1, 0, 2});
  // A step of two states leaves out a blank between different labels.
  const Var before = n > 2 ? concat({Tensor::full({batch, 2}, static_cast<double>(blank), i64),
                                     slice(states, 1, {0, n - 2})},
                                    1)
                           : states;
  const Var leap = not_equal(states, before);
  const Var steps = reshape(input_lengths, {batch, 1});
  Var a;
  for (std::int64_t t = 0; t < time; ++t) {
    const Var now = reshape(slice(y, 0, {t, t + 1}), {batch, n});
    if (t == 0) {
      // Without any step only the empty path is there.
      const Var none = where(equal(place, Tensor::full({}, 0, i64)), 0 * now, kNothing);
      const Var any = greater(steps, Tensor::full({}, 0, i64));
      a = where(any, where(less(place, two), now, kNothing), none);
      continue;
    }
    const Var two_on = where(leap, moved(a, 2), kNothing);
    const Var next = logsumexp(stack({a, moved(a, 1), two_on}), 0) + now;
    a = where(greater(steps, Tensor::full({}, static_cast<double>(t), i64)), next, a);
  }
  const Var end = reshape(cast(target_lengths, i64), {batch, 1});
  const Var behind = less_equal(place, end + end), last = greater_equal(place, end + end - 1);
  return logsumexp(where(behind, where(last, a, kNothing), kNothing), -1);
}

constexpr Reduction kReductions[] = {Reduction::mean, Reduction::sum, Reduction::none};

std::vector<Sample> ctc_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& shape, const Tensor& targets, std::vector<std::int64_t> inputs,
                       std::vector<std::int64_t> lengths, CtcOptions o) {
    out.push_back(
        {shape.str() + " targets " + targets.shape().str(), {s.draw(shape)}, [=](Values in) {
           return ctc_loss(log_softmax(in[0]), targets, Tensor::from(inputs), Tensor::from(lengths),
                           o);
         }});
  };
  const Tensor two = Tensor({{1, 2, 2}, {2, 1, 0}}, i64);
  for (const Reduction r : kReductions) add({5, 2, 3}, two, {5, 4}, {3, 2}, {.reduction = r});
  add({4, 1, 3}, Tensor({{0, 1}}, i64), {4}, {2}, {.blank = 2});
  add({3, 1, 3}, Tensor({{1, 1}}, i64), {2}, {2}, {.zero_infinity = true});  // no room for a blank
  add({3, 2, 2}, Tensor::zeros({2, 0}, i64), {3, 2}, {0, 0}, {});
  return out;
}
constexpr Op kCtc = composed("ctc_loss",
                             {"L = −ln Σ of the probabilities of the paths that read as the target",
                              "through the recursion; 0 where the target is impossible"},
                             ctc_samples);

}  // namespace

Var ctc_loss(const Var& log_probs, const Var& targets, const Var& given_inputs,
             const Var& given_targets, const CtcOptions& o) {
  check(log_probs, targets, o.blank);
  const Shape &y_shape = log_probs.shape(), &t_shape = targets.shape();
  const Var input_lengths = checked_lengths("input_lengths", given_inputs, y_shape[1], y_shape[0]);
  const Var target_lengths =
      checked_lengths("target_lengths", given_targets, y_shape[1], t_shape[1]);
  const DType dtype = log_probs.dtype();
  if (log_probs.shape()[0] == 0) {
    throw ShapeError("ctc_loss", "log_probs of shape " + log_probs.shape().str() +
                                     ": there must be a step of time");
  }
  const Var y = path_likelihood(log_probs, targets, input_lengths, target_lengths, o.blank);
  const double impossible = o.zero_infinity ? 0 : std::numeric_limits<double>::infinity();
  const Var each = where(y < kNothing / 2, impossible, -y);
  if (o.reduction != Reduction::mean) return losses::reduced(each, o.reduction);
  return mean(each / maximum(cast(target_lengths, dtype), 1));
}

namespace families {
Family ctc() { return {&kCtc}; }
}  // namespace families

}  // namespace xtape
