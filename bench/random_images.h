#pragma once
#include "runtime/tensor.h"

namespace pal::bench {

/// Standard normal numbers, f32, tagged as data.
Tensor random_images(const Shape& shape);

/// [n, classes] f32: sample i belongs to class i modulo classes.
Tensor one_hot_targets(int64_t n, int64_t classes);

}  // namespace pal::bench
