#pragma once
#include <string>

#include "experiments/explain/explain_options.h"
#include "experiments/explain/figure.h"
#include "layers/models/model_io.h"

namespace pal {

/// Classes in a plane of latent space, fine-tuned to lie there (the paper's Fig. 15): their cells
/// and test images in it. CSV: image, name, label, along, up, predicted. The model is written as a
/// checkpoint to `model_path`.
Figure plane_figure(const ExplainOptions& options, const LoadedModel& loaded,
                    const std::string& model_path);

}  // namespace pal
