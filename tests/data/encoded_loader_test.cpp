#include "data/batches/encoded_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "data/sets/dataset.h"
#include "runtime/error.h"
#include "tests/data/encoded_loader_case.h"

namespace pal {
namespace {

using testing::all;
using testing::kSize;
using testing::kValues;
using testing::loader_of;
using testing::MemorySource;
using testing::random_pictures;
using testing::training;

/// Values are levels over 255.
LoaderOptions plain(LoaderOptions options) {
  options.noise = options.flip = false;
  options.mean = {0.0F, 0.0F, 0.0F};
  options.std = {1.0F, 1.0F, 1.0F};
  return options;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

bool same(const Batch& a, const Batch& b) {
  return a.indices == b.indices && a.first == b.first && a.views == b.views &&
         same(a.labels, b.labels) && same(a.images, b.images);
}

/// Batches `first` to `last` - 1, counted over epochs.
std::vector<Batch> batches_of(EncodedLoader& loader, int64_t first, int64_t last) {
  std::vector<Batch> batches;
  for (int64_t i = first; i < last; ++i)
    batches.push_back(loader.batch(i / loader.steps(), i % loader.steps()));
  return batches;
}

std::vector<int> levels_of(const Tensor& images, int64_t image) {
  std::vector<int> levels;
  for (int64_t i = 0; i < kValues; ++i)
    levels.push_back(static_cast<int>(images.data<float>()[image * kValues + i] * 255.0F + 0.5F));
  return levels;
}

/// The levels of the views of a picture, without the loader.
std::vector<int> expected_levels(const MemorySource& source, LoaderOptions options, int64_t epoch,
                                 int64_t index) {
  options.transform.size = kSize;
  std::vector<uint8_t> levels(static_cast<size_t>(kValues * view_count(options.transform)));
  make_views(source.files[static_cast<size_t>(index)], "", options.transform,
             Philox(options.seed, RandomPurpose::augment, image_stream(epoch, index)), levels);
  return {levels.begin(), levels.end()};
}

TEST(EncodedLoader, NumberOfWorkersAndPrefetchChangeNothing) {
  const MemorySource source(random_pictures(23));
  EncodedLoader reference = loader_of(source, training(5, 0));
  const std::vector<Batch> wanted = batches_of(reference, 0, 10);
  for (const int64_t workers : {0, 1, 2, 5})
    for (const int64_t prefetch : {0, 1, 3, 11}) {
      LoaderOptions options = training(5, workers);
      options.prefetch = prefetch;
      EncodedLoader loader = loader_of(source, options);
      const std::vector<Batch> found = batches_of(loader, 0, 10);
      for (size_t i = 0; i < wanted.size(); ++i)
        EXPECT_TRUE(same(found[i], wanted[i])) << workers << " " << prefetch << " " << i;
    }
}

TEST(EncodedLoader, MakesEachBatchInAnyOrder) {
  const MemorySource source(random_pictures(23));
  EncodedLoader reference = loader_of(source, training(5, 0));
  const std::vector<Batch> wanted = batches_of(reference, 0, 12);
  for (const int64_t workers : {0, 3}) {
    EncodedLoader loader = loader_of(source, training(5, workers));
    for (const int64_t at : {7, 8, 9, 2, 2, 3, 3, 5, 0, 11, 10, 3, 4, 5}) {
      EXPECT_TRUE(same(loader.batch(at / 4, at % 4), wanted[static_cast<size_t>(at)])) << at;
    }
    EncodedLoader resumed = loader_of(source, training(5, workers));
    const std::vector<Batch> rest = batches_of(resumed, 6, 12);
    for (size_t i = 0; i < rest.size(); ++i) EXPECT_TRUE(same(rest[i], wanted[i + 6])) << i;
  }
}

TEST(EncodedLoader, DeliversEveryPictureOncePerEpoch) {
  const MemorySource source(random_pictures(20));
  EncodedLoader loader = loader_of(source, training(5));
  EXPECT_EQ(loader.steps(), 4);
  EXPECT_EQ(loader.count(), 20);
  std::vector<std::vector<int64_t>> orders(2);
  for (int64_t epoch = 0; epoch < 2; ++epoch)
    for (int64_t step = 0; step < 4; ++step) {
      const Batch batch = loader.batch(epoch, step);
      EXPECT_EQ(batch.first, 5 * step);
      EXPECT_EQ(batch.views, 1);
      ASSERT_EQ(batch.images.shape(), (Shape{5, kSize, kSize, 3}));
      for (size_t i = 0; i < 5; ++i) {
        orders[static_cast<size_t>(epoch)].push_back(batch.indices[i]);
        EXPECT_EQ(batch.labels.data<int32_t>()[i], batch.indices[i] % 3);
      }
    }
  EXPECT_NE(orders[0], orders[1]);
  for (std::vector<int64_t>& order : orders) {
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, all(source));
  }
}

TEST(EncodedLoader, GivesWhatTheTransformMakes) {
  const MemorySource source(random_pictures(9));
  const LoaderOptions options = plain(training(9));
  EncodedLoader loader = loader_of(source, options);
  std::vector<int> before;
  for (const int64_t epoch : {0, 3}) {
    const Batch batch = loader.batch(epoch, 0);
    for (size_t i = 0; i < 9; ++i) {
      const int64_t index = batch.indices[i];
      const std::vector<int> levels = levels_of(batch.images, static_cast<int64_t>(i));
      EXPECT_EQ(levels, expected_levels(source, options, epoch, index)) << epoch << " " << index;
      if (index != 4) continue;
      // Each epoch crops anew.
      EXPECT_NE(levels, before);
      before = levels;
    }
  }
}

TEST(EncodedLoader, MirrorsHalfOfThePictures) {
  const MemorySource source(random_pictures(9));
  LoaderOptions options = plain(training(9));
  options.flip = true;
  const Batch batch = loader_of(source, options).batch(1, 0);
  int mirrored = 0;
  for (size_t i = 0; i < 9; ++i) {
    std::vector<int> wanted = expected_levels(source, options, 1, batch.indices[i]);
    if (placement_of(options, 1, batch.indices[i], 0).flip) {
      ++mirrored;
      for (auto row = wanted.begin(); row != wanted.end(); row += kSize * 3)
        for (int64_t x = 0; x < kSize / 2; ++x)
          std::swap_ranges(row + 3 * x, row + 3 * x + 3, row + 3 * (kSize - 1 - x));
    }
    EXPECT_EQ(levels_of(batch.images, static_cast<int64_t>(i)), wanted) << i;
  }
  EXPECT_GT(mirrored, 0);
  EXPECT_LT(mirrored, 9);
}

TEST(EncodedLoader, LaysTenCropsSideBySide) {
  const MemorySource source(random_pictures(5));
  LoaderOptions options = training(2);
  options.transform.crop = CropKind::ten;
  LoaderOptions levels_only = plain(evaluation_options(options));
  levels_only.flip = true;  // without effect
  EncodedLoader loader = loader_of(source, levels_only);
  for (int64_t step = 0; step < 3; ++step) {
    const Batch batch = loader.batch(0, step);
    const int64_t n = step < 2 ? 2 : 1;
    EXPECT_EQ(batch.views, 10);
    EXPECT_EQ(batch.labels.numel(), n);
    ASSERT_EQ(batch.images.shape(), (Shape{10 * n, kSize, kSize, 3}));
    for (int64_t i = 0; i < n; ++i) {
      const std::vector<int> wanted =
          expected_levels(source, levels_only, 0, batch.indices[static_cast<size_t>(i)]);
      for (int64_t view = 0; view < 10; ++view)
        EXPECT_EQ(levels_of(batch.images, 10 * i + view),
                  std::vector<int>(wanted.begin() + view * kValues,
                                   wanted.begin() + (view + 1) * kValues));
    }
  }
}

TEST(EncodedLoader, EachOfTenCropsHasItsOwnNoise) {
  // All views of a picture of one colour are equal, so that only the noise differs.
  const MemorySource source({testing::png_bytes(16, 16, testing::Bytes(16 * 16 * 3, 100))});
  LoaderOptions options = evaluation_options(training(1));
  const Tensor center = loader_of(source, options).batch(0, 0).images;
  options.transform.crop = CropKind::ten;
  const Tensor ten = loader_of(source, options).batch(0, 0).images;
  EXPECT_TRUE(same(ten.slice_batch(0, 1), center));
  for (int64_t a = 0; a < 10; ++a)
    for (int64_t b = 0; b < a; ++b)
      EXPECT_FALSE(same(ten.slice_batch(a, 1).clone(), ten.slice_batch(b, 1).clone())) << a << b;
}

TEST(EncodedLoader, EvaluationKeepsTheOrderAndTheShortBatch) {
  const MemorySource source(random_pictures(10));
  EncodedLoader loader(source, kSize, 3, {7, 1, 5, 3, 2}, evaluation_options(training(2)));
  EXPECT_EQ(loader.steps(), 3);
  EXPECT_EQ(loader.batch(0, 0).indices, (std::vector<int64_t>{7, 1}));
  const Batch last = loader.batch(0, 2);
  EXPECT_EQ(last.indices, std::vector<int64_t>{2});
  EXPECT_EQ(last.first, 4);
  // Noise does not depend on the size of the batch.
  EncodedLoader whole(source, kSize, 3, {7, 1, 5, 3, 2}, evaluation_options(training(9)));
  EXPECT_TRUE(same(whole.batch(0, 0).images.slice_batch(4, 1).clone(), last.images));
}

TEST(EncodedLoader, WritesImagesWhereItIsTold) {
  const MemorySource source(random_pictures(6));
  EncodedLoader loader(source, kSize, 3, all(source), training(3));
  Tensor memory;
  const Batch batch =
      loader.batch(0, 1, [&](const Shape& shape) { return memory = Tensor::empty(shape); });
  EXPECT_EQ(batch.images.raw(), memory.raw());
  EXPECT_TRUE(same(memory, loader.batch(0, 1).images));
}

TEST(EncodedLoader, MakesGreyPictures) {
  const MemorySource source(random_pictures(4));
  LoaderOptions options = training(4);
  options.mean = {0.5F};
  options.std = {0.2F};
  EncodedLoader loader(source, kSize, 1, all(source), options);
  EXPECT_EQ(loader.batch(0, 0).images.shape(), (Shape{4, kSize, kSize, 1}));
}

/// What is logged about pictures that are whole but for the mark of their end, in some epochs.
std::string log_of_bent_pictures(int64_t count, int64_t epochs) {
  MemorySource source(random_pictures(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto levels = testing::Bytes(16 * 16 * 3, static_cast<uint8_t>(i));
    testing::Bytes& file = source.files[static_cast<size_t>(i)];
    file = testing::jpeg_bytes(16, 16, levels);
    file.pop_back();
    file.pop_back();
  }
  ::testing::internal::CaptureStderr();
  EncodedLoader loader = loader_of(source, training(3));
  for (int64_t i = 0; i < epochs * count / 3; ++i) loader.batch(i / (count / 3), i % (count / 3));
  return ::testing::internal::GetCapturedStderr();
}

TEST(EncodedLoader, ShowsFewWarnings) {
  const std::string log = log_of_bent_pictures(9, 4);
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 6) << log;
  EXPECT_NE(log.find("warning: picture"), std::string::npos) << log;
  EXPECT_NE(log.find("further warnings about pictures are not shown"), std::string::npos) << log;
}

TEST(EncodedLoader, WarnsOnceOfEachPicture) {
  const std::string log = log_of_bent_pictures(3, 5);
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3) << log;
}

TEST(EncodedLoader, RefusesWhatDoesNotFit) {
  const MemorySource source(random_pictures(8));
  const auto refuses = [&](auto&& change) {
    LoaderOptions options = training(4);
    change(options);
    EXPECT_THROW(loader_of(source, options), Error);
  };
  refuses([](LoaderOptions& o) { o.mean = {0.0F}; });
  refuses([](LoaderOptions& o) { o.shift = kSize + 1; });
  refuses([](LoaderOptions& o) { o.shift = -1; });
  refuses([](LoaderOptions& o) { o.batch_size = 9; });
  refuses([](LoaderOptions& o) { o.workers = -1; });
  refuses([](LoaderOptions& o) { o.workers = 100000; });
  refuses([](LoaderOptions& o) { o.prefetch = -1; });
  refuses([](LoaderOptions& o) { o.prefetch = 100000; });
  refuses([](LoaderOptions& o) { o.transform.scale_min = -1.0; });
  EXPECT_THROW(EncodedLoader(source, 0, 3, all(source), training(4)), Error);
  EXPECT_THROW(EncodedLoader(source, kSize, 2, all(source), training(4)), Error);
  EXPECT_THROW(EncodedLoader(source, kSize, 3, {0, 8}, training(1)), Error);
  EncodedLoader loader = loader_of(source, training(4));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(loader.batch(0, 2), Error);
    EXPECT_THROW(loader.batch(0, -1), Error);
    EXPECT_THROW(loader.batch(-1, 0), Error);
    EXPECT_THROW(loader.batch(int64_t{1} << 31, 0), Error);
    EXPECT_EQ(loader.batch((int64_t{1} << 31) - 1, 1).indices.size(), 4U);
  }
}

TEST(EncodedDataset, TellsWhatTheSourceHolds) {
  const auto dataset =
      encoded_dataset(std::make_unique<MemorySource>(random_pictures(7)), kSize, 3);
  const DatasetInfo& info = dataset->info();
  EXPECT_EQ(info.name, "memory");
  EXPECT_EQ(info.count, 7);
  EXPECT_EQ(info.height, kSize);
  EXPECT_EQ(info.width, kSize);
  EXPECT_EQ(info.channels, 3);
  EXPECT_EQ(info.classes(), 3);
  EXPECT_EQ(info.fingerprint, 77U);
  EXPECT_EQ(dataset->in_memory(), nullptr);
  EXPECT_EQ(dataset->item_name(5), "picture5");
  const auto batches = dataset->batches(training(3));
  EXPECT_EQ(batches->steps(), 2);
  EXPECT_EQ(batches->batch(0, 1).images.shape(), (Shape{3, kSize, kSize, 3}));
  EXPECT_EQ(batches->options().transform.size, kSize);
  EXPECT_THROW(encoded_dataset(std::make_unique<MemorySource>(random_pictures(1)), 0, 3), Error);
}

}  // namespace
}  // namespace pal
