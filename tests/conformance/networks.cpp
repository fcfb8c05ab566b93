#include "adapters.hpp"

// Convolutions of the corpus.
namespace xtape::conformance {

void add_pooling(Adapters& a);

namespace {

using List = std::vector<Var>;

PerAxis per_axis(const Call& c, const std::string& name, const PerAxis& otherwise) {
  const auto all = c.integers(name);
  return all.empty() ? otherwise : PerAxis(all.begin(), all.end());
}

ConvOptions conv_options(const Call& c) {
  ConvOptions o{.stride = per_axis(c, "stride", 1),
                .dilation = per_axis(c, "dilation", 1),
                .groups = c.integer("groups", 1)};
  if (!c.has("padding")) return o;
  if (c.raw("padding").is_string()) {
    o.padding = ConvPadding(c.text("padding"));
  } else {
    const auto all = c.integers("padding");
    o.padding = ConvPadding(all.begin(), all.end());
  }
  return o;
}

ConvTransposeOptions transpose_options(const Call& c) {
  return {.stride = per_axis(c, "stride", 1),
          .padding = per_axis(c, "padding", 0),
          .output_padding = per_axis(c, "output_padding", 0),
          .dilation = per_axis(c, "dilation", 1),
          .groups = c.integer("groups", 1)};
}

template <auto kCall, class Options>
Adapter convolution(Options (*options)(const Call&)) {
  return [options](const Call& c) {
    return List{
        kCall(c.operand("input"), c.operand("weight"), c.operand("bias", Var()), options(c))};
  };
}

}  // namespace

void add_networks(Adapters& a) {
  add_pooling(a);
  a["nn.functional.conv1d"] = convolution<conv1d>(conv_options);
  a["nn.functional.conv2d"] = convolution<conv2d>(conv_options);
  a["nn.functional.conv3d"] = convolution<conv3d>(conv_options);
  a["nn.functional.conv_transpose1d"] = convolution<conv_transpose1d>(transpose_options);
  a["nn.functional.conv_transpose2d"] = convolution<conv_transpose2d>(transpose_options);
  a["nn.functional.conv_transpose3d"] = convolution<conv_transpose3d>(transpose_options);
}

}  // namespace xtape::conformance
