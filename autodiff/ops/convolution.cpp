#include <algorithm>

#include <xtape/autodiff/kernels/convolution.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/autodiff/ops/spatial.hpp>

namespace xtape {
namespace {

using namespace rules;
using namespace spatial;
using kernels::Convolution, kernels::Extents, kernels::Windows, kernels::volume;

// --- the three primitives, each other's gradients ------------------------------------------------

// The form Σ x w y and the shapes of its operands.
struct Form {
  Convolution c;
  Shape x, w, y;
  std::string str() const {
    const Windows& v = c.windows;
    const int axes = x.rank() - 2;
    return "stride " + text(v.stride, axes) + " padding " + text(v.padding, axes) + " dilation " +
           text(v.dilation, axes) + " groups " + std::to_string(c.groups);
  }
  bool operator==(const Form& o) const {
    return x == o.x && w == o.w && y == o.y && c.groups == o.c.groups && c.windows == o.c.windows;
  }
};

Var by_output(const Var& x, const Var& w, const Form& f);
Var by_input(const Var& y, const Var& w, const Form& f);
Var by_weight(const Var& x, const Var& y, const Form& f);

template <Shape Form::*kOut>
Spec form_infer(const InferArgs& a) {
  floating_unary(a);
  check_same_dtype(a.op, *a.in[0], *a.in[1]);
  return {get_attrs<Form>(a.attrs).*kOut, a.in[0]->dtype};
}

// Calls f(a, b, out) with pointers of the dtype.
template <class F>
void with_data(const KernelArgs& a, const F& f) {
  dispatch_floating(a.spec.dtype, [&](auto zero) {
    using T = decltype(zero);
    f(static_cast<const T*>(a.in[0].data), static_cast<const T*>(a.in[1].data),
      static_cast<T*>(a.out));
  });
}

double form_flop(const InferArgs& a, const Spec&) {
  const Form& f = get_attrs<Form>(a.attrs);
  return 2 * static_cast<double>(f.y.size()) *
         static_cast<double>(f.c.inputs * volume(f.c.windows.window));
}

Form form_of(std::string_view op, const Shape& x, const Shape& w, const ConvOptions& o);

struct FormCase {
  Shape x, w;
  ConvOptions options;
};

std::vector<FormCase> form_cases() {
  return {{{2, 2, 5}, {3, 2, 3}, {}},
          {{1, 2, 6}, {2, 1, 2}, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2}},
          {{2, 1, 4, 4}, {2, 1, 2, 3}, {.padding = "same"}},
          {{1, 2, 4, 5}, {2, 1, 2, 2}, {.stride = {2, 1}, .padding = {1, 0}, .groups = 2}},
          {{2, 3, 2, 2}, {2, 3, 1, 1}, {}},
          {{1, 1, 3, 3}, {1, 1, 2, 2}, {.stride = 3, .padding = 1, .dilation = 3}},
          {{1, 2, 2, 3, 2}, {1, 2, 2, 2, 1}, {.padding = {0, 1, 0}}},
          {{0, 2, 3}, {2, 2, 2}, {}}};
}

// Samples of a primitive on the operands `kA` and `kB` of the form.
template <Shape Form::*kA, Shape Form::*kB, Var (*kCall)(const Var&, const Var&, const Form&)>
std::vector<Sample> form_samples(const Sampler& s) {
  std::vector<Sample> out;
  for (const FormCase& c : form_cases()) {
    const Form f = form_of("convolution", c.x, c.w, c.options);
    out.push_back({c.x.str() + " " + c.w.str() + " " + f.str(),
                   {s.draw(f.*kA), s.draw(f.*kB)},
                   [f](std::span<const Var> in) { return kCall(in[0], in[1], f); }});
  }
  return out;
}

constexpr Op kConvolution{
    .name = "convolution",
    .math = "y[n, o, i] = Σ_{c, k} w[o, c, k] x[n, c, i·stride + k·dilation − padding]",
    .gradient = "x̄ = convolution_input(ȳ, w), w̄ = convolution_weight(x, ȳ)",
    .arity = 2,
    .infer = form_infer<&Form::y>,
    .kernel =
        [](const KernelArgs& a) {
          with_data(a, [&](auto* x, auto* w, auto* y) {
            kernels::convolve(get_attrs<Form>(a.attrs).c, x, w, y);
          });
        },
    .vjp = {{[](const Vjp& v) { return by_input(v.ct, v.in(1), v.attrs<Form>()); }, reads_in(1)},
            {[](const Vjp& v) { return by_weight(v.in(0), v.ct, v.attrs<Form>()); }, reads_in(0)}},
    .linear = Linear::each,
    .flop = form_flop,
    .samples = form_samples<&Form::x, &Form::w, by_output>};

constexpr Op kConvolutionInput{
    .name = "convolution_input",
    .math = "x = 0, x[n, c, i·stride + k·dilation − padding] += Σ_o w[o, c, k] y[n, o, i]",
    .gradient = "ȳ = convolution(x̄, w), w̄ = convolution_weight(x̄, y)",
    .arity = 2,
    .infer = form_infer<&Form::x>,
    .kernel =
        [](const KernelArgs& a) {
          with_data(a, [&](auto* y, auto* w, auto* x) {
            kernels::convolve_input(get_attrs<Form>(a.attrs).c, y, w, x);
          });
        },
    .vjp = {{[](const Vjp& v) { return by_output(v.ct, v.in(1), v.attrs<Form>()); }, reads_in(1)},
            {[](const Vjp& v) { return by_weight(v.ct, v.in(0), v.attrs<Form>()); }, reads_in(0)}},
    .linear = Linear::each,
    .flop = form_flop,
    .samples = form_samples<&Form::y, &Form::w, by_input>};

constexpr Op kConvolutionWeight{
    .name = "convolution_weight",
    .math = "w[o, c, k] = Σ_{n, i} x[n, c, i·stride + k·dilation − padding] y[n, o, i]",
    .gradient = "x̄ = convolution_input(y, w̄), ȳ = convolution(x, w̄)",
    .arity = 2,
    .infer = form_infer<&Form::w>,
    .kernel =
        [](const KernelArgs& a) {
          with_data(a, [&](auto* x, auto* y, auto* w) {
            kernels::convolve_weight(get_attrs<Form>(a.attrs).c, x, y, w);
          });
        },
    .vjp = {{[](const Vjp& v) { return by_input(v.in(1), v.ct, v.attrs<Form>()); }, reads_in(1)},
            {[](const Vjp& v) { return by_output(v.in(0), v.ct, v.attrs<Form>()); }, reads_in(0)}},
    .linear = Linear::each,
    .flop = form_flop,
    .samples = form_samples<&Form::x, &Form::y, by_weight>};

Var by_output(const Var& x, const Var& w, const Form& f) {
  return apply(kConvolution, {&x, &w}, make_attrs(f));
}
Var by_input(const Var& y, const Var& w, const Form& f) {
  return apply(kConvolutionInput, {&y, &w}, make_attrs(f));
}
Var by_weight(const Var& x, const Var& y, const Form& f) {
  return apply(kConvolutionWeight, {&x, &y}, make_attrs(f));
}

// --- the public functions ------------------------------------------------------------------------

[[noreturn]] void throw_operands(std::string_view op, const Shape& x, const Shape& w,
                                 const std::string& rule) {
  throw ShapeError(op, "x " + x.str() + " and weight " + w.str() + ": " + rule);
}

void check_weight(std::string_view op, const Shape& x, const Shape& w, std::int64_t groups) {
  if (w.rank() != x.rank()) {
    throw_operands(op, x, w, "the weight must have " + std::to_string(x.rank()) + " axes");
  }
  if (groups < 1) {
    throw ValueError(op, std::to_string(groups) + " groups: there must be at least one");
  }
  if (w[0] % groups != 0) {
    throw_operands(op, x, w,
                   "the first axis of the weight must be a multiple of the " +
                       std::to_string(groups) + " groups");
  }
  if (std::any_of(w.begin() + 2, w.end(), [](std::int64_t n) { return n == 0; })) {
    throw_operands(op, x, w, "the window must have elements");
  }
}

// Stride, dilation and what a window reaches over, dilation (window − 1) + 1.
Extents settle(std::string_view op, const Shape& w, const PerAxis& stride, const PerAxis& dilation,
               Windows& out) {
  const int axes = w.rank() - 2;
  out.window = extents(w, axes);
  out.stride = per_axis(op, "stride", stride, axes, 1, 1);
  out.dilation = per_axis(op, "dilation", dilation, axes, 1, 1);
  Extents reach;
  for (std::size_t i = 0; i < 3; ++i) reach[i] = out.dilation[i] * (out.window[i] - 1) + 1;
  return reach;
}

Form form_of(std::string_view op, const Shape& x, const Shape& w, const ConvOptions& o) {
  check_weight(op, x, w, o.groups);
  if (x[1] != w[1] * o.groups) {
    throw_operands(op, x, w,
                   "x must have " + std::to_string(w[1] * o.groups) + " channels, " +
                       std::to_string(w[1]) + " for each of " + std::to_string(o.groups) +
                       " groups");
  }
  const int axes = x.rank() - 2;
  Windows v;
  v.in = extents(x, axes);
  const Extents reach = settle(op, w, o.stride, o.dilation, v);
  const bool same = o.padding.same();
  if (!same) v.padding = per_axis(op, "padding", o.padding, axes, 0, 0);
  for (std::size_t i = 0; i < 3; ++i) {
    if (same && v.stride[i] != 1) {
      throw ValueError(op, "padding \"same\" and stride " + text(v.stride, axes) +
                               ": the stride must be 1, give the padding in numbers");
    }
    if (same) v.padding[i] = (reach[i] - 1) / 2;
    const std::int64_t room = same ? v.in[i] - 1 : v.in[i] + 2 * v.padding[i] - reach[i];
    if (room < 0) {
      throw_operands(op, x, w, "the padded input must not be smaller than the window");
    }
    v.out[i] = room / v.stride[i] + 1;
  }
  return {{x[0], o.groups, w[1], w[0] / o.groups, v}, x, w, spatial_shape(x[0], w[0], v.out, axes)};
}

// The form whose input is what the transposed convolution makes of x.
Form transposed_form(std::string_view op, const Shape& x, const Shape& w,
                     const ConvTransposeOptions& o) {
  check_weight(op, x, w, o.groups);
  if (x[1] != w[0]) {
    throw_operands(op, x, w, "x must have " + std::to_string(w[0]) + " channels");
  }
  const int axes = x.rank() - 2;
  Windows v;
  v.out = extents(x, axes);
  const Extents reach = settle(op, w, o.stride, o.dilation, v);
  v.padding = per_axis(op, "padding", o.padding, axes, 0, 0);
  const Extents more = per_axis(op, "output_padding", o.output_padding, axes, 0, 0);
  for (std::size_t i = 0; i < 3; ++i) {
    if (more[i] >= std::max(v.stride[i], v.dilation[i])) {
      throw ValueError(op, "output_padding " + text(more, axes) + ", stride " +
                               text(v.stride, axes) + ", dilation " + text(v.dilation, axes) +
                               ": output_padding must be less than stride or dilation");
    }
    v.in[i] = (v.out[i] - 1) * v.stride[i] - 2 * v.padding[i] + reach[i] + more[i];
    if (v.in[i] < 1) throw_operands(op, x, w, "the result would be empty");
  }
  return {{x[0], o.groups, w[1], w[0] / o.groups, v},
          spatial_shape(x[0], w[1] * o.groups, v.in, axes),
          w,
          x};
}

void check_others(std::string_view op, const Var& x, const Var& w, const Var& b,
                  std::int64_t channels) {
  if (b.defined() && b.shape() != Shape{channels}) {
    throw ShapeError(op, "bias " + b.shape().str() + " of " + std::to_string(channels) +
                             " channels: must be " + Shape{channels}.str());
  }
  for (const Var* v : {&w, &b}) {
    if (!v->defined() || v->dtype() == x.dtype()) continue;
    throw DTypeError(op, std::string("x is ") + name(x.dtype()) + ", " +
                             (v == &w ? "weight " : "bias ") + name(v->dtype()) +
                             ": dtypes never mix silently, write cast(…, " + name(x.dtype()) + ")");
  }
}

// x and w on the tape of any of the three.
struct Operands {
  Var x, w;
  Operands(const Var& given, const Var& weight, const Var& b) : x(beside(given, weight)) {
    if (b.defined()) x = beside(x, b);
    w = beside(weight, x);
  }
};

// y + b by channel.
Var with_bias(const Var& y, const Var& b) {
  if (!b.defined()) return y;
  Shape shape{b.shape()[0]};
  while (shape.rank() < y.rank() - 1) shape.push_back(1);
  return y + reshape(beside(b, y), shape);
}

template <int kAxes>
Var convolved(std::string_view op, const Var& x, const Var& w, const Var& b, const ConvOptions& o) {
  const Batch batch(op, x, kAxes);
  const Form f = form_of(op, batch.shape, w.shape(), o);
  check_others(op, x, w, b, f.y[1]);
  const Operands on(x, w, b);
  return batch.result(with_bias(by_output(batch.of(on.x), on.w, f), b));
}

template <int kAxes>
Var spread(std::string_view op, const Var& x, const Var& w, const Var& b,
           const ConvTransposeOptions& o) {
  const Batch batch(op, x, kAxes);
  const Form f = transposed_form(op, batch.shape, w.shape(), o);
  check_others(op, x, w, b, f.x[1]);
  const Operands on(x, w, b);
  return batch.result(with_bias(by_input(batch.of(on.x), on.w, f), b));
}

// --- samples of the public functions -------------------------------------------------------------

template <class Options>
using Convolve = Var (*)(const Var&, const Var&, const Var&, const Options&);

template <class Options, Convolve<Options> kCall>
void add_case(std::vector<Sample>& out, const Sampler& s, const Shape& x, const Shape& w,
              std::int64_t bias, const Options& o) {
  Sample sample{x.str() + " " + w.str(), {s.draw(x), s.draw(w)}, nullptr};
  if (bias > 0) sample.inputs.push_back(s.draw({bias}));
  sample.call = [o](std::span<const Var> in) {
    return kCall(in[0], in[1], in.size() > 2 ? in[2] : Var(), o);
  };
  out.push_back(std::move(sample));
}

template <Convolve<ConvOptions> kCall>
std::vector<Sample> conv_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& x, const Shape& w, std::int64_t bias, const ConvOptions& o) {
    add_case<ConvOptions, kCall>(out, s, x, w, bias, o);
  };
  constexpr int axes = kCall == &conv1d ? 1 : kCall == &conv2d ? 2 : 3;
  const auto shape = [](std::int64_t a, std::int64_t b, const Extents& e) {
    return spatial_shape(a, b, e, axes);
  };
  const auto single = [](std::int64_t c, const Extents& e) {
    const Shape with = spatial_shape(1, c, e, axes);
    return Shape(with.begin() + 1, with.end());
  };
  add(shape(2, 1, {1, 3, 4}), shape(2, 1, {1, 2, 2}), 2, {});
  add(single(2, {2, 2, 3}), shape(2, 1, {1, 2, 2}), 0, {.padding = 1, .groups = 2});
  add(shape(1, 2, {1, 2, 5}), shape(1, 2, {1, 1, 3}), 1, {.stride = 2, .padding = 1});
  add(shape(1, 1, {2, 2, 4}), shape(1, 1, {1, 1, 2}), 1, {.padding = "same", .dilation = 2});
  add(shape(0, 1, {2, 2, 3}), shape(2, 1, {1, 1, 2}), 2, {.padding = "valid"});
  return out;
}

