#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/pictures/image_file.h"

// Maps of numbers as colours that people with any colour vision can tell apart.
namespace pal {

/// Red, green and blue, 0 to 255.
using Rgb = std::array<uint8_t, 3>;

/// From dark violet (0) to yellow (1), evenly in lightness.
Rgb sequential_color(double share);
/// From blue (-1) over white (0) to red (1).
Rgb diverging_color(double share);

/// A range of values and the colours that stand for them.
struct ColorScale {
  double low = 0.0;
  double high = 1.0;
  bool diverging = false;  ///< then low is -high

  Rgb color(double value) const;
};
/// The range of all values; diverging: the same to both sides of 0.
ColorScale scale_of(const std::vector<std::vector<double>>& maps, bool diverging);

/// A map of side x side cells laid over a picture that is enlarged by `scale`, bilinear between the
/// cells' centres. The picture shines through in grey; under diverging colours, whose middle is
/// white, it darkens what differs from its border.
Image overlay(const Image& picture, std::span<const double> map, int64_t side,
              const ColorScale& colors, int64_t scale);

/// The picture alone, enlarged, in RGB.
Image enlarged(const Image& picture, int64_t scale);

/// A bar with the colours of a range, its ends and middle as numbers, and the unit below, on white.
Image color_bar(const ColorScale& colors, const std::string& unit, int64_t width, int64_t height);

}  // namespace pal
