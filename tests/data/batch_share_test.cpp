// Which images of a batch each rank and each part of its share sees.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "data/batches/bad_images.h"
#include "data/batches/memory_loader.h"
#include "data/sets/dataset.h"
#include "data/sets/synthetic.h"
#include "data/variants/variant_set.h"
#include "runtime/error.h"
#include "tests/data/encoded_loader_case.h"

namespace pal {
namespace {

using testing::all;
using testing::kSize;
using testing::loader_of;
using testing::MemorySource;
using testing::random_pictures;
using testing::training;

using MakeLoader = std::function<std::unique_ptr<Batches>(const LoaderOptions&)>;

/// Bytes of the images, labels and indices of batches, one after another.
struct Seen {
  std::vector<float> images;
  std::vector<int32_t> labels;
  std::vector<int64_t> indices;

  void add(const Batch& batch) {
    ASSERT_EQ(batch.images.defined(), !batch.indices.empty());
    ASSERT_EQ(batch.labels.defined(), !batch.indices.empty());
    if (batch.indices.empty()) return;
    ASSERT_EQ(batch.images.size(0), static_cast<int64_t>(batch.indices.size()) * batch.views);
    ASSERT_EQ(batch.labels.numel(), static_cast<int64_t>(batch.indices.size()));
    const auto* const values = batch.images.data<float>();
    images.insert(images.end(), values, values + batch.images.numel());
    const auto* const classes = batch.labels.data<int32_t>();
    labels.insert(labels.end(), classes, classes + batch.labels.numel());
    indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
  }
};

void expect_same(const Seen& found, const Seen& wanted) {
  EXPECT_EQ(found.indices, wanted.indices);
  EXPECT_EQ(found.labels, wanted.labels);
  ASSERT_EQ(found.images.size(), wanted.images.size());
  EXPECT_EQ(
      std::memcmp(found.images.data(), wanted.images.data(), found.images.size() * sizeof(float)),
      0);
}

/// That the shares of every batch of two epochs, from whole step `begin` on, are its images in
/// their order, for many divisions.
void expect_divided(const LoaderOptions& options, const MakeLoader& make, int64_t begin = 0) {
  const auto whole = make(options);
  const int64_t steps = whole->steps();
  for (int ranks = 1; ranks <= 4; ++ranks)
    for (int parts = 1; parts <= 3; ++parts) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, parts " + std::to_string(parts));
      std::vector<std::unique_ptr<Batches>> loaders;
      for (int rank = 0; rank < ranks; ++rank) {
        LoaderOptions mine = options;
        mine.share = {.rank = rank, .ranks = ranks, .parts = parts};
        loaders.push_back(make(mine));
        EXPECT_EQ(loaders.back()->count(), whole->count());
        EXPECT_EQ(loaders.back()->parts(), parts);
        EXPECT_EQ(loaders.back()->whole_steps(), steps);
        ASSERT_EQ(loaders.back()->steps(), steps * parts);
      }
      for (int64_t at = begin; at < 2 * steps; ++at) {
        const Batch batch = whole->batch(at / steps, at % steps);
        int64_t place = batch.first;
        Seen found, wanted;
        wanted.add(batch);
        for (const auto& loader : loaders)
          for (int64_t part = 0; part < parts; ++part) {
            const Batch mine = loader->batch(at / steps, at % steps * parts + part);
            EXPECT_EQ(mine.whole, batch.whole);
            // Pictures that were left out keep their places.
            if (options.bad_images == nullptr) {
              EXPECT_EQ(mine.first, place);
              place += static_cast<int64_t>(mine.indices.size());
            }
            found.add(mine);
          }
        expect_same(found, wanted);
      }
    }
}

TEST(BatchShare, DividesAsTheFormulaSays) {
  // 11 = 2 + 3 + 3 + 3 images for four ranks, the last of which has them as 1 + 2.
  const ImageSet set = synthetic_set({.count = 22, .height = 4, .width = 4});
  LoaderOptions options;
  options.batch_size = 11;
  options.shuffle = false;
  options.mean = {0.0F};
  options.std = {1.0F};
  options.share = {.rank = 3, .ranks = 4, .parts = 2};
  MemoryLoader last(set, options);
  EXPECT_EQ(last.batch(0, 0).indices, (std::vector<int64_t>{8}));
  EXPECT_EQ(last.batch(0, 1).indices, (std::vector<int64_t>{9, 10}));
  const Batch next = last.batch(0, 3);
  EXPECT_EQ(next.indices, (std::vector<int64_t>{20, 21}));
  EXPECT_EQ(next.first, 20);
  EXPECT_EQ(next.whole, 11);
  options.share = {.rank = 0, .ranks = 4};
  EXPECT_EQ(MemoryLoader(set, options).batch(0, 1).indices, (std::vector<int64_t>{11, 12}));
  EXPECT_THROW(last.batch(0, 4), Error);
}

TEST(BatchShare, MemoryLoaderInTrainingAndEvaluation) {
  const ImageSet set = synthetic_set({.count = 59, .height = 6, .width = 5});
  LoaderOptions options;
  options.seed = 4;
  options.flip = true;
  options.shift = 2;
  options.mean = {0.3F};
  options.std = {0.4F};
  const MakeLoader make = [&](const LoaderOptions& o) {
    return std::make_unique<MemoryLoader>(set, o);
  };
  for (const int64_t batch_size : {13, 17}) {
    options.batch_size = batch_size;
    expect_divided(options, make);
  }
  // The last batch has 3, 1 or 4 images: fewer than there are ranks and parts.
  for (const int64_t batch_size : {14, 2, 5}) {
    options.batch_size = batch_size;
    expect_divided(evaluation_options(options), make);
  }
}

class EncodedShare : public ::testing::TestWithParam<int64_t> {};

TEST_P(EncodedShare, IsTheSameImages) {
  const MemorySource source(random_pictures(29));
  const MakeLoader make = [&](const LoaderOptions& o) {
    return std::make_unique<EncodedLoader>(source, kSize, 3, all(source), o);
  };
  LoaderOptions options = training(13, GetParam());
  options.prefetch = GetParam();
  expect_divided(options, make);
  // Resumed within an epoch.
  expect_divided(options, make, 1);
  options.batch_size = 9;
  options.transform.crop = CropKind::ten;
  expect_divided(evaluation_options(options), make);
}

TEST_P(EncodedShare, ReplacesOrLeavesOutBadPictures) {
  auto files = random_pictures(29);
  for (const size_t bad : {3U, 7U, 8U, 12U, 28U}) files[bad].resize(files[bad].size() / 3);
  const MemorySource source(files);
  std::vector<std::unique_ptr<BadImageLog>> logs;
  const MakeLoader make = [&](LoaderOptions o) {
    o.bad_images = logs.emplace_back(std::make_unique<BadImageLog>(0.3, 29)).get();
    return std::make_unique<EncodedLoader>(source, kSize, 3, all(source), o);
  };
  BadImageLog one(0.3, 29);
  LoaderOptions options = training(13, GetParam());
  options.bad_images = &one;
  expect_divided(options, make);
  options.batch_size = 12;
  expect_divided(evaluation_options(options), make);
}

TEST_P(EncodedShare, ReadsItsOwnPicturesAlone) {
  const MemorySource source(random_pictures(31));
  LoaderOptions options = evaluation_options(training(12, GetParam()));
  int64_t reads = 0;
  for (int rank = 0; rank < 3; ++rank) {
    options.share = {.rank = rank, .ranks = 3, .parts = 2};
    source.reads = 0;
    EncodedLoader loader = loader_of(source, options);
    for (int64_t step = 0; step < loader.steps(); ++step) loader.batch(0, step);
    reads += source.reads;
    EXPECT_LE(source.reads, 11);
  }
  EXPECT_EQ(reads, 31);
}

INSTANTIATE_TEST_SUITE_P(Workers, EncodedShare, ::testing::Values(0, 1, 2, 3));

TEST(BatchShare, OfAllBadPicturesIsEmptyButAWholeBatchOfThemAnError) {
  auto files = random_pictures(8);
  for (size_t bad = 2; bad < 8; ++bad) files[bad].clear();
  const MemorySource source(files);
  BadImageLog log(1.0, 8);
  LoaderOptions options = evaluation_options(training(4));
  options.bad_images = &log;
  options.share = {.rank = 1, .ranks = 2};
  EncodedLoader second = loader_of(source, options);
  EXPECT_TRUE(second.batch(0, 0).indices.empty());
  options.share = {};
  EncodedLoader whole = loader_of(source, options);
  EXPECT_EQ(whole.batch(0, 0).indices, (std::vector<int64_t>{0, 1}));
  EXPECT_THROW(whole.batch(0, 1), Error);
}

TEST(BatchShare, ChangedSetsComeInSharesToo) {
  const auto base =
      memory_dataset(synthetic_set({.count = 21, .height = 8, .width = 8, .channels = 3}));
  const auto set = variant_set(*base, Variant::shuffled);
  LoaderOptions options;
  options.batch_size = 10;
  options.noise = false;
  options.mean = {0.4F, 0.5F, 0.6F};
  options.std = {0.2F, 0.3F, 0.25F};
  expect_divided(evaluation_options(options),
                 [&](const LoaderOptions& o) { return set->batches(o); });
}

TEST(BatchShare, RefusesRanksWithoutImages) {
  const ImageSet set = synthetic_set({.count = 30, .height = 4, .width = 4});
  LoaderOptions options;
  options.batch_size = 7;
  options.mean = {0.0F};
  options.std = {1.0F};
  const auto message = [&](const BatchShare& share) {
    options.share = share;
    try {
      MemoryLoader loader(set, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({.rank = 1, .ranks = 4, .parts = 2}),
            "batch-size: 7 images for 4 ranks with 2 parts each; expected at least 8");
  EXPECT_EQ(message({.rank = 1, .ranks = 7}), "");
  EXPECT_EQ(message({.rank = 1, .ranks = 3, .parts = 2}), "");
  for (const BatchShare& share :
       {BatchShare{.rank = 2, .ranks = 2}, BatchShare{.rank = -1, .ranks = 2},
        BatchShare{.ranks = 0}, BatchShare{.parts = 0}})
    EXPECT_NE(message(share), "");
  options.drop_last = false;
  EXPECT_EQ(message({.rank = 1, .ranks = 8}), "");
}

}  // namespace
}  // namespace pal
