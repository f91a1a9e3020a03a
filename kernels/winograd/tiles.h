#pragma once
#include <algorithm>

#include "kernels/common/vector.h"
#include "kernels/winograd/winograd_math.h"
#include "runtime/tensor.h"

namespace pal::winograd {

/// The tiles of 4x4 pixels that cover images, in the order of images, rows and columns.
class Tiles {
 public:
  explicit Tiles(const Tensor& images)
      : height_(images.size(1)),
        width_(images.size(2)),
        channels_(images.channels()),
        down_((height_ + kOutputs - 1) / kOutputs),
        across_((width_ + kOutputs - 1) / kOutputs),
        count_(images.size(0) * down_ * across_) {}

  int64_t count() const { return count_; }
  int64_t channels() const { return channels_; }

  /// A tile's place: its image's first element, and its upper left pixel.
  struct Place {
    int64_t image, row, column;
  };
  Place place(int64_t tile) const {
    const int64_t row = tile / across_;
    return {.image = row / down_ * height_ * width_ * channels_,
            .row = row % down_ * kOutputs,
            .column = tile % across_ * kOutputs};
  }
  /// Whether a pixel is one of the images.
  bool inside(int64_t row, int64_t column) const {
    return row >= 0 && row < height_ && column >= 0 && column < width_;
  }
  /// Whether all pixels of a square are.
  bool inside(int64_t row, int64_t column, int64_t size) const {
    return inside(row, column) && inside(row + size - 1, column + size - 1);
  }
  /// The offset of a pixel in its image.
  int64_t pixel(int64_t row, int64_t column) const { return (row * width_ + column) * channels_; }

 private:
  int64_t height_, width_, channels_, down_, across_, count_;
};

/// How many tiles the pixels of images would fill.
inline int64_t full_tiles(const Tensor& images) { return images.rows() / (kOutputs * kOutputs); }

/// Tiles for which the transforms of filters pay: the more of these there are, the more images must share
/// them.
inline int64_t fewest_tiles(const Tensor& x, const Tensor& y) {
  return x.channels() * y.channels() <= 128 * 128 ? 24 : 48;
}

/// Whether a convolution from x to y can gain by tiles: in float32, of enough channels that most of the
/// work is multiplication, of images that fill most of their tiles.
inline bool suits_tiles(const Tensor& x, const Tensor& y) {
  return x.dtype() == DType::f32 && std::min(x.channels(), y.channels()) >= 24 &&
         x.channels() * y.channels() >= 1024 && 10 * full_tiles(x) >= 6 * Tiles(x).count();
}

/// Reads kSize x kSize pixels from (row, column) on, at one channel; zeros beyond the image unless
/// all are `inside`.
template <typename V, int kSize>
inline void read_pixels(const Tiles& tiles, const float* image, int64_t row, int64_t column,
                        bool inside, V (&pixels)[kSize][kSize]) {
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x)
      pixels[y][x] = inside || tiles.inside(row + y, column + x)
                         ? load_values<V>(image + tiles.pixel(row + y, column + x))
                         : V{};
}

/// Asks for the pixels that the tile to the right of one of kSize x kSize pixels at (row, column) reads beside
/// its own, at one channel. A row of a tile is short, and no prefetcher follows from one to the next.
template <int kSize>
inline void fetch_next(const Tiles& tiles, const float* image, int64_t row, int64_t column) {
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kOutputs; ++x)
      __builtin_prefetch(image + tiles.pixel(row + y, column + kSize + x));
}

/// Reads squares of pixels of a tile, `margin` pixels more on all sides, and writes value k of channel
/// c, as transform(pixels, values) gives it, to place(c)[k * stride].
template <int kSize, typename Transform, typename Place>
inline void transform_tile(const Tiles& tiles, int64_t tile, int64_t margin, const float* images,
                           int64_t stride, Transform transform, Place place) {
  const Tiles::Place at = tiles.place(tile);
  const int64_t row = at.row - margin;
  const int64_t column = at.column - margin;
  const bool inside = tiles.inside(row, column, kSize);
  const bool next_inside = inside && tiles.inside(row, column + kSize + kOutputs - 1);
  for_each_vector(tiles.channels(), [&]<typename V>(int64_t c) {
    if (next_inside) fetch_next<kSize>(tiles, images + at.image + c, row, column);
    V pixels[kSize][kSize];
    V values[kInputs][kInputs];
    read_pixels(tiles, images + at.image + c, row, column, inside, pixels);
    along_both(pixels, values, transform);
    float* const to = place(c);
#pragma GCC unroll 36
    for (int k = 0; k < kProducts; ++k)
      store_values(to + k * stride, values[k / kInputs][k % kInputs]);
  });
}

/// The transformed inputs of a tile of x.
template <typename Place>
inline void transform_inputs(const Tiles& tiles, int64_t tile, const float* x, int64_t stride,
                             Place place) {
  transform_tile<kInputs>(
      tiles, tile, 1, x, stride, [](const auto* d, auto* t) { transform_input(d, t); }, place);
}

}  // namespace pal::winograd
