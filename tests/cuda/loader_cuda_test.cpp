#include <gtest/gtest.h>

#include "data/batches/encoded_loader.h"
#include "tests/cuda/parity.h"
#include "tests/data/memory_source.h"

namespace pal {
namespace {

LoaderOptions options_on(Device device, CropKind crop) {
  LoaderOptions options;
  options.batch_size = 3;
  options.seed = 4;
  options.flip = true;
  options.clamp = true;
  options.mean = {0.4F, 0.5F, 0.6F};
  options.std = {0.2F, 0.3F, 0.25F};
  options.transform.crop = crop;
  options.workers = 2;
  options.prefetch = 2;
  options.device = device;
  return options;
}

TEST(LoaderCuda, FollowsTheCpu) {
  const testing::MemorySource source(testing::random_pictures(7));
  for (const CropKind crop : {CropKind::random_resized, CropKind::center, CropKind::ten}) {
    EncodedLoader wanted(source, 11, 3, {0, 1, 2, 3, 4, 5, 6}, options_on(Device(), crop));
    EncodedLoader found(source, 11, 3, {0, 1, 2, 3, 4, 5, 6}, options_on(test::gpu(), crop));
    // More batches than the upload has buffers; all are kept until the end.
    std::vector<Batch> batches;
    for (int64_t step = 0; step < 6; ++step) batches.push_back(found.batch(step / 2, step % 2));
    for (int64_t step = 0; step < 6; ++step) {
      const Batch& batch = batches[static_cast<size_t>(step)];
      const Batch expected = wanted.batch(step / 2, step % 2);
      EXPECT_TRUE(batch.images.device().is_cuda());
      EXPECT_TRUE(batch.labels.device().is_cpu());
      EXPECT_EQ(batch.indices, expected.indices);
      test::expect_same(expected.labels, batch.labels, "labels");
      // One rounding where a compiler fuses the last product and sum.
      test::expect_close(expected.images, batch.images, 1e-6, "batch " + std::to_string(step));
    }
  }
}

}  // namespace
}  // namespace pal
