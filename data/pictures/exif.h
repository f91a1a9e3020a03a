#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "data/pictures/image_file.h"

namespace pal {

/// What EXIF data says of how a picture stands.
struct ExifOrientation {
  int value = 1;      ///< 1 to 8; 1, upright, if it names none that can be trusted
  std::string fault;  ///< what is wrong with the data; empty if nothing is

  bool operator==(const ExifOrientation&) const = default;
};

/// The orientation that EXIF data names: a TIFF structure, after any "Exif\0\0". A folder that ends
/// before its last entry is a fault, but its entries count, as in Pillow.
ExifOrientation exif_orientation(std::span<const uint8_t> exif);

/// Whether a picture with this EXIF data, or with none, stands upright and nothing is wrong.
bool is_upright(std::span<const uint8_t> exif);

/// Turns and mirrors an image in place, so that one stored in this orientation (1 to 8) stands
/// upright.
void apply_orientation(Image& image, int orientation);

/// Sets an image upright in place, as its EXIF data says; damaged data is a warning of the image.
void apply_exif(Image& image, std::span<const uint8_t> exif);

}  // namespace pal
