#pragma once
#include "data/image_file.h"

namespace pal {

/// The two decoders behind `decode_image`, for bytes that begin like their format.
Image decode_png(std::span<const uint8_t> bytes, const std::string& name,
                 const ImageLimits& limits);
Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
                  const ImageLimits& limits);

/// Throws data if a header's size is empty or beyond the limit.
void check_image_size(int64_t width, int64_t height, const std::string& name,
                      const ImageLimits& limits);

}  // namespace pal
