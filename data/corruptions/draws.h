#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/corruptions/corruption.h"
#include "data/pictures/image_file.h"

namespace pal {

/// All that is random about one corrupted image of height H, width W and C channels. Each
/// corruption fills what it needs; the rest stays empty.
struct Draws {
  std::vector<float> normal;     ///< gaussian_noise, speckle_noise: [H, W, C], standard normal
  std::vector<int32_t> poisson;  ///< shot_noise: [H, W, C], photons
  std::vector<float> flip;       ///< impulse_noise: [H, W, C] in [0, 1); below its share: changed
  std::vector<float> salt;       ///< impulse_noise: [H, W, C] in [0, 1); below a half: to white
  /// glass_blur: [pass, row, column, (dx, dy)], rows and columns from far to near, as
  /// `glass_places` says.
  std::vector<int32_t> moves;
  float degrees = 0.0F;  ///< motion_blur, snow: direction of the line
  /// snow, spatter: [H, W], normal with the severity's mean and deviation; elastic: [(x, y), H, W] in [-1, 1).
  std::vector<float> field;
  Image picture;                      ///< frost: [H, W, C], the part of the frost that is seen
  std::vector<float> uniform;         ///< fog: as `plasma` (weather.cpp) uses them, in [-1, 1)
  std::array<float, 6> corners = {};  ///< elastic: x, y of three points, in pixels
};

/// The size of an image.
struct DrawShape {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
};

/// How many pixels of a side of `count` move through glass that reaches so far.
int64_t glass_places(int64_t count, int64_t reach);

/// Side of the map that fog is cut out of: a power of two.
int64_t fog_side(int64_t height, int64_t width, ParameterSet set);

/// What is drawn for an image; shot noise looks at its levels. The same for the same (seed,
/// corruption, severity, path).
Draws draws_for(const Image& image, Corruption corruption, int severity, ParameterSet set,
                const CorruptionOptions& options, const std::string& path);

}  // namespace pal
