#pragma once

#include <xtape/nn/diagnose.hpp>

// Between the files of the diagnosis: not for users.
namespace xtape::nn::detail {

/// Fills in the ratios from layer to layer, and the findings.
void find(Diagnosis& d, const DiagnosisOptions& options);

}  // namespace xtape::nn::detail