template <Convolve<ConvTransposeOptions> kCall>
std::vector<Sample> transpose_samples(const Sampler& s) {
  std::vector<Sample> out;
  const auto add = [&](const Shape& x, const Shape& w, std::int64_t bias,
                       const ConvTransposeOptions& o) {
    add_case<ConvTransposeOptions, kCall>(out, s, x, w, bias, o);
  };
  constexpr int axes = kCall == &conv_transpose1d ? 1 : kCall == &conv_transpose2d ? 2 : 3;
  const auto shape = [](std::int64_t a, std::int64_t b, const Extents& e) {
    return spatial_shape(a, b, e, axes);
  };
  const Shape with = shape(1, 2, {1, 1, 3});
  add(shape(2, 1, {1, 2, 3}), shape(1, 2, {1, 1, 2}), 2, {});
  add(Shape(with.begin() + 1, with.end()), shape(2, 1, {1, 1, 2}), 0, {.stride = 2});
  add(shape(1, 2, {1, 1, 3}), shape(2, 1, {2, 2, 2}), 2,
      {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
  add(shape(1, 1, {1, 2, 2}), shape(1, 1, {2, 1, 2}), 1, {.output_padding = 1, .dilation = 2});
  add(shape(0, 1, {1, 1, 2}), shape(1, 1, {1, 1, 2}), 0, {});
  return out;
}

constexpr Text kConvText{
    "y[n, o, i] = b[o] + Σ_{c, k} w[o, c, k] x[n, c, i·stride + k·dilation − padding]",
    "x̄ = conv_transpose(ȳ, w), w̄[o, c, k] = Σ_{n, i} x[n, c, …] ȳ[n, o, i], b̄ = Σ ȳ"};
constexpr Text kTransposeText{
    "y[n, o, i·stride + k·dilation − padding] += Σ_c w[c, o, k] x[n, c, i], y = b at first",
    "x̄ = conv(ȳ, w), w̄[c, o, k] = Σ_{n, i} ȳ[n, o, …] x[n, c, i], b̄ = Σ ȳ"};

constexpr Op kConv1d = composed("conv1d", kConvText, conv_samples<conv1d>);
constexpr Op kConv2d = composed("conv2d", kConvText, conv_samples<conv2d>);
constexpr Op kConv3d = composed("conv3d", kConvText, conv_samples<conv3d>);
constexpr Op kConvTranspose1d =
    composed("conv_transpose1d", kTransposeText, transpose_samples<conv_transpose1d>);
constexpr Op kConvTranspose2d =
    composed("conv_transpose2d", kTransposeText, transpose_samples<conv_transpose2d>);
constexpr Op kConvTranspose3d =
    composed("conv_transpose3d", kTransposeText, transpose_samples<conv_transpose3d>);

}  // namespace

ConvPadding::ConvPadding(std::string_view mode) : PerAxis(0), same_(mode == "same") {
  if (same_ || mode == "valid") return;
  throw ValueError("convolution",
                   "padding \"" + std::string(mode) + "\": must be \"same\", \"valid\" or numbers");
}

Var conv1d(const Var& x, const Var& w, const Var& b, const ConvOptions& options) {
  return convolved<1>("conv1d", x, w, b, options);
}
Var conv2d(const Var& x, const Var& w, const Var& b, const ConvOptions& options) {
  return convolved<2>("conv2d", x, w, b, options);
}
Var conv3d(const Var& x, const Var& w, const Var& b, const ConvOptions& options) {
  return convolved<3>("conv3d", x, w, b, options);
}

Var conv_transpose1d(const Var& x, const Var& w, const Var& b,
                     const ConvTransposeOptions& options) {
  return spread<1>("conv_transpose1d", x, w, b, options);
}
Var conv_transpose2d(const Var& x, const Var& w, const Var& b,
                     const ConvTransposeOptions& options) {
  return spread<2>("conv_transpose2d", x, w, b, options);
}
Var conv_transpose3d(const Var& x, const Var& w, const Var& b,
                     const ConvTransposeOptions& options) {
  return spread<3>("conv_transpose3d", x, w, b, options);
}

const kernels::Convolution& convolution_of(const Attrs* convolution) {
  return get_attrs<Form>(convolution).c;
}

namespace families {
Family convolution() {
  return {&kConvolution, &kConvolutionInput, &kConvolutionWeight, &kConv1d,         &kConv2d,
          &kConv3d,      &kConvTranspose1d,  &kConvTranspose2d,   &kConvTranspose3d};
}
}  // namespace families

}  // namespace xtape
