#pragma once
#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "runtime/tensor.h"

namespace pal {

struct LoaderOptions {
  int64_t batch_size = 128;
  uint64_t seed = 0;
  bool shuffle = true;    ///< a new order each epoch; else the order of the index list
  bool drop_last = true;  ///< leaves out the last, short batch (training); else it comes short
  bool flip = false;      ///< mirrors half of the images left to right
  int64_t shift = 0;   ///< moves each image by up to so many pixels both ways, filling with level 0
  bool noise = true;   ///< uniform dequantisation noise of one level
  bool clamp = false;  ///< clamps to 1 after the noise
  std::vector<float> mean;  ///< one per channel, in [0, 1] space
  std::vector<float> std;   ///< one per channel
  Device device;            ///< where images are wanted
};

/// Options of evaluation: every image once, in order, the noise of a fixed seed, no augmentation.
LoaderOptions evaluation_options(LoaderOptions training);

struct Batch {
  Tensor images;      ///< f32 [n, height, width, channels], normalised, on the wanted device
  Tensor labels;      ///< i32 [n], on the CPU
  int64_t first = 0;  ///< place of the first image in the epoch
};

/// Batches of some images of a set. What a batch holds is a pure function of (options, epoch,
/// step): augmentation and noise are keyed by (seed, epoch, index of the image in the set), so
/// nothing needs to be kept for a resumed run and evaluation noise does not depend on the batch
/// size. One thread uses a loader at a time.
class BatchLoader {
 public:
  /// The set must outlive the loader. Throws usage if the options do not fit the set, an index lies
  /// outside it, or there is no whole batch.
  BatchLoader(const ImageSet& set, std::vector<int64_t> indices, LoaderOptions options);
  /// Of all images of the set.
  BatchLoader(const ImageSet& set, LoaderOptions options);

  /// Images that one epoch delivers.
  int64_t count() const;
  /// Batches of an epoch.
  int64_t steps() const;
  const LoaderOptions& options() const { return options_; }

  /// Makes one batch; memory has the tag data. Throws usage for a step outside [0, steps()).
  Batch batch(int64_t epoch, int64_t step);
  /// Indices into the set of the images of that batch.
  std::vector<int64_t> batch_indices(int64_t epoch, int64_t step);

 private:
  const ImageSet& set_;
  std::vector<int64_t> indices_;
  LoaderOptions options_;
  int64_t order_epoch_ = -1;
  std::vector<int64_t> order_;  ///< places in `indices_`, of epoch `order_epoch_`
};

}  // namespace pal
