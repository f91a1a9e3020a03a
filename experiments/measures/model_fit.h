#pragma once
#include <string>

#include "data/sets/dataset.h"
#include "layers/models/model_io.h"

namespace pal {

/// Throws usage, naming both sides, unless the set's images fit the model's inputs.
void expect_images_fit(const LoadedModel& loaded, const std::string& path, const DatasetInfo& set);

}  // namespace pal
