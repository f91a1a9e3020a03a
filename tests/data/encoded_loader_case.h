#pragma once
#include <numeric>
#include <vector>

#include "data/batches/encoded_loader.h"
#include "tests/data/memory_source.h"

// What the tests of the loader of encoded pictures share.
namespace pal::testing {

inline constexpr int64_t kSize = 12;
inline constexpr int64_t kValues = kSize * kSize * 3;

inline LoaderOptions training(int64_t batch_size, int64_t workers = 2) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = 9;
  options.flip = true;
  options.mean = {0.4F, 0.5F, 0.6F};
  options.std = {0.2F, 0.3F, 0.25F};
  options.transform.crop = CropKind::random_resized;
  options.workers = workers;
  return options;
}

inline std::vector<int64_t> all(const PictureSource& source) {
  std::vector<int64_t> indices(static_cast<size_t>(source.count()));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

inline EncodedLoader loader_of(const PictureSource& source, const LoaderOptions& options) {
  return {source, kSize, 3, all(source), options};
}

}  // namespace pal::testing
