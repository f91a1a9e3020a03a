#include "data/corruptions/frost_texture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/corruptions/random_fill.h"
#include "data/pictures/resize.h"

namespace pal {
namespace {

/// Luma with Pillow's weights.
uint8_t grey_of(const uint8_t* pixel) {
  return static_cast<uint8_t>(
      (19595U * pixel[0] + 38470U * pixel[1] + 7471U * pixel[2] + 0x8000U) >> 16);
}

/// The picture so large that an image of a size can be cut out of it.
Image enlarged(const Image& picture, const DrawShape& shape) {
  const double factor =
      std::max(static_cast<double>(shape.width) / static_cast<double>(picture.width),
               static_cast<double>(shape.height) / static_cast<double>(picture.height));
  const auto side = [&](int64_t before, int64_t least) {
    return std::max(least, static_cast<int64_t>(std::ceil(static_cast<double>(before) * factor)));
  };
  Image made{side(picture.width, shape.width), side(picture.height, shape.height), 3, {}, {}};
  const auto axis = [](int64_t before, int64_t after) {
    return ResizeWeights({0.0, static_cast<double>(before), 0, before, after, 0, after});
  };
  made.pixels.resize(static_cast<size_t>(made.height * made.row()));
  resize(picture, 0, 0, axis(picture.width, made.width), axis(picture.height, made.height),
         made.pixels);
  return made;
}

Image cut(const Image& picture, int64_t left, int64_t top, const DrawShape& shape) {
  Image made{shape.width, shape.height, shape.channels, {}, {}};
  made.pixels.resize(static_cast<size_t>(made.height * made.row()));
  for (int64_t y = 0; y < shape.height; ++y) {
    const uint8_t* from = picture.pixels.data() + (top + y) * picture.row() + 3 * left;
    uint8_t* out = made.pixels.data() + y * made.row();
    if (shape.channels == 3)
      std::copy_n(from, made.row(), out);
    else
      for (int64_t x = 0; x < shape.width; ++x) out[x] = grey_of(from + 3 * x);
  }
  return made;
}

/// Smooth noise in [0, 1) that repeats after kTile cells.
class CellNoise {
 public:
  CellNoise(uint64_t seed, uint64_t stream) : values_(kTile * kTile) {
    fill_uniform(seed, stream, values_);
  }
  float at(float x, float y) const {
    const float left = std::floor(x);
    const float top = std::floor(y);
    const float u = eased(x - left);
    const float v = eased(y - top);
    const auto column = static_cast<int64_t>(left);
    const auto row = static_cast<int64_t>(top);
    const auto mix = [](float a, float b, float t) { return a + t * (b - a); };
    return mix(mix(cell(column, row), cell(column + 1, row), u),
               mix(cell(column, row + 1), cell(column + 1, row + 1), u), v);
  }

 private:
  static constexpr int64_t kTile = 64;
  static float eased(float t) { return t * t * (3.0F - 2.0F * t); }
  float cell(int64_t x, int64_t y) const {
    return values_[static_cast<size_t>((y & (kTile - 1)) * kTile + (x & (kTile - 1)))];
  }
  std::vector<float> values_;
};

/// Bluish white with ridges at several scales, as crystals of ice have them.
Image texture(const DrawShape& shape, ParameterSet set, uint64_t seed, uint64_t stream) {
  constexpr std::array kTint = {0.86F, 0.95F, 1.0F};
  constexpr float kDarkest = 30.0F;
  const CellNoise noise(seed, stream);
  const float largest = set == ParameterSet::imagenet ? 64.0F : 13.0F;
  std::vector<float> sums(static_cast<size_t>(shape.height * shape.width));
  float share = 1.0F;
  float cell = largest;
  for (int octave = 0; octave < 5; ++octave, share *= 0.85F, cell *= 0.5F) {
    // Each scale is turned against the others and stretched, so that no lattice is seen.
    const float turn = 0.7F + 1.1F * static_cast<float>(octave);
    const float cosine = std::cos(turn) / cell;
    const float sine = std::sin(turn) / cell;
    float* sum = sums.data();
    for (int64_t y = 0; y < shape.height; ++y)
      for (int64_t x = 0; x < shape.width; ++x) {
        const auto px = static_cast<float>(x);
        const auto py = static_cast<float>(y);
        const float value =
            noise.at(0.5F * (cosine * px - sine * py) + 7.3F * turn, sine * px + cosine * py);
        const float ridge = 1.0F - std::abs(2.0F * value - 1.0F);
        *sum++ += share * ridge * ridge * ridge * ridge;
      }
  }
  Image made{shape.width, shape.height, shape.channels, {}, {}};
  made.pixels.reserve(sums.size() * static_cast<size_t>(shape.channels));
  for (const float sum : sums) {
    const float level = std::min(kDarkest + 110.0F * sum, 255.0F);
    if (shape.channels == 1) made.pixels.push_back(static_cast<uint8_t>(0.95F * level));
    if (shape.channels == 3)
      for (const float tint : kTint) made.pixels.push_back(static_cast<uint8_t>(tint * level));
  }
  return made;
}

}  // namespace

Image frost_part(const CorruptionOptions& options, ParameterSet set, const DrawShape& shape,
                 uint64_t seed, uint64_t stream) {
  if (!options.frost_pictures) return texture(shape, set, seed, stream);
  const auto& pictures =
      set == ParameterSet::imagenet ? options.frost_pictures->full : options.frost_pictures->small;
  std::array<uint32_t, 3> words{};
  fill_words(seed, stream, words);
  const auto below = [&](size_t word, int64_t bound) {
    return static_cast<int64_t>((words[word] * static_cast<uint64_t>(bound)) >> 32);
  };
  const auto place = static_cast<size_t>(
      below(0, static_cast<int64_t>(options.frost_five ? kFrostDrawn : kFrostPictures)));
  const Image& own = pictures[place];
  const bool fits = own.width >= shape.width && own.height >= shape.height;
  const Image larger = fits ? Image{} : enlarged(own, shape);
  const Image& picture = fits ? own : larger;
  return cut(picture, below(1, picture.width - shape.width + 1),
             below(2, picture.height - shape.height + 1), shape);
}

}  // namespace pal
