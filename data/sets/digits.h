#pragma once
#include <string>

#include "data/sources/image_set.h"

namespace pal {

/// OpenCV's digits: a sheet of 50 rows and 100 columns of 20x20 grey pictures, five rows to a
/// digit. See `load_dataset`.
ImageSet load_digits(Split split, const std::string& folder);

}  // namespace pal
