#pragma once
#include <string>

#include "data/sources/image_set.h"

namespace pal {

/// Loads OpenCV's digits from their sheet, digits.png: 50 rows and 100 columns of 20x20 grey
/// images, five rows to a digit. Looks for it and throws as `load_dataset`.
ImageSet load_digits(Split split, const std::string& folder);

}  // namespace pal
