#include "data/loader.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "data/order.h"
#include "kernels/image.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

std::vector<int64_t> all_indices(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

/// One stream per epoch and image, for augmentation and for noise.
uint64_t image_stream(int64_t epoch, int64_t index) {
  return static_cast<uint64_t>(epoch) << 32 | static_cast<uint64_t>(index);
}

/// A number from [-most, most] by the upper bits of a word.
int32_t shift_of(uint32_t word, int64_t most) {
  const auto choices = static_cast<uint64_t>(2 * most + 1);
  return static_cast<int32_t>(static_cast<int64_t>(word * choices >> 32) - most);
}

}  // namespace

LoaderOptions evaluation_options(LoaderOptions training) {
  training.shuffle = training.drop_last = training.flip = false;
  training.shift = 0;
  return training;
}

BatchLoader::BatchLoader(const ImageSet& set, LoaderOptions options)
    : BatchLoader(set, all_indices(set.count), std::move(options)) {}

BatchLoader::BatchLoader(const ImageSet& set, std::vector<int64_t> indices, LoaderOptions options)
    : set_(set), indices_(std::move(indices)), options_(std::move(options)) {
  const auto channels = static_cast<size_t>(set_.channels);
  expect(options_.mean.size() == channels && options_.std.size() == channels,
         "{}: {} means and {} deviations for {} channels", set_.name, options_.mean.size(),
         options_.std.size(), channels);
  expect(options_.batch_size >= 1, "--batch-size: expected at least 1, got {}",
         options_.batch_size);
  expect(options_.shift >= 0 && options_.shift <= std::max(set_.height, set_.width),
         "{}: cannot shift images of {}x{} by {} pixels", set_.name, set_.width, set_.height,
         options_.shift);
  expect(set_.count <= std::numeric_limits<uint32_t>::max(), "{}: more than 2^32 images",
         set_.name);
  for (const int64_t index : indices_)
    expect(index >= 0 && index < set_.count, "{}: image {} of {}", set_.name, index, set_.count);
  expect(steps() >= 1, "--batch-size: {} images of {} do not fill a batch of {}", indices_.size(),
         set_.name, options_.batch_size);
}

int64_t BatchLoader::count() const {
  const auto all = static_cast<int64_t>(indices_.size());
  return options_.drop_last ? all / options_.batch_size * options_.batch_size : all;
}

int64_t BatchLoader::steps() const {
  return (count() + options_.batch_size - 1) / options_.batch_size;
}

std::vector<int64_t> BatchLoader::batch_indices(int64_t epoch, int64_t step) {
  expect(step >= 0 && step < steps() && epoch >= 0 && epoch <= std::numeric_limits<int32_t>::max(),
         "{}: no batch {} of {} in epoch {}", set_.name, step, steps(), epoch);
  const auto all = static_cast<int64_t>(indices_.size());
  if (options_.shuffle && order_epoch_ != epoch) {
    order_ = epoch_order(all, options_.seed, epoch);
    order_epoch_ = epoch;
  }
  const int64_t first = step * options_.batch_size;
  const int64_t last = std::min(first + options_.batch_size, all);
  std::vector<int64_t> chosen;
  for (int64_t i = first; i < last; ++i) {
    const int64_t place = options_.shuffle ? order_[static_cast<size_t>(i)] : i;
    chosen.push_back(indices_[static_cast<size_t>(place)]);
  }
  return chosen;
}

Batch BatchLoader::batch(int64_t epoch, int64_t step) {
  const std::vector<int64_t> chosen = batch_indices(epoch, step);
  const auto size = static_cast<int64_t>(chosen.size());
  Batch batch;
  batch.first = step * options_.batch_size;
  batch.images = Tensor::empty({size, set_.height, set_.width, set_.channels}, DType::f32,
                               Tag::data, options_.device);
  batch.labels = Tensor::empty({size}, DType::i32, Tag::data, Device());
  auto* labels = batch.labels.data<int32_t>();
  std::vector<ImagePlacement> placements;
  for (const int64_t index : chosen) {
    *labels++ = set_.labels[static_cast<size_t>(index)];
    ImagePlacement placement;
    placement.source = index;
    placement.noise_stream = image_stream(epoch, index);
    const auto words =
        Philox(options_.seed, RandomPurpose::augment, placement.noise_stream).words(0);
    placement.flip = options_.flip && (words[0] >> 31) != 0;
    placement.dx = shift_of(words[1], options_.shift);
    placement.dy = shift_of(words[2], options_.shift);
    placements.push_back(placement);
  }
  ImageNormalization normalization;
  normalization.mean = options_.mean;
  normalization.std = options_.std;
  normalization.seed = options_.seed;
  normalization.noise = options_.noise;
  normalization.clamp = options_.clamp;
  PAL_BACKEND(batch.images, normalize_images(set_.pixels, placements, normalization, batch.images));
  return batch;
}

}  // namespace pal
