#include <algorithm>
#include <array>
#include <cmath>

#include "data/corruptions/cores.h"
#include "data/corruptions/edges.h"
#include "data/corruptions/filters.h"
#include "data/corruptions/severities.h"

// Drops of water that shine at one side of their rims, or splashes of mud: as published, where
// water is made by OpenCV's functions one after another.
namespace pal::cores {
namespace {

constexpr double kReach = 4.0;  // deviations at which Gaussian kernels end
constexpr std::array kWater = {175.0F, 238.0F, 238.0F};
constexpr std::array kMud = {63.0F, 42.0F, 20.0F};

/// A colour's level in a channel of an image, which may be grey.
float level_of(const std::array<float, 3>& colour, int64_t channel, int64_t channels) {
  if (channels == 3) return colour[static_cast<size_t>(channel)];
  return 0.299F * colour[0] + 0.587F * colour[1] + 0.114F * colour[2];
}

/// Sums of three by three pixels under weights, of a plane with mirrored borders.
FloatImage neighbours(const FloatImage& plane, const std::array<float, 9>& weights) {
  const FloatImage wide = padded(plane, 1, 1, Border::mirror);
  FloatImage made(plane.height, plane.width, 1);
  for (int64_t y = 0; y < plane.height; ++y)
    for (int64_t k = 0; k < 9; ++k) {
      const float* from = wide.row_at(y + k / 3) + k % 3;
      const float weight = weights[static_cast<size_t>(k)];
      for (int64_t x = 0; x < plane.width; ++x) made.row_at(y)[x] += weight * from[x];
    }
  return made;
}

FloatImage mean_of_nine(const FloatImage& plane) {
  std::array<float, 9> weights;
  weights.fill(1.0F / 9.0F);
  return neighbours(plane, weights);
}

/// Spreads whole levels so that all are about equally frequent; an even plane stays.
void equalise(FloatImage& plane) {
  std::array<int64_t, 256> counts{};
  for (const float value : plane.values) ++counts[static_cast<size_t>(value)];
  const auto first = static_cast<size_t>(
      std::ranges::find_if(counts, [](int64_t count) { return count > 0; }) - counts.begin());
  const auto others = static_cast<int64_t>(plane.values.size()) - counts[first];
  if (others == 0) return;
  std::array<float, 256> levels{};
  const float scale = 255.0F / static_cast<float>(others);
  int64_t sum = 0;
  for (size_t i = first + 1; i < levels.size(); ++i) {
    sum += counts[i];
    levels[i] = std::nearbyint(static_cast<float>(sum) * scale);
  }
  for (float& value : plane.values) value = levels[static_cast<size_t>(value)];
}

/// How much water shines at each pixel, the most being 1, of a layer in whole levels.
FloatImage shine(const FloatImage& layer) {
  constexpr float kFarthest = 20.0F;
  // Light from the lower right.
  constexpr std::array<float, 9> kRelief = {-2, -1, 0, -1, 1, 1, 0, 1, 2};
  FloatImage distance = edge_distance(edges_of(layer, 50.0F, 150.0F));
  for (float& value : distance.values) value = std::min(value, kFarthest);
  distance = mean_of_nine(distance);
  for (float& value : distance.values) value = std::floor(value + 1e-4F);
  equalise(distance);
  FloatImage relief = neighbours(distance, kRelief);
  clip_levels(relief);
  relief = mean_of_nine(relief);
  float most = 0.0F;
  for (size_t i = 0; i < relief.values.size(); ++i) {
    relief.values[i] = std::nearbyint(relief.values[i]) * layer.values[i];
    most = std::max(most, relief.values[i]);
  }
  if (most > 0.0F)
    for (float& value : relief.values) value /= most;
  return relief;
}

}  // namespace

FloatImage spatter(const Image& image, int severity, ParameterSet set, const Draws& draws) {
  const severities::Spatter& strength = severities::kSpatter.at(set, severity);
  FloatImage layer(image.height, image.width, 1);
  layer.values = draws.field;
  layer = gaussian_filter(layer, strength.sigma, kReach, Border::replicate);
  const auto threshold = static_cast<float>(strength.threshold);
  const auto amount = static_cast<float>(strength.amount);
  FloatImage made = to_float(image);
  if (strength.mud) {
    for (float& value : layer.values) value = value > threshold ? 1.0F : 0.0F;
    layer = gaussian_filter(layer, strength.amount, kReach, Border::replicate);
  } else {
    for (float& value : layer.values)
      value = value < threshold ? 0.0F : std::floor(std::min(255.0F * value + 1e-4F, 255.0F));
    layer = shine(layer);
  }
  for (size_t i = 0; i < layer.values.size(); ++i)
    for (int64_t c = 0; c < image.channels; ++c) {
      float& value = made.values[i * static_cast<size_t>(image.channels) + static_cast<size_t>(c)];
      const float cover = layer.values[i];
      if (!strength.mud)
        value += amount * cover * level_of(kWater, c, image.channels);
      else if (cover >= 0.8F)
        value += cover * (level_of(kMud, c, image.channels) - value);
    }
  return made;
}

}  // namespace pal::cores
