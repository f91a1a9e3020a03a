#pragma once
#include <span>

#include "data/pictures/image_file.h"

namespace pal {

/// One image of many of equal size, filled row by row with `columns` of them, `gap` white pixels
/// between neighbours; missing ones in the last row are white. If any is RGB, so is the result.
/// Throws usage for no images, unequal sizes or fewer than one column.
Image image_grid(std::span<const Image> images, int64_t columns, int64_t gap);

}  // namespace pal
