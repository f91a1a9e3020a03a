#include "data/batches/epoch_plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "data/batches/order.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

/// A number from [-most, most] by the upper bits of a word.
int32_t shift_of(uint32_t word, int64_t most) {
  const auto choices = static_cast<uint64_t>(2 * most + 1);
  return static_cast<int32_t>(static_cast<int64_t>(word * choices >> 32) - most);
}

/// The consecutive images that are one's own of `count`, divided among `among`.
BatchPlaces part_of(const BatchPlaces& places, int64_t mine, int64_t among) {
  const int64_t begin = places.count * mine / among;
  const int64_t end = places.count * (mine + 1) / among;
  return {.first = places.first + begin, .count = end - begin, .whole = places.whole};
}

/// a / b, rounded up.
int64_t parts_for(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

uint64_t image_stream(int64_t epoch, int64_t index) {
  return static_cast<uint64_t>(epoch) << 32 | static_cast<uint64_t>(index);
}

LoaderOptions evaluation_options(LoaderOptions training) {
  training.share = {};
  training.shuffle = training.drop_last = training.flip = false;
  training.shift = 0;
  if (training.transform.crop == CropKind::random_resized)
    training.transform.crop = CropKind::center;
  return training;
}

EpochPlan::EpochPlan(const std::string& name, int64_t count, std::vector<int64_t> indices,
                     const LoaderOptions& options)
    : name_(name),
      indices_(std::move(indices)),
      batch_size_(options.batch_size),
      share_(options.share),
      seed_(options.seed),
      shuffle_(options.shuffle),
      drop_last_(options.drop_last) {
  expect(batch_size_ >= 1, "batch-size: expected at least 1, got {}", batch_size_);
  expect(share_.ranks >= 1 && share_.rank >= 0 && share_.rank < share_.ranks && share_.parts >= 1,
         "{}: no rank {} of {} with batches in {} parts", name_, share_.rank, share_.ranks,
         share_.parts);
  expect(count <= std::numeric_limits<uint32_t>::max(), "{}: more than 2^32 images", name_);
  for (const int64_t index : indices_)
    expect(index >= 0 && index < count, "{}: image {} of {}", name_, index, count);
  expect(steps() >= 1, "batch-size: {} images of {} do not fill a batch of {}", indices_.size(),
         name_, batch_size_);
  const int64_t fewest = int64_t{share_.ranks} * share_.parts;
  expect(!drop_last_ || batch_size_ >= fewest,
         "batch-size: {} images for {} ranks with {} parts each; expected at least {}", batch_size_,
         share_.ranks, share_.parts, fewest);
}

int64_t EpochPlan::count() const {
  const auto all = static_cast<int64_t>(indices_.size());
  return drop_last_ ? all / batch_size_ * batch_size_ : all;
}

int64_t EpochPlan::steps() const { return parts_for(count(), batch_size_) * share_.parts; }

BatchPlaces EpochPlan::places(int64_t step) const {
  expect(step >= 0 && step < steps(), "{}: no batch {} of {}", name_, step, steps());
  const int64_t first = step / share_.parts * batch_size_;
  const int64_t whole = std::min(batch_size_, count() - first);
  const BatchPlaces all{.first = first, .count = whole, .whole = whole};
  return part_of(part_of(all, share_.rank, share_.ranks), step % share_.parts, share_.parts);
}

int64_t EpochPlan::most() const {
  return parts_for(parts_for(std::min(batch_size_, count()), share_.ranks), share_.parts);
}

std::vector<int64_t> EpochPlan::indices(int64_t epoch, int64_t step) {
  expect(step >= 0 && step < steps() && epoch >= 0 && epoch <= std::numeric_limits<int32_t>::max(),
         "{}: no batch {} of {} in epoch {}", name_, step, steps(), epoch);
  const auto all = static_cast<int64_t>(indices_.size());
  if (shuffle_ && order_epoch_ != epoch) {
    order_ = epoch_order(all, seed_, epoch);
    order_epoch_ = epoch;
  }
  const BatchPlaces mine = places(step);
  std::vector<int64_t> chosen;
  for (int64_t i = mine.first; i < mine.first + mine.count; ++i) {
    const int64_t place = shuffle_ ? order_[static_cast<size_t>(i)] : i;
    chosen.push_back(indices_[static_cast<size_t>(place)]);
  }
  return chosen;
}

ImagePlacement placement_of(const LoaderOptions& options, int64_t epoch, int64_t index,
                            int64_t source) {
  ImagePlacement placement;
  placement.source = source;
  placement.noise_stream = image_stream(epoch, index);
  const auto words = Philox(options.seed, RandomPurpose::augment, placement.noise_stream).words(0);
  placement.flip = options.flip && (words[0] >> 31) != 0;
  placement.dx = shift_of(words[1], options.shift);
  placement.dy = shift_of(words[2], options.shift);
  return placement;
}

ImageNormalization normalization_of(const LoaderOptions& options) {
  ImageNormalization normalization;
  normalization.mean = options.mean;
  normalization.std = options.std;
  normalization.seed = options.seed;
  normalization.noise = options.noise;
  normalization.clamp = options.clamp;
  return normalization;
}

void check_normalization(const LoaderOptions& options, const std::string& name, int64_t channels) {
  const auto wanted = static_cast<size_t>(channels);
  expect(options.mean.size() == wanted && options.std.size() == wanted,
         "{}: {} means and {} deviations for {} channels", name, options.mean.size(),
         options.std.size(), channels);
}

}  // namespace pal
