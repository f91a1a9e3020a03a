#pragma once
#include "data/pictures/image_file.h"

namespace pal {

/// A part of a picture, in whole pixels: its top left one and its size.
struct Region {
  int64_t x = 0;
  int64_t y = 0;
  int64_t width = 0;
  int64_t height = 0;
};

/// `decode_image` for bytes that begin like a PNG.
Image decode_png(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits,
                 bool exif);
/// `decode_image` for bytes that begin like a JPEG.
Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name,
                  const ImageLimits& limits, bool exif);

/// `read_image_header` for bytes that begin like a PNG.
ImageHeader read_png_header(std::span<const uint8_t> bytes, const std::string& name,
                            const ImageLimits& limits);
/// `read_image_header` for bytes that begin like a JPEG.
ImageHeader read_jpeg_header(std::span<const uint8_t> bytes, const std::string& name,
                             const ImageLimits& limits);

/// Decodes a part of a JPEG as it is stored (no EXIF), reduced by `shrink` (1, 2, 4 or 8; by
/// libjpeg, on the coefficients): the picture is then ceil(width / shrink) wide and `region` is in
/// its pixels. They equal those of a full decode. A file that ends in an end marker is not read
/// beyond the region, so damage there goes unseen; any other may be cut and is read to its end and
/// judged as by `decode_image`. Throws usage for a region outside the picture.
Image decode_jpeg_region(std::span<const uint8_t> bytes, const std::string& name,
                         const ImageLimits& limits, const Region& region, int shrink = 1);

/// The image; with a warning if the file's name ends like one of the other format.
Image with_name_checked(Image image, ImageFormat format, std::string_view name);

/// Warnings of a decoder that are reported for one picture.
inline constexpr size_t kMaxDecoderWarnings = 8;

/// Throws data if a header's size, in pixels, is empty or beyond the limit.
void check_image_size(int64_t width, int64_t height, const std::string& name,
                      const ImageLimits& limits);

}  // namespace pal
