#include "kernels/image/image.h"

#include <algorithm>
#include <cstring>

#include "kernels/image/image_check.h"
#include "kernels/image/image_math.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

struct Geometry {
  int64_t height, width, channels;
  int64_t row() const { return width * channels; }
  int64_t size() const { return height * row(); }
};

/// Writes the noise of one image, in levels, to its place in the output.
void fill_noise(uint64_t seed, uint64_t stream, int64_t count, float* out) {
  const Philox random(seed, RandomPurpose::noise, stream);
  for (int64_t i = 0; i + 4 <= count; i += 4) {
    const auto words = random.words(static_cast<uint32_t>(i / 4));
    for (size_t k = 0; k < 4; ++k) out[i + static_cast<int64_t>(k)] = uniform_of(words[k]);
  }
  const auto words = random.words(static_cast<uint32_t>(count / 4));
  for (int64_t i = count & ~int64_t{3}; i < count; ++i)
    out[i] = uniform_of(words[static_cast<size_t>(i & 3)]);
}

/// Levels of one output row under a placement.
void place_row(const uint8_t* image, const Geometry& g, const ImagePlacement& placement, int64_t y,
               uint8_t* levels) {
  const int64_t source_y = image_math::source_coordinate(y, g.height, placement.dy, false);
  const int64_t first = std::clamp<int64_t>(placement.dx, 0, g.width);
  const int64_t last = std::clamp<int64_t>(g.width + placement.dx, first, g.width);
  if (source_y < 0 || source_y >= g.height || first == last) {
    std::memset(levels, 0, static_cast<size_t>(g.row()));
    return;
  }
  std::memset(levels, 0, static_cast<size_t>(first * g.channels));
  std::memset(levels + last * g.channels, 0, static_cast<size_t>((g.width - last) * g.channels));
  const uint8_t* row = image + source_y * g.row();
  const int64_t start =
      image_math::source_coordinate(first, g.width, placement.dx, placement.flip) * g.channels;
  if (!placement.flip) {
    std::memcpy(levels + first * g.channels, row + start,
                static_cast<size_t>((last - first) * g.channels));
  } else if (g.channels == 1) {
    std::reverse_copy(row + start - (last - first) + 1, row + start + 1, levels + first);
  } else {
    for (int64_t x = first, from = start; x < last; ++x, from -= g.channels)
      for (int64_t c = 0; c < g.channels; ++c) levels[x * g.channels + c] = row[from + c];
  }
}

}  // namespace

void normalize_images(std::span<const uint8_t> pixels, std::span<const ImagePlacement> placements,
                      const ImageNormalization& normalization, const Tensor& out) {
  check_images(pixels, placements, normalization, out);
  const Geometry g{out.size(1), out.size(2), out.channels()};
  const ProfileScope profile("normalize_images", out.numel() * 5, out.numel() * 4);
  // One factor and one summand per value of a row, so that the inner loop runs over whole rows.
  const auto row = static_cast<size_t>(g.row());
  std::vector<float> scale(row);
  std::vector<float> shift(row);
  for (size_t i = 0; i < row; ++i) {
    const size_t channel = i % static_cast<size_t>(g.channels);
    scale[i] = image_math::scale_of(normalization.std[channel]);
    shift[i] = image_math::shift_of(normalization.mean[channel], normalization.std[channel]);
  }
  const float top = image_math::top_level(normalization.clamp);
  auto* const target = out.data<float>();
  parallel_for(out.size(0), row_grain(g.size()), [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> levels(row);
    for (int64_t n = begin; n < end; ++n) {
      const ImagePlacement& placement = placements[static_cast<size_t>(n)];
      const uint8_t* image = pixels.data() + placement.source * g.size();
      float* values = target + n * g.size();
      if (normalization.noise)
        fill_noise(normalization.seed, placement.noise_stream, g.size(), values);
      else
        std::fill_n(values, g.size(), 0.0F);
      for (int64_t y = 0; y < g.height; ++y, values += g.row()) {
        place_row(image, g, placement, y, levels.data());
        for (size_t i = 0; i < row; ++i)
          values[i] = image_math::normalized(static_cast<float>(levels[i]), values[i], top,
                                             scale[i], shift[i]);
      }
    }
  });
}

}  // namespace pal::cpu
