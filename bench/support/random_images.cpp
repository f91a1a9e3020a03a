#include "bench/support/random_images.h"

#include <algorithm>

#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal::bench {

Tensor random_images(const Shape& shape) {
  const Tensor x = Tensor::empty(shape, DType::f32, Tag::data, Device());
  const Philox random(1, RandomPurpose::test);
  float* values = x.data<float>();
  parallel_for((x.numel() + 3) / 4, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      const auto four = random.normal4(static_cast<uint32_t>(group));
      for (int64_t i = 4 * group; i < std::min(4 * group + 4, x.numel()); ++i)
        values[i] = four[static_cast<size_t>(i % 4)];
    }
  });
  return x;
}

Tensor labels(int64_t n, int64_t classes) {
  const Tensor all = Tensor::empty({n}, DType::i32, Tag::data, Device());
  for (int64_t i = 0; i < n; ++i) all.data<int32_t>()[i] = static_cast<int32_t>(i % classes);
  return all;
}

Tensor one_hot_targets(int64_t n, int64_t classes) {
  const Tensor targets = Tensor::zeros({n, classes}, DType::f32, Tag::data, Device());
  for (int64_t i = 0; i < n; ++i) targets.data<float>()[i * classes + i % classes] = 1.0F;
  return targets;
}

}  // namespace pal::bench
