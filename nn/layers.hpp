#pragma once

// Every layer.
#include <xtape/nn/activation.hpp>
#include <xtape/nn/attention.hpp>
#include <xtape/nn/combinators.hpp>
#include <xtape/nn/convolution.hpp>
#include <xtape/nn/dense.hpp>
#include <xtape/nn/dropout.hpp>
#include <xtape/nn/embedding.hpp>
#include <xtape/nn/normalization.hpp>
#include <xtape/nn/pooling.hpp>
#include <xtape/nn/recurrent.hpp>
#include <xtape/nn/transformer.hpp>
