#pragma once

// The whole library. Includes the standard library and xtape's own headers only.
#include <xtape/autodiff/autodiff.hpp>
