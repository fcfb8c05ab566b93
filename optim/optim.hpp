#pragma once

// Optimizers: all of optim/.
#include <xtape/optim/optimizer.hpp>
#include <xtape/optim/sgd.hpp>
