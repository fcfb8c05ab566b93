#pragma once

#include <xtape/data/csv.hpp>
#include <xtape/data/dataset.hpp>
#include <xtape/data/idx.hpp>
#include <xtape/data/prefetch.hpp>
#include <xtape/data/sampler.hpp>
#include <xtape/data/sources.hpp>
