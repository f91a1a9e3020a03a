#pragma once
#include "layers/models/config.h"
#include "tests/support/numeric.h"

namespace pal::testing {

struct BatchOptions {
  int64_t count = 4;
  DType dtype = DType::f32;  ///< of images and targets
  uint64_t seed = 1;         ///< of the images
  int64_t first_label = 0;
  int64_t label_step = 1;  ///< from one image to the next, round the classes
  double smoothing = 0.0;  ///< of the targets
};

/// A batch on the CPU that fits a network: standard normal images [n, size, size, channels], labels
/// i32 [n], and the same labels as smoothed probabilities, targets [n, classes].
struct RandomBatch {
  explicit RandomBatch(const ModelConfig& config, const BatchOptions& options = {})
      : images(random_tensor({options.count, config.image_size, config.image_size, config.channels},
                             options.dtype, options.seed)),
        labels(Tensor::empty({options.count}, DType::i32, Tag::data)),
        targets(Tensor::empty({options.count, config.classes}, options.dtype)) {
    targets.fill(options.smoothing / static_cast<double>(config.classes));
    for (int64_t i = 0; i < options.count; ++i) {
      const int64_t label = (options.first_label + i * options.label_step) % config.classes;
      labels.data<int32_t>()[i] = static_cast<int32_t>(label);
      const int64_t at = i * config.classes + label;
      set_value(targets, at, value_at(targets, at) + (1.0 - options.smoothing));
    }
  }

  Tensor images, labels, targets;
};

/// A batch whose labels depend on the seed, too.
inline RandomBatch seeded_batch(const ModelConfig& config, int64_t count, uint64_t seed = 5) {
  const auto first = static_cast<int64_t>(seed);
  return RandomBatch(config, {.count = count, .seed = seed, .first_label = first, .label_step = 3});
}

}  // namespace pal::testing
