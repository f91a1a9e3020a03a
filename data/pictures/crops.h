#pragma once
#include <array>
#include <cstdint>

#include "data/pictures/image_decoders.h"
#include "data/pictures/transforms.h"
#include "runtime/philox.h"

namespace pal {

/// A size in pixels.
struct Extent {
  int64_t width = 0;
  int64_t height = 0;
};

/// The part that torchvision's RandomResizedCrop takes of a picture: ten tries at a part of random
/// area and shape, else the middle in the nearest allowed shape. Try k draws from `random` at index
/// 1 + k.
Region random_resized_crop(const Extent& picture, const TransformSpec& spec, const Philox& random);

/// A picture's size once its shorter side is `shorter`; the longer is rounded down, as
/// torchvision's Resize does.
Extent resized_extent(const Extent& picture, int64_t shorter);

/// Where the middle `size` of `length` pixels begin: halves go to the even neighbour, as
/// torchvision's CenterCrop has it.
int64_t center_offset(int64_t length, int64_t size);

/// A square of a resized picture: its top left pixel, and whether it is mirrored left to right
/// after it is cut out.
struct Crop {
  int64_t x = 0;
  int64_t y = 0;
  bool mirrored = false;
};

/// torchvision's TenCrop, squares of `size` pixels a side: top left, top right, bottom left, bottom
/// right, center; then those of the mirrored picture.
std::array<Crop, 10> ten_crops(const Extent& resized, int64_t size);

}  // namespace pal
