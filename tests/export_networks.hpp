#pragma once

// Networks whose exported headers are compared with them (exported.cpp): together they have every
// kind of layers and every activation that texts can name (test_nn_export.cpp).
namespace xtape {

inline constexpr const char* kExported[] = {
    // All that products of a row and a matrix do: 8, 4 and 1 rows at once, ends of vectors, one
    // input.
    "70 dense:31 relu dense:16 tanh dense:5", "3 dense:2", "1 dense:40 sigmoid dense:1",
    "700 dense:13 sigmoid dense:10 softmax", "6x5 dense:7 tanh dense:1",
    "24 sigmoid tanh softplus silu gelu gelu_tanh mish",
    "24 relu softplus:2:3 leaky_relu elu:0.5 selu celu:2 softsign log_sigmoid",
    "24 hardtanh:-0.5:0.7 hardsigmoid", "24 relu6", "24 hardswish tanhshrink", "24 softshrink",
    "24 hardshrink", "24 threshold:0.2:-1", "24 glu prelu", "24 log_softmax", "24 softmin",
    "40 neurons:relu,tanh,sigmoid,identity identity", "20 layernorm dense:9 rmsnorm",
    "1500 layernorm", "2000 softmax", "2000 log_softmax", "9000 softmax",
    "2x9x8 conv2d:5:3:padding=1 batchnorm relu maxpool2d:2 conv2d:4:2:stride=2 tanh flatten "
    "dense:3",
    "40x6x5 conv2d:3:3:padding=1 relu", "50x6x5 conv2d:3:3:padding=1",
    "2x5x6 conv2d:3:3:padding=1x2:mode=reflect conv2d:2:2:padding=same:mode=circular",
    "2x7 conv1d:3:4:padding=same:mode=replicate",
    "4x7x6 conv2d:6:3x2:groups=2:dilation=2:padding=1", "300x3x3 conv2d:5:1 relu",
    "6x9 conv1d:4:3:padding=1 avgpool1d:2 groupnorm:2", "2x4x5x3 conv3d:3:2 maxpool3d:2",
    "1x20x20 conv2d:2:18", "3x8x8 avgpool2d:3:stride=2 adaptiveavgpool2d:2",
    "3x7x7 maxpool2d:3:stride=2:padding=1", "3x7x7 adaptivemaxpool2d:3", "5x3 lstm:6", "5x3 gru:6",
    "5x3 rnn:6", "5x3 relurnn:6:layers=2:bidirectional",
    "3x6x6 instancenorm dropout:0.3 flatten dense:4 dropout:0.5",
    "x = input:1x8x8\na = conv2d:4:3:padding=1 (x)\nb = conv2d:4:1 (x)\ns = add (a, b)\n"
    "c = concat:1 (s, a)\nr = relu (c)\np = maxpool2d:2 (r)\nf = flatten (p)\ny = dense:10 (f)\n",
    // Softmax over other axes, of few and many.
    "5x7 softmax:1", "5x7 log_softmax:1", "3x4x5 softmin:2 glu:2", "600x3 softmax:1 log_softmax:2",
    // Sums: along the last axis, across, over many.
    "9x33 mean:2", "33x9 mean:1", "1200x2 mean:1", "2x700 channeldropout mean:-1",
    "6x4 select:1:2 dense:3",
    // Pooling of all ranks.
    "4x9 maxpool1d:2 adaptivemaxpool1d:3 adaptiveavgpool1d:2",
    "2x6x5x4 batchnorm3d avgpool3d:2 adaptivemaxpool3d:2 adaptiveavgpool3d:1",
    "3x7 batchnorm1d avgpool1d:3:padding=1", "3x6x5 batchnorm2d maxpool2d:2:ceil avgpool2d:2:ceil",
    "2x9x9 maxpool2d:2:dilation=2:stride=1 adaptiveavgpool2d:4x3",
    // Transposed convolutions: as convolutions, with few and many outputs, by columns.
    "4x5x6 convtranspose2d:3:3:padding=1",
    "4x5x6 convtranspose2d:3:3:stride=2:padding=1:output_padding=1",
    "9x5x6 convtranspose2d:2:2 relu", "300x4x9 convtranspose2d:3:2:stride=2",
    "40x4x3 convtranspose2d:30:3", "6x40 convtranspose1d:4:5:stride=3:groups=2:dilation=2",
    "6x7 convtranspose1d:4:1", "3x3x2x4 convtranspose3d:2:2:stride=2",
    // Tables, of one input and of many.
    "12 embedding:10:6 flatten dense:5", "5 embedding:7:3:padding_idx=0 mean:1 dense:2",
    "9 embedding:11:8 transformer:2:16 lstm:5 select:1:-1 dense:11 log_softmax",
    // Attention: of one head and of many, causal, with one step, with long ones.
    "7x12 attention:3", "7x12 attention:1:causal:nobias", "1x8 attention:2",
    "40x16 attention:4:causal", "300x4 attention:1",
    "6x10 transformer:2:24:norm_first:causal:activation=gelu",
    "6x10 transformer:5:20 transformer:2:8:activation=silu",
    "q = input:4x6\nk = input:9x5\nv = input:9x3\ny = attention:2 (q, k, v)\n",
    "x = input:5x8\nm = input:7x8\na = transformerdecoder:2:12 (x, m)\n"
    "y = transformerdecoder:4:9:causal:norm_first:activation=gelu_tanh (a, m)\n",
    // Bilinear forms, and several inputs and outputs.
    "a = input:6\nb = input:5\ny = bilinear:4 (a, b)\n",
    "a = input:20\nb = input:33\ny = bilinear:7:nobias (a, b)\n",
    "a = input:1\nb = input:3\ny = bilinear:2 (a, b)\n",
    "a = input:3x6\nb = input:3x5\ny = bilinear:4 (a, b)\n",
    "a = input:8\nb = input:8\nm = multiply (a, b)\ns = add (a, m)\nh = dense:4 (s)\n"
    "y = softmax (h)\nz = dense:2 (b)\noutput (y, z, m)\n",
    "words = input:6\nimage = input:1x5x5\ne = embedding:20:4 (words)\nf = flatten (e)\n"
    "c = conv2d:3:3 (image)\ng = flatten (c)\nj = concat (f, g)\nh = dense:8 (j)\n"
    "y = dense:3 (h)\np = log_softmax (y)\noutput (y, p, e)\n"};

}  // namespace xtape
