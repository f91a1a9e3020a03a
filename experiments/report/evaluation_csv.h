#pragma once
#include <string>

#include "experiments/measures/evaluation.h"

namespace pal {

/// One line per image, with a header: index, name, label, predicted, rank, confidence, entropy,
/// losses and log-density; the last four are empty if the model only classifies.
std::string to_csv(const EvaluationResult& result, const Dataset& set);

}  // namespace pal
