#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "data/pictures/image_file.h"
#include "runtime/philox.h"

namespace pal {

/// Which part of a picture a network sees.
enum class CropKind : uint8_t {
  random_resized,  ///< a random part of random shape, as torchvision's RandomResizedCrop
  center,          ///< shorter side to `resize`, then the middle
  ten,             ///< the same with four corners, the middle, and their five mirror images
};

/// How an encoded picture becomes the square image that a network sees.
struct TransformSpec {
  CropKind crop = CropKind::center;
  int64_t size = 224;  ///< side of the square result, in pixels
  /// Shorter side before center and ten crops, in pixels; 0: round(size * 256 / 224).
  int64_t resize = 0;
  double scale_min = 0.08;  ///< random_resized: share of the picture's area
  double scale_max = 1.0;
  double ratio_min = 3.0 / 4.0;  ///< random_resized: width over height, log-uniform
  double ratio_max = 4.0 / 3.0;
  int64_t channels = 3;  ///< 3, or 1: luma of colour pictures (Pillow's "L")
  /// Lets the JPEG decoder scale down by 2, 4 or 8 where that leaves at least the wanted pixels:
  /// faster, but other values, so not for densities.
  bool fast_decode = false;
  /// Turns pictures upright by their EXIF orientation. Pillow and torchvision's loaders do not.
  bool exif = false;
  ImageLimits limits;
};

/// The shorter side before center and ten crops: `resize`, or what stands for 0.
int64_t resize_of(const TransformSpec& spec);

/// Images that `make_views` makes of one picture: 10 for ten crops, else 1.
int64_t view_count(const TransformSpec& spec);

/// Throws usage, naming the option, for sizes, scales or ratios that make no sense.
void check_transform(const TransformSpec& spec);

/// Decodes one JPEG or PNG and overwrites `out` [views, size, size, channels] with what a network
/// is to see, before normalisation. Resampling is Pillow's antialiased bilinear filter. A random
/// crop draws from `random` at indices from 1 on (index 0 is the mirror's). Reads as little of the
/// file as the result needs, but a cut file is never taken for a whole one. Throws data as
/// `decode_image`; returns the first warning about the file, or nothing.
std::string make_views(std::span<const uint8_t> bytes, const std::string& name,
                       const TransformSpec& spec, const Philox& random, std::span<uint8_t> out);

}  // namespace pal
