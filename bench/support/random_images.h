#pragma once
#include "runtime/tensor.h"

namespace pal::bench {

/// Standard normal numbers, f32 on the CPU, tagged as data.
Tensor random_images(const Shape& shape);

/// [n] i32 on the CPU: sample i belongs to class i modulo classes.
Tensor labels(int64_t n, int64_t classes);
/// The same as [n, classes] f32.
Tensor one_hot_targets(int64_t n, int64_t classes);

}  // namespace pal::bench
