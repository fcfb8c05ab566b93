#pragma once

// All of autodiff/ but the views of xtensor.hpp.
#include <xtape/autodiff/backend.hpp>
#include <xtape/autodiff/calculus.hpp>
#include <xtape/autodiff/checkpoint.hpp>
#include <xtape/autodiff/core.hpp>
#include <xtape/autodiff/diagnostics.hpp>
#include <xtape/autodiff/elementwise.hpp>
#include <xtape/autodiff/explain.hpp>
#include <xtape/autodiff/gradcheck.hpp>
#include <xtape/autodiff/log.hpp>
#include <xtape/autodiff/program.hpp>
#include <xtape/autodiff/random.hpp>
#include <xtape/autodiff/rng.hpp>
#include <xtape/autodiff/threads.hpp>
