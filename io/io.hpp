#pragma once

// Files of tensors, parameters and training runs: all of io/.
#include <xtape/io/atomic_file.hpp>
#include <xtape/io/checkpoint.hpp>
#include <xtape/io/npy.hpp>
#include <xtape/io/npz.hpp>
#include <xtape/io/parameters.hpp>
#include <xtape/io/safetensors.hpp>
