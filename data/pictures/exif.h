#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "data/pictures/image_file.h"

namespace pal {

/// The orientation (1 to 8) that EXIF data names: a TIFF structure, after any "Exif\0\0". 1 if it
/// names none; nothing if the structure is damaged or the number is none of an orientation.
std::optional<int> exif_orientation(std::span<const uint8_t> exif);

/// Turns and mirrors an image in place, so that one stored in this orientation (1 to 8) stands
/// upright.
void apply_orientation(Image& image, int orientation);

/// Sets an image upright in place, as its EXIF data says; damaged data is a warning of the image.
void apply_exif(Image& image, std::span<const uint8_t> exif);

}  // namespace pal
