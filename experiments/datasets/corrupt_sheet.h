#pragma once
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"
#include "data/pictures/picture_sheet.h"

namespace pal {

/// One image under corruptions (a row each) at severities (a column each), the clean one first:
/// labelled. `key` is what draws depend on.
PictureSheet corruption_sheet(const Image& clean, const std::string& key,
                              const std::vector<Corruption>& corruptions,
                              const std::vector<int>& severities, const CorruptionOptions& how);

}  // namespace pal
