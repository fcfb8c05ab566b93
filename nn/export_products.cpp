#include <algorithm>

#include <xtape/autodiff/kernels/strided.hpp>
#include <xtape/autodiff/ops/attributes.hpp>
#include <xtape/nn/export_writer.hpp>

// Products and convolutions.
namespace xtape::nn::exporting {
namespace {

using kernels::Convolution, kernels::volume;

std::string flag(bool b) { return b ? "true" : "false"; }

// The place of operand matrix number b, for b in 0, 1, …: "x + b * 6", "x + t3[b]", "x".
std::string matrix_at(Writer& w, Id from, const Shape& batch, std::int64_t size) {
  const Shape& s = w.shape(from);
  const std::int64_t count = s.size() / std::max<std::int64_t>(size, 1);
  if (count == 1) return w.name(from);
  if (count == batch.size()) return w.name(from) + " + b * " + text(size);
  std::vector<std::int64_t> at;
  const Shape own(s.begin(), s.end() - 2);
  const kernels::StridedLoop<1> loop(batch, {kernels::broadcast_strides(own, batch)});
  loop.each([&](const auto& offset) {
    for (std::int64_t i = 0; i < loop.inner(); ++i) {
      at.push_back((offset[0] + i * loop.inner_stride(0)) * size);
    }
  });
  return w.name(from) + " + " + w.integers(at) + "[b]";
}

void matmul(Writer& w, Id i, const Node& n) {
  const auto [ta, tb] = transposed_operands(n.attrs.get());
  const Shape &a = w.shape(n.in[0]), &y = n.spec.shape;
  const Shape batch(y.begin(), y.end() - 2);
  const std::int64_t rows = y[y.rank() - 2], columns = y[y.rank() - 1];
  const std::int64_t k = a[a.rank() - (ta ? 2 : 1)];
  const std::string from_a = matrix_at(w, n.in[0], batch, rows * k);
  const std::string from_b = matrix_at(w, n.in[1], batch, k * columns);
  std::string to = w.fresh(i);
  if (batch.size() > 1) {
    w.line("for (int b = 0; b < " + text(batch.size()) + "; ++b)");
    to += " + b * " + text(rows * columns);
  }
  w.call("matmul", {from_a, from_b, text(rows), text(columns), text(k), flag(ta), flag(tb), to});
}

// A statement for each sample: `x` and `y` have so many elements in each.
void convolve(Writer& w, const Convolution& c, const std::string& weight, Id from,
              const std::string& to) {
  const std::int64_t plane = volume(c.windows.in), points = volume(c.windows.out);
  const std::string groups = text(c.groups), inputs = text(c.inputs), outputs = text(c.outputs);
  if (c.windows.plain()) {
    w.call("pointwise", {w.name(from), weight, groups, inputs, outputs, text(plane), to});
    return;
  }
  const std::string at = w.integers(tap_positions({c.windows, false}));
  w.call("convolution", {w.name(from), weight, at, groups, inputs, outputs,
                         text(volume(c.windows.window)), text(points), text(plane), to});
}

void one_sample(const Writer& w, const Convolution& c) {
  if (c.samples != 1) w.refuse("a convolution of " + text(c.samples) + " samples");
}

void convolution(Writer& w, Id i, const Node& n) {
  const Convolution& c = convolution_of(n.attrs.get());
  one_sample(w, c);
  convolve(w, c, w.name(n.in[1]), n.in[0], w.fresh(i));
}

// Taps backwards, inputs for outputs.
Tensor turned(const Tensor& weight, const Convolution& c) {
  const std::int64_t taps = volume(c.windows.window);
  const auto from = weight.span<float>();
  Tensor out = Tensor::empty({weight.size()}, f32);
  auto* to = out.mutable_data<float>();
  for (std::int64_t g = 0; g < c.groups; ++g) {
    for (std::int64_t in = 0; in < c.inputs; ++in) {
      for (std::int64_t o = 0; o < c.outputs; ++o) {
        const std::int64_t at = ((g * c.outputs + o) * c.inputs + in) * taps;
        for (std::int64_t k = taps; k-- > 0;) *to++ = from[static_cast<std::size_t>(at + k)];
      }
    }
  }
  return out;
}

void transposed_convolution(Writer& w, Id i, const Node& n) {
  const Convolution& c = convolution_of(n.attrs.get());
  one_sample(w, c);
  if (const auto mirrored = kernels::mirrored(c)) {
    const std::string weight = w.floats(turned(w.fixed(n.in[1]), c));
    return convolve(w, *mirrored, weight, n.in[0], w.fresh(i));
  }
  const std::string at = w.integers(tap_positions({c.windows, false})), x = w.fresh(i);
  w.call("convolution_input", {w.name(n.in[0]), w.name(n.in[1]), at, text(c.groups), text(c.inputs),
                               text(c.outputs), text(volume(c.windows.window)),
                               text(volume(c.windows.out)), text(volume(c.windows.in)), x});
}

constexpr Translation kProducts[] = {{"matmul", matmul},
                                     {"convolution", convolution},
                                     {"convolution_input", transposed_convolution}};

}  // namespace

std::span<const Translation> product_ops() { return kProducts; }

}  // namespace xtape::nn::exporting
