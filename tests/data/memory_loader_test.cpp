#include "data/batches/memory_loader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "data/sets/synthetic.h"
#include "runtime/error.h"

namespace pal {
namespace {

LoaderOptions plain(int64_t batch_size) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = 9;
  options.noise = false;
  options.mean = {0.0F};
  options.std = {1.0F};
  return options;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

/// Level of a value of a batch made without noise by mean 0 and deviation 1.
int level_of(float value) { return static_cast<int>(value * 255.0F + 0.5F); }

TEST(MemoryLoader, DeliversEveryImageOncePerEpoch) {
  const ImageSet set = synthetic_set({.count = 53, .height = 6, .width = 5});
  LoaderOptions options = plain(10);
  options.drop_last = false;
  MemoryLoader loader(set, options);
  EXPECT_EQ(loader.steps(), 6);
  EXPECT_EQ(loader.count(), 53);
  std::set<int64_t> seen;
  for (int64_t step = 0; step < loader.steps(); ++step) {
    const Batch batch = loader.batch(2, step);
    const auto& indices = batch.indices;
    EXPECT_EQ(batch.first, 10 * step);
    ASSERT_EQ(batch.images.size(0), step < 5 ? 10 : 3);
    for (size_t i = 0; i < indices.size(); ++i) {
      seen.insert(indices[i]);
      EXPECT_EQ(batch.labels.data<int32_t>()[i], set.labels[static_cast<size_t>(indices[i])]);
      for (int64_t d = 0; d < 30; ++d)
        ASSERT_EQ(level_of(batch.images.data<float>()[static_cast<int64_t>(i) * 30 + d]),
                  set.pixels[static_cast<size_t>(indices[i] * 30 + d)]);
    }
  }
  EXPECT_EQ(seen.size(), 53U);
}

TEST(MemoryLoader, DropsOrKeepsTheLastBatch) {
  const ImageSet set = synthetic_set({.count = 25, .height = 2, .width = 2});
  MemoryLoader training(set, {3, 4, 5, 6, 7, 8, 9}, plain(3));
  EXPECT_EQ(training.steps(), 2);
  EXPECT_EQ(training.count(), 6);
  MemoryLoader evaluation(set, {3, 4, 5, 6, 7, 8, 9}, evaluation_options(plain(3)));
  EXPECT_EQ(evaluation.steps(), 3);
  EXPECT_EQ(evaluation.batch(0, 2).indices, std::vector<int64_t>{9});
  EXPECT_EQ(evaluation.batch(0, 0).indices, (std::vector<int64_t>{3, 4, 5}));
  EXPECT_EQ(evaluation.batch(0, 2).images.shape(), (Shape{1, 2, 2, 1}));
}

TEST(MemoryLoader, IsAPureFunctionOfEpochAndStep) {
  const ImageSet set = synthetic_set({.count = 64});
  LoaderOptions options = plain(16);
  options.noise = options.flip = true;
  options.shift = 2;
  MemoryLoader through(set, options);
  std::vector<Batch> batches;
  for (int64_t epoch = 0; epoch < 2; ++epoch)
    for (int64_t step = 0; step < through.steps(); ++step)
      batches.push_back(through.batch(epoch, step));
  for (const int64_t at : {7, 2, 5, 0}) {
    MemoryLoader resumed(set, options);
    const Batch batch = resumed.batch(at / 4, at % 4);
    EXPECT_TRUE(same(batch.images, batches[static_cast<size_t>(at)].images)) << at;
    EXPECT_TRUE(same(batch.labels, batches[static_cast<size_t>(at)].labels)) << at;
  }
  EXPECT_FALSE(same(batches[0].images, batches[4].images));
  options.seed = 10;
  EXPECT_FALSE(same(MemoryLoader(set, options).batch(0, 0).images, batches[0].images));
}

TEST(MemoryLoader, EvaluationNoiseDoesNotDependOnTheBatchSize) {
  const ImageSet set = synthetic_set({.count = 12});
  LoaderOptions options = plain(12);
  options.noise = true;
  MemoryLoader wide(set, evaluation_options(options));
  options.batch_size = 5;
  MemoryLoader narrow(set, evaluation_options(options));
  const Tensor all = wide.batch(0, 0).images;
  EXPECT_TRUE(same(all.slice_batch(10, 2), narrow.batch(0, 2).images));
}

TEST(MemoryLoader, AugmentsWithinItsLimits) {
  // One bright pixel in the middle of 9x9 tells where each image went.
  ImageSet set;
  set.name = "dots";
  set.count = 4000;
  set.height = set.width = 9;
  set.channels = set.classes = 1;
  set.pixels.assign(4000 * 81, 0);
  set.labels.assign(4000, 0);
  for (size_t i = 0; i < 4000; ++i) set.pixels[i * 81 + 4 * 9 + 3] = 255;
  LoaderOptions options = plain(4000);
  options.flip = true;
  options.shift = 2;
  MemoryLoader loader(set, options);
  const Tensor images = loader.batch(0, 0).images;
  std::vector<int> rows(9);
  std::vector<int> columns(9);
  for (int64_t i = 0; i < images.numel(); ++i)
    if (level_of(images.data<float>()[i]) == 255) {
      ++rows[static_cast<size_t>(i % 81 / 9)];
      ++columns[static_cast<size_t>(i % 9)];
    }
  // Column 3 or, mirrored, 5, moved by -2 to 2: 1 to 7; five equal rows. Standard deviations are
  // below 26.
  const int expected_rows[] = {0, 0, 800, 800, 800, 800, 800, 0, 0};
  const int expected_columns[] = {0, 400, 400, 800, 800, 800, 400, 400, 0};
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_NEAR(rows[i], expected_rows[i], expected_rows[i] == 0 ? 0 : 110) << i;
    EXPECT_NEAR(columns[i], expected_columns[i], expected_columns[i] == 0 ? 0 : 110) << i;
  }
}

TEST(MemoryLoader, CountsItsMemoryAsData) {
  const ImageSet set = synthetic_set({.count = 8});
  MemoryLoader loader(set, plain(8));
  const int64_t before = Allocator::cpu().stats().current_of(Tag::data);
  const Batch batch = loader.batch(0, 0);
  EXPECT_EQ(Allocator::cpu().stats().current_of(Tag::data) - before, 8 * 784 * 4 + 64);
}

TEST(MemoryLoader, WritesImagesWhereItIsTold) {
  const ImageSet set = synthetic_set({.count = 8, .height = 4, .width = 4});
  MemoryLoader loader(set, plain(3));
  Tensor memory;
  const Batch batch = loader.batch(0, 1, [&](const Shape& shape) {
    return memory = Tensor::empty(shape, DType::f32, Tag::workspace);
  });
  EXPECT_EQ(batch.images.raw(), memory.raw());
  EXPECT_TRUE(same(memory, loader.batch(0, 1).images));
}

TEST(MemoryLoader, RefusesWhatDoesNotFit) {
  const ImageSet set = synthetic_set({.count = 8, .height = 4, .width = 4});
  LoaderOptions two_means = plain(4);
  two_means.mean = {0.0F, 0.0F};
  LoaderOptions far = plain(4);
  far.shift = 5;
  EXPECT_THROW(MemoryLoader(set, two_means), Error);
  EXPECT_THROW(MemoryLoader(set, far), Error);
  EXPECT_THROW(MemoryLoader(set, plain(9)), Error);
  EXPECT_THROW(MemoryLoader(set, plain(0)), Error);
  EXPECT_THROW(MemoryLoader(set, {0, 8}, plain(1)), Error);
  EXPECT_THROW(MemoryLoader(set, {-1}, plain(1)), Error);
  EXPECT_THROW(MemoryLoader(set, std::vector<int64_t>{}, evaluation_options(plain(4))), Error);
  MemoryLoader loader(set, plain(4));
  EXPECT_THROW(loader.batch(0, 2), Error);
  EXPECT_THROW(loader.batch(0, -1), Error);
  EXPECT_THROW(loader.batch(-1, 0), Error);
}

}  // namespace
}  // namespace pal
