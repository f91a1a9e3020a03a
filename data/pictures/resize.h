#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/pictures/image_file.h"

namespace pal {

/// What to make along one axis of an image: its pixels from `from` to `to` (edges, so 0 to width
/// is all of it) become `outputs` pixels, of which `count` from `first` on are wanted. Only source
/// pixels in [low, high) count; at these borders the filter is cut and normalised again.
struct ResizeAxis {
  double from = 0.0;
  double to = 0.0;
  int64_t low = 0;
  int64_t high = 0;
  int64_t outputs = 0;
  int64_t first = 0;
  int64_t count = 0;
};

/// Weights of the triangle filter of Pillow's BILINEAR: one source pixel wide to each side, wider
/// in proportion when shrinking. Fixed point, each output's sum exact. Throws usage for an axis
/// that makes no sense.
class ResizeWeights {
 public:
  /// Weights are multiples of 2^-kBits; those of an output add up to 1.
  static constexpr int kBits = 16;

  explicit ResizeWeights(const ResizeAxis& axis);

  /// The first source pixel that any of the wanted outputs needs.
  int64_t begin() const { return begin_; }
  /// The pixel after the last one that any of them needs.
  int64_t end() const { return end_; }
  /// Number of wanted outputs.
  int64_t count() const { return static_cast<int64_t>(sources_.size()); }
  /// Number of weights of each output, zeros at the end included.
  int64_t taps() const { return taps_; }
  /// The source pixel that the first weight of a wanted output belongs to.
  int64_t source(int64_t output) const { return sources_[static_cast<size_t>(output)]; }
  /// The taps() weights of a wanted output.
  const uint32_t* weights(int64_t output) const {
    return &weights_[static_cast<size_t>(output * taps_)];
  }

 private:
  std::vector<int64_t> sources_;
  std::vector<uint32_t> weights_;
  int64_t taps_ = 1;
  int64_t begin_ = 0;
  int64_t end_ = 0;
};

/// Overwrites `out` [y.count(), x.count(), channels] with the resampled image, within one level
/// of Pillow's Image.resize. `source` holds at least the pixels that the weights need; its top left
/// one is (left, top) in their coordinates. Throws usage if it does not, or `out` has another size.
void resize(const Image& source, int64_t left, int64_t top, const ResizeWeights& x,
            const ResizeWeights& y, std::span<uint8_t> out);

}  // namespace pal
