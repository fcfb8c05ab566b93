#include <xtape/nn/kinds.hpp>

namespace xtape::nn {
namespace {

using Type = KindArgument::Type;
using Made = std::shared_ptr<Module>;
using Arguments = std::vector<KindArgument>;

constexpr KindArgument kNoBias{"nobias", Type::flag};
constexpr std::int64_t kMostLayers = 1000;  // of one word

DenseOptions dense_options(const Making& m) {
  DenseOptions o = m.options.dense;
  o.bias = o.bias && !m.arguments.flag("nobias");
  return o;
}

Made dense(const Making& m) {
  return std::make_shared<Dense>(infer, m.arguments.integer("units"), dense_options(m));
}

Made neurons(const Making& m) {
  std::vector<Activation> each;
  std::string word;
  const auto take = [&] {
    const auto own = m.options.activations.find(word);
    try {
      each.push_back(own != m.options.activations.end() ? own->second : activation(word));
    } catch (const ParseError&) {
      throw ParseError("network", "'" + word + "' is no layer and no activation");
    }
    word.clear();
  };
  for (const char c : m.arguments.text("activations")) {
    if (c == ',') {
      take();
    } else {
      word += c;
    }
  }
  take();
  return std::make_shared<Neurons>(m.features(), std::move(each), m.options.dense);
}

Made embedding_layer(const Making& m) {
  const KindArguments& a = m.arguments;
  EmbeddingLayerOptions o{.dtype = m.options.dense.dtype};
  if (!a.text("padding_idx").empty()) o.padding_idx = a.integer("padding_idx");
  return std::make_shared<Embedding>(a.integer("rows"), a.integer("features"), o);
}

Made bilinear_layer(const Making& m) {
  if (m.in.size() != 2) throw ParseError("network", "bilinear takes two inputs");
  const auto last = [](const Shape& s) { return s[s.rank() - 1]; };
  return std::make_shared<Bilinear>(last(m.in[0].shape), last(m.in[1].shape),
                                    m.arguments.integer("units"), dense_options(m));
}

Padding padding_mode(const std::string& word) {
  if (word == "zeros") return Padding::constant;
  if (word == "reflect") return Padding::reflect;
  if (word == "replicate") return Padding::replicate;
  if (word == "circular") return Padding::circular;
  throw ParseError("network", "mode '" + word + "': must be zeros, reflect, replicate or circular");
}

template <int N>
Made conv(const Making& m) {
  const KindArguments& a = m.arguments;
  const DenseOptions d = dense_options(m);
  const ConvPadding padding = a.text("padding") == "same" ? ConvPadding("same") : [&] {
    const PerAxis p = a.extents("padding");
    return ConvPadding(p.begin(), p.end());
  }();
  return std::make_shared<Convolution<N, false>>(
      infer, a.integer("channels"), a.extents("window"),
      ConvLayerOptions{a.extents("stride"), padding, a.extents("dilation"), a.integer("groups"),
                       d.bias, d.weight_init, d.bias_init, d.dtype, padding_mode(a.text("mode"))});
}

template <int N>
Made conv_transpose(const Making& m) {
  const KindArguments& a = m.arguments;
  const DenseOptions d = dense_options(m);
  return std::make_shared<Convolution<N, true>>(
      infer, a.integer("channels"), a.extents("window"),
      ConvTransposeLayerOptions{a.extents("stride"), a.extents("padding"),
                                a.extents("output_padding"), a.extents("dilation"),
                                a.integer("groups"), d.bias, d.weight_init, d.bias_init, d.dtype});
}

template <int N>
Made max_pool(const Making& m) {
  const KindArguments& a = m.arguments;
  return std::make_shared<MaxPool<N>>(a.extents("window"),
                                      MaxPoolOptions{a.extents("stride"), a.extents("padding"),
                                                     a.extents("dilation"), a.flag("ceil")});
}

template <int N>
Made avg_pool(const Making& m) {
  const KindArguments& a = m.arguments;
  return std::make_shared<AvgPool<N>>(a.extents("window"),
                                      AvgPoolOptions{.stride = a.extents("stride"),
                                                     .padding = a.extents("padding"),
                                                     .ceil_mode = a.flag("ceil")});
}

template <template <int> class Pool, int N>
Made adaptive(const Making& m) {
  return std::make_shared<Pool<N>>(m.arguments.extents("size"));
}

template <int N>
Made batch_norm_layer(const Making& m) {
  const KindArguments& a = m.arguments;
  const std::optional<int> axes = N > 0 ? std::optional<int>(N) : std::nullopt;
  return std::make_shared<BatchNorm>(infer,
                                     BatchNormLayerOptions{.eps = a.number("eps"),
                                                           .momentum = a.number("momentum"),
                                                           .affine = !a.flag("noaffine"),
                                                           .dtype = m.options.dense.dtype},
                                     axes);
}

NormLayerOptions norm_options(const Making& m) {
  return {.eps = m.arguments.number("eps"),
          .affine = !m.arguments.flag("noaffine"),
          .dtype = m.options.dense.dtype};
}

template <class Cell>
Made recurrent(const Making& m) {
  const KindArguments& a = m.arguments;
  const DenseOptions d = dense_options(m);
  RecurrentOptions o{.layers = a.integer("layers"),
                     .bias = d.bias,
                     .batch_first = !a.flag("time_first"),
                     .dropout = a.number("dropout"),
                     .bidirectional = a.flag("bidirectional"),
                     .weight_init = d.weight_init,
                     .bias_init = d.bias_init,
                     .dtype = d.dtype};
  if constexpr (std::is_same_v<Cell, LSTM>) o.projection = a.integer("projection");
  return std::make_shared<Cell>(m.features(), a.integer("units"), o);
}

Made attention_layer(const Making& m) {
  const KindArguments& a = m.arguments;
  const DenseOptions d = dense_options(m);
  MultiheadAttentionOptions o{.dropout = a.number("dropout"),
                              .bias = d.bias,
                              .batch_first = true,
                              .causal = a.flag("causal"),
                              .weight_init = d.weight_init,
                              .dtype = d.dtype};
  const auto last = [](const Spec& s) { return s.shape[s.shape.rank() - 1]; };
  if (m.in.size() > 1) o.kdim = last(m.in[1]);
  if (m.in.size() > 1) o.vdim = last(m.in.back());
  return std::make_shared<MultiheadAttention>(m.features(), a.integer("heads"), o);
}

template <class Layer>
Made transformer_layer(const Making& m) {
  const KindArguments& a = m.arguments;
  return std::make_shared<Layer>(m.features(), a.integer("heads"),
                                 TransformerOptions{.feedforward = a.integer("feedforward"),
                                                    .dropout = a.number("dropout"),
                                                    .activation = activation(a.text("activation")),
                                                    .batch_first = true,
                                                    .norm_first = a.flag("norm_first"),
                                                    .causal = a.flag("causal"),
                                                    .weight_init = m.options.dense.weight_init,
                                                    .dtype = m.options.dense.dtype});
}

std::vector<LayerKind> make_table() {
  const Arguments conv_arguments{{"channels"},
                                 {"window", Type::extents},
                                 {"stride", Type::extents, "1"},
                                 {"padding", Type::padding, "0"},
                                 {"dilation", Type::extents, "1"},
                                 {"groups", Type::count, "1"},
                                 {"mode", Type::words, "zeros"},
                                 kNoBias};
  const Arguments transpose{{"channels"},
                            {"window", Type::extents},
                            {"stride", Type::extents, "1"},
                            {"padding", Type::extents, "0"},
                            {"output_padding", Type::extents, "0"},
                            {"dilation", Type::extents, "1"},
                            {"groups", Type::count, "1"},
                            kNoBias};
  const Arguments pool{{"window", Type::extents},
                       {"stride", Type::extents, ""},
                       {"padding", Type::extents, "0"},
                       {"ceil", Type::flag}};
  Arguments dilated = pool;
  dilated.push_back({"dilation", Type::extents, "1"});
  const Arguments size{{"size", Type::extents}};
  const Arguments norm{{"eps", Type::number, "1e-5"}, {"noaffine", Type::flag}};
  Arguments batch = norm;
  batch.push_back({"momentum", Type::number, "0.1"});
  Arguments group = norm;
  group.insert(group.begin(), {"groups"});
  const Arguments steps{{"units"},
                        {"layers", Type::count, "1", kMostLayers},
                        {"dropout", Type::number, "0"},
                        {"bidirectional", Type::flag},
                        {"time_first", Type::flag},
                        kNoBias};
  Arguments projected = steps;
  projected.push_back({"projection", Type::integer, "0"});
  const Arguments block{{"heads"},
                        {"feedforward", Type::count, "2048"},
                        {"dropout", Type::number, "0.1"},
                        {"activation", Type::words, "relu"},
                        {"norm_first", Type::flag},
                        {"causal", Type::flag}};
  return {
      {"dense", {{"units"}, kNoBias}, dense},
      {"neurons", {{"activations", Type::words}}, neurons},
      {"bilinear", {{"units"}, kNoBias}, bilinear_layer},
      {"embedding", {{"rows"}, {"features"}, {"padding_idx", Type::integer, ""}}, embedding_layer},
      {"conv1d", conv_arguments, conv<1>},
      {"conv2d", conv_arguments, conv<2>},
      {"conv3d", conv_arguments, conv<3>},
      {"convtranspose1d", transpose, conv_transpose<1>},
      {"convtranspose2d", transpose, conv_transpose<2>},
      {"convtranspose3d", transpose, conv_transpose<3>},
      {"maxpool1d", dilated, max_pool<1>},
      {"maxpool2d", dilated, max_pool<2>},
      {"maxpool3d", dilated, max_pool<3>},
      {"avgpool1d", pool, avg_pool<1>},
      {"avgpool2d", pool, avg_pool<2>},
      {"avgpool3d", pool, avg_pool<3>},
      {"adaptivemaxpool1d", size, adaptive<AdaptiveMaxPool, 1>},
      {"adaptivemaxpool2d", size, adaptive<AdaptiveMaxPool, 2>},
      {"adaptivemaxpool3d", size, adaptive<AdaptiveMaxPool, 3>},
      {"adaptiveavgpool1d", size, adaptive<AdaptiveAvgPool, 1>},
      {"adaptiveavgpool2d", size, adaptive<AdaptiveAvgPool, 2>},
      {"adaptiveavgpool3d", size, adaptive<AdaptiveAvgPool, 3>},
      {"batchnorm", batch, batch_norm_layer<0>},
      {"batchnorm1d", batch, batch_norm_layer<1>},
      {"batchnorm2d", batch, batch_norm_layer<2>},
      {"batchnorm3d", batch, batch_norm_layer<3>},
      {"instancenorm",
       {{"eps", Type::number, "1e-5"}},
       [](const Making& m) -> Made {
         return std::make_shared<InstanceNorm>(
             infer, InstanceNormLayerOptions{.eps = m.arguments.number("eps"),
                                             .dtype = m.options.dense.dtype});
       }},
      {"layernorm", norm,
       [](const Making& m) -> Made {
         return std::make_shared<LayerNorm>(m.features(), norm_options(m));
       }},
      {"rmsnorm", norm,
       [](const Making& m) -> Made {
         return std::make_shared<RMSNorm>(m.features(), norm_options(m));
       }},
      {"groupnorm", group,
       [](const Making& m) -> Made {
         return std::make_shared<GroupNorm>(m.arguments.integer("groups"), infer, norm_options(m));
       }},
      {"dropout",
       {{"p", Type::number, "0.5"}},
       [](const Making& m) -> Made { return std::make_shared<Dropout>(m.arguments.number("p")); }},
      {"channeldropout",
       {{"p", Type::number, "0.5"}},
       [](const Making& m) -> Made {
         return std::make_shared<ChannelDropout>(m.arguments.number("p"));
       }},
      {"flatten",
       {{"first", Type::integer, "1"}, {"last", Type::integer, "-1"}},
       [](const Making& m) -> Made {
         return std::make_shared<Flatten>(m.arguments.integer("first"),
                                          m.arguments.integer("last"));
       }},
      {"select",
       {{"axis", Type::integer}, {"position", Type::integer}},
       [](const Making& m) -> Made {
         return std::make_shared<Select>(m.arguments.integer("axis"),
                                         m.arguments.integer("position"));
       }},
      {"mean",
       {{"axis", Type::integer}},
       [](const Making& m) -> Made {
         return std::make_shared<Mean>(Axes(m.arguments.integer("axis")));
       }},
      {"rnn", steps, recurrent<RNN>},
      {"relurnn", steps, recurrent<ReluRNN>},
      {"lstm", projected, recurrent<LSTM>},
      {"gru", steps, recurrent<GRU>},
      {"attention",
       {{"heads"}, {"dropout", Type::number, "0"}, {"causal", Type::flag}, kNoBias},
       attention_layer},
      {"transformer", block, transformer_layer<TransformerEncoderLayer>},
      {"transformerdecoder", block, transformer_layer<TransformerDecoderLayer>},
      {"prelu",
       {{"channels", Type::count, "1"}},
       [](const Making& m) -> Made {
         return std::make_shared<PReLU>(PReLUOptions{.channels = m.arguments.integer("channels"),
                                                     .dtype = m.options.dense.dtype});
       }},
      {"add", {}, [](const Making&) -> Made { return std::make_shared<Add>(); }},
      {"multiply", {}, [](const Making&) -> Made { return std::make_shared<Multiply>(); }},
      {"concat", {{"axis", Type::integer, "-1"}}, [](const Making& m) -> Made {
         return std::make_shared<Concat>(m.arguments.integer("axis"));
       }}};
}

// Made once and never unmade: nothing of the library is left to static destructors.
const std::vector<LayerKind>& table() {
  static const auto* const all = new std::vector<LayerKind>(make_table());
  return *all;
}

}  // namespace

const LayerKind* find_kind(const std::string& name) {
  for (const LayerKind& k : table()) {
    if (k.name == name) return &k;
  }
  return nullptr;
}

std::string kind_names() {
  std::string s;
  for (const LayerKind& k : table()) s += (s.empty() ? "" : ", ") + std::string(k.name);
  return s;
}

}  // namespace xtape::nn
