#pragma once

// The whole library. Includes the standard library and xtape's own headers only.
#include <xtape/autodiff/autodiff.hpp>
#include <xtape/data/data.hpp>
#include <xtape/fit/fit.hpp>
#include <xtape/io/io.hpp>
#include <xtape/nn/nn.hpp>
#include <xtape/optim/optim.hpp>
#include <xtape/plot/chart.hpp>
#include <xtape/plot/diagnosis.hpp>
#include <xtape/plot/explanation.hpp>
