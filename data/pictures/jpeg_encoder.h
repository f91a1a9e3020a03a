#pragma once
#include <cstdint>
#include <vector>

#include "data/pictures/image_file.h"

namespace pal {

/// How many luma samples share one chroma sample: none, two side by side, or a square of four.
enum class Subsampling : uint8_t { s444, s422, s420 };

/// How a JPEG is encoded.
struct JpegSettings {
  int quality = 90;  ///< libjpeg's scale, 1 to 100
  Subsampling subsampling = Subsampling::s420;
  /// Fits the code to the image: a few percent smaller, a third slower, the same pixels.
  bool smallest = true;
};

/// Encodes an image as baseline JPEG, grey or YCbCr. Throws usage unless it has 1 or 3 channels, 1
/// to 65,500 pixels a side and as many values as its size says, and the quality is in its range.
std::vector<uint8_t> encode_jpeg(const Image& image, const JpegSettings& settings);

}  // namespace pal
