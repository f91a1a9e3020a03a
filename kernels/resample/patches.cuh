#pragma once
#include "kernels/common/items.cuh"

// Work items of CUDA kernels between an image (fine) and the one whose pixels are its 2x2 patches
// (coarse).
namespace pal::cuda {

/// Where a work item of a patch kernel works: one group of channels of one patch.
struct PatchItem {
  uint32_t pixel;  ///< of the coarse image
  uint32_t group;  ///< rank among the groups of the pixel
  int64_t corner;  ///< element of the patch's upper left pixel in the fine image, channel 0
};

/// Numbers the groups of channels of all 2x2 patches of an image [n, 2 h, 2 w, c]: groups within a
/// patch first, then patches, in the order of the coarse image [n, h, w, 4 c].
class Patches {
 public:
  Patches(const Tensor& fine, const Tensor& coarse, int64_t groups)
      : fine_pitch(fine.pitch()),
        coarse_pitch(coarse.pitch()),
        fine_row(fine.size(2) * fine.pitch()),
        channels(static_cast<uint32_t>(fine.channels())),
        count(static_cast<uint32_t>(coarse.rows() * groups)),
        width_(coarse.size(2)),
        groups_(groups) {}

  /// The work item of rank i < count.
  __device__ PatchItem item(uint32_t i) const {
    const uint32_t pixel = groups_.quotient(i);
    const uint32_t rows_above = width_.quotient(pixel) * width_.value();
    return {pixel, i - pixel * groups_.value(),
            2 * (static_cast<int64_t>(pixel) + rows_above) * fine_pitch};
  }

  int64_t fine_pitch;    ///< elements from one pixel of the fine image to the next
  int64_t coarse_pitch;  ///< elements from one pixel of the coarse image to the next
  int64_t fine_row;      ///< elements from one row of the fine image to the next
  uint32_t channels;     ///< of the fine image
  uint32_t count;        ///< of items

 private:
  Divisor width_;
  Divisor groups_;
};

/// Calls body(fine, coarse, items) for parts of the batch that are small enough for one launch.
template <typename Body>
void for_each_patches(const Tensor& fine, const Tensor& coarse, int64_t groups, Body&& body) {
  const int64_t items = coarse.size(1) * coarse.size(2) * groups;
  for_each_part(fine.size(0), items, [&](int64_t first, int64_t count) {
    const Tensor fine_part = fine.slice_batch(first, count);
    const Tensor coarse_part = coarse.slice_batch(first, count);
    body(fine_part, coarse_part, Patches(fine_part, coarse_part, groups));
  });
}

}  // namespace pal::cuda
