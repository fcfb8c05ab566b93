#include <xtape/nn/dropout.hpp>

namespace xtape::nn {
namespace {

double checked(const char* layer, double p) {
  if (p >= 0 && p < 1) return p;
  throw ValueError(layer, "p = " + detail::text(p) + ": must be in [0, 1)");
}

}  // namespace

Dropout::Dropout(double p) : p_(checked("Dropout", p)) { add_generator(); }

Var Dropout::forward(const Var& x) const {
  return training() && p_ > 0 ? dropout(x, p_, generator()) : x;
}

std::string Dropout::describe() const { return "Dropout(" + detail::text(p_) + ")"; }

ChannelDropout::ChannelDropout(double p) : p_(checked("ChannelDropout", p)) { add_generator(); }

Var ChannelDropout::forward(const Var& x) const {
  if (x.rank() < 2) {
    throw ShapeError("ChannelDropout",
                     "input of shape " + x.shape().str() + ": must be [batch, channels, …]");
  }
  if (!training() || p_ == 0) return x;
  Var one = stop_gradient(x);  // an element of each channel, for its shape
  for (int axis = 2; axis < x.rank(); ++axis) one = narrow(one, axis, 0, 1);
  return where(uniform_like(one, generator()) >= p_, x * (1 / (1 - p_)), 0);
}

std::string ChannelDropout::describe() const { return "ChannelDropout(" + detail::text(p_) + ")"; }

}  // namespace xtape::nn
