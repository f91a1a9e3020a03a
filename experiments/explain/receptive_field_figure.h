#pragma once
#include "experiments/explain/explain_options.h"
#include "experiments/explain/figure.h"
#include "layers/models/model_io.h"

namespace pal {

/// How far the features at the centre see (the paper's Fig. 13): drawn as a line through the
/// maximum, with the whole field as a picture. CSV: row, column, sensitivity.
Figure receptive_field_figure(const ExplainOptions& options, const LoadedModel& loaded);

}  // namespace pal
