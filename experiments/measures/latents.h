#pragma once
#include <map>
#include <string>

#include "experiments/measures/evaluation.h"
#include "layers/models/ib_inn.h"

namespace pal {

/// Writes what a flow makes of the images that `spec` names, one view each, as a safetensors file
/// (experiments/measures/README.md, 11): `latents` f32 [n, D], `labels` i32 [n] (classes of the
/// model), `indices` i32 [n] (places in the set), `scores` f32 [n, classes] (log-prior included),
/// `log_det` f64 [n] (nats), in the order of the images. `metadata` goes into the file as it is.
/// Memory is bounded by a batch but for the numbers that an image has one of: latents and scores
/// pass through temporary files beside `path`, so that the disk holds them twice for a while.
/// Of ranks that share the images the first writes. Throws environment if they cannot be written.
/// Returns n.
int64_t write_latents(const std::string& path, IbInn& flow, const InputSpec& input,
                      const Dataset& set, const EvaluationSpec& spec,
                      const std::map<std::string, std::string>& metadata);

}  // namespace pal
