#include "data/pictures/crops.h"

#include <algorithm>
#include <cmath>

namespace pal {
namespace {

constexpr uint32_t kTries = 10;

/// To the nearest whole number, halves to the even one: Python's round.
int64_t round_even(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

double between(double low, double high, uint32_t word) {
  return low + (high - low) * word * 0x1p-32;
}

/// A uniform whole number from 0 to `most`, both included.
int64_t up_to(int64_t most, uint32_t word) {
  return static_cast<int64_t>(static_cast<uint64_t>(most + 1) * word >> 32);
}

}  // namespace

Region random_resized_crop(const Extent& picture, const TransformSpec& spec, const Philox& random) {
  const auto width = static_cast<double>(picture.width);
  const auto height = static_cast<double>(picture.height);
  Region region;
  for (uint32_t k = 0; k < kTries; ++k) {
    const auto words = random.words(1 + k);
    const double area = width * height * between(spec.scale_min, spec.scale_max, words[0]);
    const double ratio =
        std::exp(between(std::log(spec.ratio_min), std::log(spec.ratio_max), words[1]));
    region.width = round_even(std::sqrt(area * ratio));
    region.height = round_even(std::sqrt(area / ratio));
    if (region.width < 1 || region.width > picture.width || region.height < 1 ||
        region.height > picture.height)
      continue;
    region.y = up_to(picture.height - region.height, words[2]);
    region.x = up_to(picture.width - region.width, words[3]);
    return region;
  }
  region = {0, 0, picture.width, picture.height};
  if (width / height < spec.ratio_min)
    region.height = std::max<int64_t>(1, round_even(width / spec.ratio_min));
  else if (width / height > spec.ratio_max)
    region.width = std::max<int64_t>(1, round_even(height * spec.ratio_max));
  region.x = (picture.width - region.width) / 2;
  region.y = (picture.height - region.height) / 2;
  return region;
}

Extent resized_extent(const Extent& picture, int64_t shorter) {
  if (picture.width <= picture.height) return {shorter, shorter * picture.height / picture.width};
  return {shorter * picture.width / picture.height, shorter};
}

int64_t center_offset(int64_t length, int64_t size) {
  return round_even(static_cast<double>(length - size) / 2.0);
}

std::array<Crop, 10> ten_crops(const Extent& resized, int64_t size) {
  const int64_t right = resized.width - size;
  const int64_t bottom = resized.height - size;
  std::array<Crop, 10> crops = {
      {{0, 0},
       {right, 0},
       {0, bottom},
       {right, bottom},
       {center_offset(resized.width, size), center_offset(resized.height, size)}}};
  for (size_t i = 0; i < 5; ++i) crops[5 + i] = {right - crops[i].x, crops[i].y, true};
  return crops;
}

}  // namespace pal
