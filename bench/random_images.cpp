#include "bench/random_images.h"

#include "runtime/philox.h"

namespace pal::bench {

Tensor random_images(const Shape& shape) {
  const Tensor x = Tensor::empty(shape, DType::f32, Tag::data);
  const Philox random(1, RandomPurpose::test);
  float* values = x.data<float>();
  for (int64_t i = 0; i < x.numel(); ++i)
    values[i] = random.normal4(static_cast<uint32_t>(i / 4))[static_cast<size_t>(i % 4)];
  return x;
}

Tensor one_hot_targets(int64_t n, int64_t classes) {
  const Tensor targets = Tensor::zeros({n, classes}, DType::f32, Tag::data);
  for (int64_t i = 0; i < n; ++i) targets.data<float>()[i * classes + i % classes] = 1.0F;
  return targets;
}

}  // namespace pal::bench
