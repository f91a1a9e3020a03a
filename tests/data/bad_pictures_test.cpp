// What the loader does about pictures that cannot be read.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "data/batches/bad_images.h"
#include "data/batches/encoded_loader.h"
#include "tests/data/memory_source.h"

namespace pal {
namespace {

using testing::data_error;
using testing::MemorySource;
using testing::random_pictures;

constexpr int64_t kSize = 12;
constexpr int64_t kValues = kSize * kSize * 3;

LoaderOptions in_order(int64_t batch_size, int64_t workers, BadImageLog* log) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.seed = 5;
  options.shuffle = false;
  options.flip = true;
  options.mean = options.std = {0.5F, 0.5F, 0.5F};
  options.transform.crop = CropKind::random_resized;
  options.workers = workers;
  options.bad_images = log;
  return options;
}

std::vector<int64_t> range(int64_t first, int64_t last) {
  std::vector<int64_t> indices(static_cast<size_t>(last - first));
  std::iota(indices.begin(), indices.end(), first);
  return indices;
}

/// Spoils pictures: empty, cut or text in turns.
std::vector<testing::Bytes> spoiled(int64_t count, const std::vector<int64_t>& bad) {
  std::vector<testing::Bytes> files = random_pictures(count);
  int64_t kind = 0;
  for (const int64_t index : bad) {
    testing::Bytes& file = files[static_cast<size_t>(index)];
    switch (kind++ % 3) {
      case 0:
        file.clear();
        break;
      case 1:
        file.resize(file.size() / 2);
        break;
      default:
        file = {'<', 'h', 't', 'm', 'l', '>', '4', '0', '4'};
    }
  }
  return files;
}

/// Whether places of two batches hold the same image.
bool same_image(const Batch& a, int64_t at, const Batch& b, int64_t other) {
  return std::memcmp(a.images.data<float>() + at * kValues,
                     b.images.data<float>() + other * kValues, kValues * sizeof(float)) == 0;
}

class BadPictures : public ::testing::TestWithParam<int64_t> {
 protected:
  int64_t workers() const { return GetParam(); }
};

TEST_P(BadPictures, StopAtTheFirstOfABatch) {
  const MemorySource source(spoiled(12, {6, 5, 7}));
  EncodedLoader loader(source, kSize, 3, range(0, 12), in_order(4, workers(), nullptr));
  EXPECT_EQ(loader.batch(0, 0).indices, range(0, 4));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(data_error([&] { loader.batch(0, 1); }).substr(0, 8), "picture5") << i;
  EXPECT_EQ(loader.batch(0, 2).indices, range(8, 12));
  EXPECT_EQ(loader.batch(1, 0).indices, range(0, 4));
  EXPECT_EQ(data_error([&] { loader.batch(1, 1); }).substr(0, 8), "picture5");
}

TEST_P(BadPictures, AreReplacedByTheNextOfTheList) {
  const MemorySource source(spoiled(12, {4, 5, 9}));
  BadImageLog log(0.5, 12);
  // 9 is the last of the list, so that its replacement is the first.
  const std::vector<int64_t> list = {2, 4, 5, 7, 1, 0, 3, 9};
  EncodedLoader loader(source, kSize, 3, list, in_order(4, workers(), &log));
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    const Batch first = loader.batch(epoch, 0);
    EXPECT_EQ(first.indices, (std::vector<int64_t>{2, 7, 7, 7}));
    const Batch second = loader.batch(epoch, 1);
    EXPECT_EQ(second.indices, (std::vector<int64_t>{1, 0, 3, 2}));
    EXPECT_EQ(second.labels.data<int32_t>()[3], source.label(2));
    EXPECT_EQ(first.labels.data<int32_t>()[1], source.label(7));
    // A replacement looks as it does elsewhere in the epoch.
    EXPECT_TRUE(same_image(second, 3, first, 0));
    EXPECT_TRUE(same_image(first, 1, first, 3));
    EXPECT_FALSE(same_image(first, 0, first, 3));
  }
  const auto entries = log.entries();
  ASSERT_EQ(entries.size(), 3U);
  for (const auto& [index, message] : entries)
    EXPECT_EQ(message.substr(0, 8), "picture" + std::to_string(index));
}

