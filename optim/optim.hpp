#pragma once

// Optimizers: all of optim/.
#include <xtape/optim/adam.hpp>
#include <xtape/optim/adaptive.hpp>
#include <xtape/optim/average.hpp>
#include <xtape/optim/gradients.hpp>
#include <xtape/optim/lbfgs.hpp>
#include <xtape/optim/optimizer.hpp>
#include <xtape/optim/range_test.hpp>
#include <xtape/optim/schedule.hpp>
#include <xtape/optim/sgd.hpp>
#include <xtape/optim/sign.hpp>
