#include "kernels/image/image.h"

#include <algorithm>
#include <cstring>

#include "kernels/image/image_check.h"
#include "kernels/image/image_math.h"
#include "runtime/parallel.h"
#include "runtime/philox_math.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

struct Geometry {
  int64_t height, width, channels;
  int64_t row() const { return width * channels; }
  int64_t size() const { return height * row(); }
};

/// Indices of Philox that are evaluated together, so that the loop over them vectorises, and the
/// values that they give.
constexpr int64_t kLanes = 64;
constexpr int64_t kBlock = 4 * kLanes;
/// Rows are treated together up to about so many values: their noise stays in the first cache.
constexpr int64_t kValuesAtOnce = 4096;

/// Writes block `number` of an image's noise, in levels.
void fill_block(uint64_t seed, uint64_t stream, int64_t number, float* out) {
  uint32_t words[4][kLanes];
  const auto first = static_cast<uint32_t>(number * kLanes);
  for (size_t i = 0; i < kLanes; ++i) {
    const auto made =
        philox_math::words(seed, RandomPurpose::noise, stream, first + static_cast<uint32_t>(i));
    for (size_t k = 0; k < 4; ++k) words[k][i] = made.at[k];
  }
  for (size_t i = 0; i < kLanes; ++i)
    for (size_t k = 0; k < 4; ++k) out[4 * i + k] = uniform_of(words[k][i]);
}

/// Noise of an image from value `first` on, at the returned place of `blocks`, which has room for
/// the blocks that the values lie in.
const float* make_noise(uint64_t seed, uint64_t stream, int64_t first, int64_t count,
                        std::vector<float>& blocks) {
  const int64_t begin = first / kBlock;
  for (int64_t block = begin; block * kBlock < first + count; ++block)
    fill_block(seed, stream, block, &blocks[static_cast<size_t>((block - begin) * kBlock)]);
  return &blocks[static_cast<size_t>(first - begin * kBlock)];
}

/// Writes `pixels` pixels in reverse order, the last of them at `from`.
void reverse_pixels(const uint8_t* from, int64_t pixels, int64_t channels, uint8_t* out) {
  if (channels == 1) {
    std::reverse_copy(from - pixels + 1, from + 1, out);
    return;
  }
  if (channels == 3) {
    // Five pixels at a time; the sixteenth byte that is written belongs to the next ones.
    using Bytes [[gnu::vector_size(16)]] = uint8_t;
    for (; pixels >= 6; pixels -= 5, from -= 15, out += 15) {
      Bytes bytes;
      std::memcpy(&bytes, from - 13, sizeof bytes);
      bytes = __builtin_shufflevector(bytes, bytes, 13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2,
                                      3, 0);
      std::memcpy(out, &bytes, sizeof bytes);
    }
  }
  for (; pixels > 0; --pixels, from -= channels, out += channels) std::copy_n(from, channels, out);
}

/// Levels of one output row under a placement: where they are stored, or made in `levels`.
const uint8_t* placed_row(const uint8_t* image, const Geometry& g, const ImagePlacement& placement,
                          int64_t y, uint8_t* levels) {
  const int64_t source_y = image_math::source_coordinate(y, g.height, placement.dy, false);
  const int64_t first = std::clamp<int64_t>(placement.dx, 0, g.width);
  const int64_t last = std::clamp<int64_t>(g.width + placement.dx, first, g.width);
  if (source_y < 0 || source_y >= g.height || first == last) {
    std::memset(levels, 0, static_cast<size_t>(g.row()));
    return levels;
  }
  const uint8_t* row = image + source_y * g.row();
  if (!placement.flip && last - first == g.width) return row;
  std::memset(levels, 0, static_cast<size_t>(first * g.channels));
  std::memset(levels + last * g.channels, 0, static_cast<size_t>((g.width - last) * g.channels));
  const int64_t start =
      image_math::source_coordinate(first, g.width, placement.dx, placement.flip) * g.channels;
  if (placement.flip)
    reverse_pixels(row + start, last - first, g.channels, levels + first * g.channels);
  else
    std::memcpy(levels + first * g.channels, row + start,
                static_cast<size_t>((last - first) * g.channels));
  return levels;
}

/// What turns the levels of a row into values: a factor and a summand for each of them.
struct RowScaling {
  RowScaling(const ImageNormalization& normalization, const Geometry& g)
      : top(image_math::top_level(normalization.clamp)),
        scale(static_cast<size_t>(g.row())),
        shift(static_cast<size_t>(g.row())) {
    for (size_t i = 0; i < scale.size(); ++i) {
      const size_t channel = i % static_cast<size_t>(g.channels);
      scale[i] = image_math::scale_of(normalization.std[channel]);
      shift[i] = image_math::shift_of(normalization.mean[channel], normalization.std[channel]);
    }
  }

  float top;
  std::vector<float> scale;
  std::vector<float> shift;
};

void normalize_row(const uint8_t* levels, const float* noise, const RowScaling& scaling,
                   float* out) {
  const float top = scaling.top;
  const float* scale = scaling.scale.data();
  const float* shift = scaling.shift.data();
  const size_t size = scaling.scale.size();
#pragma omp simd
  for (size_t i = 0; i < size; ++i)
    out[i] =
        image_math::normalized(static_cast<float>(levels[i]), noise[i], top, scale[i], shift[i]);
}

}  // namespace

void normalize_images(std::span<const uint8_t> pixels, std::span<const ImagePlacement> placements,
                      const ImageNormalization& normalization, const Tensor& out) {
  check_images(pixels, placements, normalization, out);
  const Geometry g{out.size(1), out.size(2), out.channels()};
  const ProfileScope profile("normalize_images", out.numel() * 5, out.numel() * 4);
  const RowScaling scaling(normalization, g);
  auto* const target = out.data<float>();
  parallel_for(out.size(0), row_grain(g.size()), [&](int64_t begin, int64_t end) {
    const int64_t rows_at_once = std::max<int64_t>(1, kValuesAtOnce / g.row());
    std::vector<uint8_t> moved(static_cast<size_t>(g.row()));
    std::vector<float> blocks(static_cast<size_t>(rows_at_once * g.row() + 2 * kBlock));
    for (int64_t n = begin; n < end; ++n) {
      const ImagePlacement& placement = placements[static_cast<size_t>(n)];
      const uint8_t* image = pixels.data() + placement.source * g.size();
      float* values = target + n * g.size();
      const float* noise = blocks.data();  // zeros, for all rows
      for (int64_t y = 0; y < g.height; ++y, values += g.row()) {
        if (normalization.noise && y % rows_at_once == 0)
          noise = make_noise(normalization.seed, placement.noise_stream, y * g.row(),
                             std::min(rows_at_once, g.height - y) * g.row(), blocks);
        normalize_row(placed_row(image, g, placement, y, moved.data()), noise, scaling, values);
        if (normalization.noise) noise += g.row();
      }
    }
  });
}

}  // namespace pal::cpu
