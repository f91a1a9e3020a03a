#include "data/batches/memory_loader.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/error.h"

namespace pal {
namespace {

std::vector<int64_t> all_indices(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

}  // namespace

MemoryLoader::MemoryLoader(const ImageSet& set, LoaderOptions options)
    : MemoryLoader(set, all_indices(set.count), std::move(options)) {}

MemoryLoader::MemoryLoader(const ImageSet& set, std::vector<int64_t> indices, LoaderOptions options)
    : set_(set),
      options_(std::move(options)),
      plan_(set.name, set.count, std::move(indices), options_) {
  check_normalization(options_, set_.name, set_.channels);
  expect(options_.shift >= 0 && options_.shift <= std::max(set_.height, set_.width),
         "{}: cannot shift images of {}x{} by {} pixels", set_.name, set_.width, set_.height,
         options_.shift);
}

Batch MemoryLoader::make_batch(int64_t epoch, int64_t step, const ImageMemory& images) {
  Batch batch;
  batch.indices = plan_.indices(epoch, step);
  const BatchPlaces places = plan_.places(step);
  batch.first = places.first;
  batch.whole = places.whole;
  const auto size = static_cast<int64_t>(batch.indices.size());
  if (size == 0) return batch;
  batch.images = memory_for({size, set_.height, set_.width, set_.channels}, images);
  batch.labels = Tensor::empty({size}, DType::i32, Tag::data, Device());
  auto* labels = batch.labels.data<int32_t>();
  std::vector<ImagePlacement> placements;
  for (const int64_t index : batch.indices) {
    *labels++ = set_.labels[static_cast<size_t>(index)];
    placements.push_back(placement_of(options_, epoch, index, index));
  }
  PAL_BACKEND(batch.images,
              normalize_images(set_.pixels, placements, normalization_of(options_), batch.images));
  return batch;
}

}  // namespace pal
