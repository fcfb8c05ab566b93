#pragma once

#include <xtape/autodiff/var.hpp>

// Activation functions of neurons: elementwise, floating only (DTypeError otherwise). relu,
// sigmoid, tanh and softplus are in pointwise.hpp. Where a function has a kink, docs/kinks.md says
// what its gradient is there.
namespace xtape {

/// y = x for x > 0, else slope·x.
Var leaky_relu(const Var& x, double slope = 0.01);
/// y = x for x > 0, else weight·x; `weight` is learned: one number, or one for each channel (axis
/// 1).
/// @throws ShapeError when there are not as many as channels (He et al. 2015).
Var prelu(const Var& x, const Var& weight);
/// y = x for x > 0, else α (eˣ − 1) (Clevert et al. 2015).
Var elu(const Var& x, double alpha = 1);
/// y = 1.0507 elu(x, 1.67326), which keeps mean 0 and variance 1 (Klambauer et al. 2017).
Var selu(const Var& x);
/// y = x for x > 0, else α (e^(x/α) − 1) (Barron 2017). @throws ValueError for α = 0.
Var celu(const Var& x, double alpha = 1);
/// y = x sigmoid x, also known as swish (Elfwing et al. 2017).
Var silu(const Var& x);
/// How gelu is computed.
enum class Gelu : std::uint8_t {
  exact,  ///< x Φ(x), Φ the normal distribution function.
  tanh    ///< ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))).
};
/// y = x Φ(x) (Hendrycks and Gimpel 2016).
Var gelu(const Var& x, Gelu form = Gelu::exact);
/// y = x tanh(softplus x) (Misra 2019).
Var mish(const Var& x);
/// y = x / (1 + |x|).
Var softsign(const Var& x);
/// y = −softplus(−x) = ln sigmoid x, without overflow.
Var log_sigmoid(const Var& x);
/// y = softplus(βx) / β, and x where βx > threshold. @throws ValueError for β = 0.
Var softplus(const Var& x, double beta, double threshold = 20);
/// y = x limited to [low, high]. @throws ValueError when low > high.
Var hardtanh(const Var& x, double low = -1, double high = 1);
/// y = x limited to [0, 6].
Var relu6(const Var& x);
/// y = relu6(x + 3) / 6.
Var hardsigmoid(const Var& x);
/// y = x relu6(x + 3) / 6 (Howard et al. 2019).
Var hardswish(const Var& x);
/// y = x − tanh x.
Var tanhshrink(const Var& x);
/// y = x − λ for x > λ, x + λ for x < −λ, else 0. @throws ValueError for λ < 0.
Var softshrink(const Var& x, double lambda = 0.5);
/// y = x for |x| > λ, else 0.
Var hardshrink(const Var& x, double lambda = 0.5);
/// y = x for x > threshold, else value.
Var threshold(const Var& x, double threshold, double value);
/// y = a sigmoid b, a and b the halves of x along `axis` (Dauphin et al. 2017).
/// @throws ShapeError when the extent there is odd.
Var glu(const Var& x, std::int64_t axis = -1);

}  // namespace xtape