TEST_P(BadPictures, AreCountedInShuffledTraining) {
  const std::vector<int64_t> bad = {1, 8, 14, 22, 30};
  const MemorySource source(spoiled(40, bad));
  BadImageLog log(0.2, 40);
  LoaderOptions options = in_order(8, workers(), &log);
  options.shuffle = true;
  EncodedLoader loader(source, kSize, 3, range(0, 40), options);
  for (int64_t step = 0; step < 10; ++step) {
    const Batch batch = loader.batch(step / 5, step % 5);
    EXPECT_EQ(batch.images.size(0), 8);
    for (const int64_t index : batch.indices)
      EXPECT_EQ(std::count(bad.begin(), bad.end(), index), 0) << index;
  }
  std::vector<int64_t> noted;
  for (const auto& entry : log.entries()) noted.push_back(entry.first);
  EXPECT_EQ(noted, bad);
}

TEST_P(BadPictures, AreLeftOutOfAnEvaluation) {
  const MemorySource source(spoiled(11, {0, 5, 6, 10}));
  BadImageLog log(0.5, 11);
  const LoaderOptions options = evaluation_options(in_order(4, workers(), &log));
  EncodedLoader loader(source, kSize, 3, range(0, 11), options);
  EXPECT_EQ(loader.batch(0, 0).indices, range(1, 4));
  const Batch batch = loader.batch(0, 1);
  EXPECT_EQ(batch.indices, (std::vector<int64_t>{4, 7}));
  EXPECT_EQ(batch.first, 4);
  EXPECT_EQ(batch.images.size(0), 2);
  EXPECT_EQ(batch.labels.data<int32_t>()[1], source.label(7));
  EncodedLoader alone(source, kSize, 3, {7}, options);
  EXPECT_TRUE(same_image(batch, 1, alone.batch(0, 0), 0));
  EXPECT_EQ(loader.batch(0, 2).indices, range(8, 10));
  EXPECT_EQ(log.entries().size(), 4U);
}

TEST_P(BadPictures, LeaveNoEmptyBatch) {
  const MemorySource source(spoiled(4, {2, 3}));
  BadImageLog log(1.0, 4);
  EncodedLoader loader(source, kSize, 3, range(0, 4),
                       evaluation_options(in_order(2, workers(), &log)));
  EXPECT_EQ(loader.batch(0, 0).indices, range(0, 2));
  EXPECT_EQ(data_error([&] { loader.batch(0, 1); }),
            "memory: none of the 2 pictures of batch 1 can be read");
  EXPECT_EQ(loader.batch(0, 0).indices, range(0, 2));
}

TEST_P(BadPictures, AllOfThemAreAnError) {
  const MemorySource source(spoiled(6, range(0, 6)));
  BadImageLog log(1.0, 6);
  EncodedLoader loader(source, kSize, 3, range(0, 6), in_order(2, workers(), &log));
  EXPECT_EQ(data_error([&] { loader.batch(0, 0); }), "memory: none of 6 pictures can be read");
  EXPECT_EQ(log.entries().size(), 6U);
}

TEST_P(BadPictures, AreNotMoreThanAdmitted) {
  const MemorySource source(spoiled(60, range(10, 60)));
  BadImageLog log(0.05, 60);
  EncodedLoader loader(source, kSize, 3, range(0, 60), in_order(5, workers(), &log));
  const std::string message = data_error([&] {
    for (int64_t step = 0; step < loader.steps(); ++step) loader.batch(0, step);
  });
  EXPECT_NE(message.find("4 of 60 pictures (6.67 %)"), std::string::npos) << message;
  // A set of nothing but bad pictures is given up soon.
  EXPECT_LT(source.reads, 60);
}

INSTANTIATE_TEST_SUITE_P(Workers, BadPictures, ::testing::Values(0, 1, 4));

}  // namespace
}  // namespace pal
