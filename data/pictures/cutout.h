#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "data/pictures/image_file.h"

namespace pal {

/// An image with transparency, cut to what is visible of it: two images of one size.
struct Cutout {
  Image colour;  ///< RGB, multiplied by the opacity
  Image alpha;   ///< grey: 0 transparent to 255 opaque
};

/// Decodes a PNG and keeps its transparency (`decode_image` lays it over white). Throws data
/// (NAME:) for another format, a broken file, a size beyond the limits, and if nothing is visible.
Cutout decode_cutout(std::span<const uint8_t> bytes, const std::string& name,
                     const ImageLimits& limits = {});

}  // namespace pal
