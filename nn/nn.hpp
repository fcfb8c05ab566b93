#pragma once

// Layers, initialisers, losses: all of nn/.
#include <xtape/nn/diagnose.hpp>
#include <xtape/nn/export.hpp>
#include <xtape/nn/graph.hpp>
#include <xtape/nn/labels.hpp>
#include <xtape/nn/layers.hpp>
#include <xtape/nn/loss.hpp>
#include <xtape/nn/module.hpp>
#include <xtape/nn/text.hpp>
