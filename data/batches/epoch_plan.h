#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/batches/batches.h"
#include "kernels/image/image.h"

namespace pal {

/// Places in an epoch's order: of some images, and how many the whole batch has that they are of.
struct BatchPlaces {
  int64_t first = 0;
  int64_t count = 0;
  int64_t whole = 0;
};

/// Which images make up which batch of an epoch, and which of them are this process's.
class EpochPlan {
 public:
  /// `name` is the set's, in messages; `count` its images. Throws usage if an index lies outside
  /// the set, there is no whole batch, or in training (drop_last) a rank or part of it would have
  /// no image.
  EpochPlan(const std::string& name, int64_t count, std::vector<int64_t> indices,
            const LoaderOptions& options);

  /// Images that one epoch delivers, over all ranks.
  int64_t count() const;
  /// Batches of an epoch: whole ones times parts.
  int64_t steps() const;
  /// The places of a batch. Throws usage for a step outside [0, steps()).
  BatchPlaces places(int64_t step) const;
  /// The most images that a batch may have.
  int64_t most() const;
  /// Indices of the images of a batch. Throws usage for a step outside [0, steps()).
  std::vector<int64_t> indices(int64_t epoch, int64_t step);
  /// The indices of all images, in the order of the list that was given.
  const std::vector<int64_t>& all() const { return indices_; }

 private:
  std::string name_;
  std::vector<int64_t> indices_;
  int64_t batch_size_;
  BatchShare share_;
  uint64_t seed_;
  bool shuffle_, drop_last_;
  int64_t order_epoch_ = -1;
  std::vector<int64_t> order_;  ///< places in `indices_`, of epoch `order_epoch_`
};

/// The stream of random numbers of one image in one epoch, for augmentation and for noise.
uint64_t image_stream(int64_t epoch, int64_t index);

/// How an image is mirrored and moved in one epoch, and the stream of its noise; `source` is its
/// place in the pixels that normalize_images gets.
ImagePlacement placement_of(const LoaderOptions& options, int64_t epoch, int64_t index,
                            int64_t source);

/// What normalize_images needs of the options.
ImageNormalization normalization_of(const LoaderOptions& options);

/// Throws usage unless there is one mean and one deviation for each channel; `name` is the set's.
void check_normalization(const LoaderOptions& options, const std::string& name, int64_t channels);

}  // namespace pal
