#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/attack_study/attacked_images.h"

namespace pal {

/// A target for each image: a class other than its label, by seed and index alone, so that it is
/// the same for all models and settings.
std::vector<int32_t> draw_targets(const OriginalImages& originals, int64_t classes, uint64_t seed);
/// Those of a CSV file with the columns index and target. Throws data for a broken file, usage for
/// an image without a line, and for a target that is the image's label or no class.
std::vector<int32_t> read_targets(const std::string& path, const OriginalImages& originals,
                                  int64_t classes);
/// The file that read_targets reads.
std::string targets_csv(const OriginalImages& originals);

}  // namespace pal
