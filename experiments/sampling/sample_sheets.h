#pragma once
#include <vector>

#include "experiments/measures/sampling.h"
#include "experiments/sampling/sample_options.h"
#include "experiments/sampling/sheet_parts.h"
#include "layers/models/model_io.h"

namespace pal {

/// The classes that the options want samples of. Throws usage for one that does not exist.
std::vector<int64_t> sampled_classes(const SampleOptions& options, const LoadedModel& loaded);

/// Where samples of those classes are drawn, or between what a morph moves images, as --around
/// wants it; sets that to means or images where it was left open. Throws as training_spreads.
std::vector<ClassSpread> sample_spreads(SampleOptions& options, const LoadedModel& loaded,
                                        const std::vector<int64_t>& classes);

/// Samples, reconstructions, an interpolation or a morph, as the options want it; `spreads` are of
/// the classes of samples or a morph. Throws usage for a model that is not invertible, for classes
/// and images that do not exist, and for sheets that are too large; numerics if the network cannot
/// be inverted there.
SampleSheet make_sample_sheet(const SampleOptions& options, const LoadedModel& loaded,
                              const std::vector<ClassSpread>& spreads);

}  // namespace pal
