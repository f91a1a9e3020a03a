#pragma once
#include <string>
#include <vector>

#include "data/pictures/picture_sheet.h"
#include "experiments/measures/sampling.h"
#include "experiments/sampling/sample_options.h"
#include "layers/models/model_io.h"
#include "runtime/json.h"

namespace pal {

/// A sheet of pictures, and what pal-sample says of it.
struct SampleSheet {
  PictureSheet sheet;
  int64_t pictures = 0;  ///< that were made
  nlohmann::ordered_json json;
  std::vector<std::string> lines;
};

/// The classes that the options want samples of. Throws usage for one that does not exist.
std::vector<int64_t> sampled_classes(const SampleOptions& options, const LoadedModel& loaded);

/// Where samples of those classes are drawn, as --around wants it; sets that to means or images
/// where it was left open. Throws as training_spreads.
std::vector<ClassSpread> sample_spreads(SampleOptions& options, const LoadedModel& loaded,
                                        const std::vector<int64_t>& classes);

/// Samples, reconstructions or an interpolation, as the options want it. Throws usage for a model
/// that is not invertible, for classes and images that do not exist, and for sheets that are too
/// large; numerics if the network cannot be inverted there.
SampleSheet make_sample_sheet(const SampleOptions& options, const LoadedModel& loaded,
                              const std::vector<ClassSpread>& spreads);

}  // namespace pal
