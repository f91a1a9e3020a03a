// Flow: batches are numbered through the epochs, epoch * steps() + step. The prefetcher lends each
// a slot; begin() notes there which pictures are wanted; make() lets any worker read and decode one
// of them straight into its place in the slot's levels; batch() waits for the slot, then gathers
// labels and normalises the levels (mirror, shift, noise) to f32 on the wanted device.
// Memory: 1 + prefetch slots of u8 levels, a batch each, allocated when first used and kept.
// Errors: workers throw nothing. What went wrong stays with its picture, and batch() throws that of
// the first picture in the batch's order, so that no error depends on which thread was faster.
#include "data/batches/encoded_loader.h"

#include <algorithm>
#include <span>
#include <utility>

#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kMostEpochs = int64_t{1} << 31;
constexpr int64_t kMostAhead = 1024;
constexpr int kViewShift = 60;

LoaderOptions fitted(LoaderOptions options, int64_t size, int64_t channels) {
  expect(options.workers >= 0 && options.workers <= kMostAhead, "workers: expected 0 to {}, got {}",
         kMostAhead, options.workers);
  expect(options.prefetch >= 0 && options.prefetch <= kMostAhead,
         "prefetch: expected 0 to {}, got {}", kMostAhead, options.prefetch);
  options.transform.size = size;
  options.transform.channels = channels;
  check_transform(options.transform);
  // Ten crops hold the mirror images already.
  if (options.transform.crop == CropKind::ten) options.flip = false;
  return options;
}

}  // namespace

EncodedLoader::EncodedLoader(const PictureSource& source, int64_t size, int64_t channels,
                             std::vector<int64_t> indices, LoaderOptions options)
    : source_(source),
      options_(fitted(std::move(options), size, channels)),
      plan_(source.name(), source.count(), std::move(indices), options_),
      reader_(source, plan_.all(), options_, std::max<int64_t>(1, options_.workers)),
      views_(view_count(options_.transform)),
      view_shape_{views_, size, size, channels},
      slots_(static_cast<size_t>(1 + options_.prefetch)),
      prefetcher_(
          options_.workers, options_.prefetch,
          {[this](int64_t number, int64_t slot) { return begin(number, slot); },
           [this](int64_t worker, int64_t slot, int64_t place) { make(worker, slot, place); }}) {
  check_normalization(options_, source_.name(), channels);
  expect(options_.shift >= 0 && options_.shift <= size,
         "{}: cannot shift images of {}x{} by {} pixels", source_.name(), size, size,
         options_.shift);
}

int64_t EncodedLoader::begin(int64_t number, int64_t slot) {
  Slot& into = slots_[static_cast<size_t>(slot)];
  into.epoch = number / steps();
  into.pictures.clear();
  for (const int64_t index : plan_.indices(into.epoch, number % steps()))
    into.pictures.push_back({.index = index, .error = nullptr});
  if (!into.levels.defined()) {
    into.levels =
        Tensor::empty({plan_.most() * views_, view_shape_[1], view_shape_[2], view_shape_[3]},
                      DType::u8, Tag::data, Device());
  }
  return static_cast<int64_t>(into.pictures.size());
}

void EncodedLoader::make(int64_t worker, int64_t slot, int64_t place) {
  Slot& into = slots_[static_cast<size_t>(slot)];
  Picture& picture = into.pictures[static_cast<size_t>(place)];
  const auto bytes = static_cast<size_t>(view_shape_.numel());
  try {
    picture.index =
        reader_.read(worker, into.epoch, picture.index,
                     {into.levels.data<uint8_t>() + place * view_shape_.numel(), bytes});
  } catch (...) {
    picture.error = std::current_exception();
  }
}

Batch EncodedLoader::make_batch(int64_t epoch, int64_t step, const ImageMemory& images) {
  expect(step >= 0 && step < steps() && epoch >= 0 && epoch < kMostEpochs,
         "{}: no batch {} of {} in epoch {}", source_.name(), step, steps(), epoch);
  // An evaluation is one pass, so nothing of the next epoch is wanted.
  const int64_t end = steps() * (options_.drop_last ? kMostEpochs : epoch + 1);
  const Slot& made = slots_[static_cast<size_t>(prefetcher_.take(epoch * steps() + step, end))];
  for (const Picture& picture : made.pictures)
    if (picture.error) std::rethrow_exception(picture.error);

  Batch batch;
  const BatchPlaces places = plan_.places(step);
  batch.first = places.first;
  batch.whole = places.whole;
  batch.views = views_;
  std::vector<ImagePlacement> placements;
  for (size_t place = 0; place < made.pictures.size(); ++place) {
    const int64_t index = made.pictures[place].index;
    if (index == PictureReader::kLeftOut) continue;
    batch.indices.push_back(index);
    for (int64_t view = 0; view < views_; ++view) {
      placements.push_back(
          placement_of(options_, epoch, index, static_cast<int64_t>(place) * views_ + view));
      placements.back().noise_stream ^= static_cast<uint64_t>(view) << kViewShift;
    }
  }
  if (batch.indices.empty()) {
    // Others of the whole batch may be readable.
    if (places.count < places.whole) return batch;
    fail(ErrorKind::data, "{}: none of the {} pictures of batch {} can be read", source_.name(),
         made.pictures.size(), step);
  }

  batch.labels =
      Tensor::empty({static_cast<int64_t>(batch.indices.size())}, DType::i32, Tag::data, Device());
  auto* labels = batch.labels.data<int32_t>();
  for (const int64_t index : batch.indices) *labels++ = source_.label(index);
  batch.images = memory_for(
      {static_cast<int64_t>(placements.size()), view_shape_[1], view_shape_[2], view_shape_[3]},
      images);
  const std::span<const uint8_t> levels(made.levels.data<uint8_t>(),
                                        static_cast<size_t>(made.levels.numel()));
  PAL_BACKEND(batch.images,
              normalize_images(levels, placements, normalization_of(options_), batch.images));
  return batch;
}

}  // namespace pal
