#include "data/corruptions/corrupted_set.h"

#include <gtest/gtest.h>

#include "data/sources/image_folder.h"
#include "runtime/file.h"
#include "runtime/parallel.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

constexpr int64_t kImages = 9;

std::unique_ptr<Dataset> base_set() {
  ImageSet set;
  set.name = "base";
  set.count = kImages;
  set.height = set.width = 20;
  set.channels = 3;
  set.classes = 2;
  set.class_names = {"a", "b"};
  for (int64_t i = 0; i < kImages * 1200; ++i)
    set.pixels.push_back(static_cast<uint8_t>((7 * i + i / 60) % 256));
  for (int32_t i = 0; i < kImages; ++i) set.labels.push_back(i % 2);
  set_fingerprint(set);
  return memory_dataset(std::move(set));
}

LoaderOptions plain(int64_t batch) {
  LoaderOptions options;
  options.batch_size = batch;
  options.noise = false;
  options.mean = {0.25F, 0.5F, 0.4F};
  options.std = {0.5F, 0.25F, 0.3F};
  return evaluation_options(options);
}

/// What a network gets of some images, image by image.
std::vector<std::vector<float>> values(const Dataset& set, const std::vector<int64_t>& indices,
                                       int64_t batch) {
  std::vector<std::vector<float>> found;
  const auto batches = set.batches(indices, plain(batch));
  for (int64_t step = 0; step < batches->steps(); ++step) {
    const Batch made = batches->batch(0, step);
    for (int64_t i = 0; i < made.images.size(0); ++i) {
      const Tensor image = made.images.slice_batch(i, 1);
      found.emplace_back(image.data<float>(), image.data<float>() + image.numel());
    }
  }
  return found;
}

TEST(CorruptedSet, SameBitsAtAnyThreadsOrderAndBatch) {
  const auto base = base_set();
  std::vector<int64_t> all = all_images(base->info());
  for (const Corruption corruption : all_corruptions(true)) {
    const auto set = corrupted_set(*base, corruption, 4, {.seed = 3});
    set_thread_count(1);
    const auto wanted = values(*set, all, kImages);
    EXPECT_NE(wanted, values(*base, all, kImages)) << name_of(corruption);
    for (const int threads : {2, 7}) {
      set_thread_count(threads);
      EXPECT_EQ(values(*set, all, 4), wanted) << name_of(corruption) << threads;
    }
    const auto some = values(*set, {7, 2}, 1);
    EXPECT_EQ(some.at(0), wanted.at(7));
    EXPECT_EQ(some.at(1), wanted.at(2));
  }
  set_thread_count(0);
}

TEST(CorruptedSet, WritesImagesWhereItIsTold) {
  const auto base = base_set();
  const auto set = corrupted_set(*base, all_corruptions(true).front(), 4, {.seed = 3});
  const auto batches = set->batches(all_images(base->info()), plain(1));
  Tensor memory;
  const Batch batch =
      batches->batch(0, 2, [&](const Shape& shape) { return memory = Tensor::empty(shape); });
  EXPECT_EQ(batch.images.raw(), memory.raw());
  EXPECT_EQ(std::vector<float>(memory.data<float>(), memory.data<float>() + memory.numel()),
            values(*set, {2}, 1).at(0));
}

TEST(CorruptedSet, IsWhatAFileOfThePictureWouldGive) {
  const auto base = base_set();
  const ImageSet& pixels = *base->in_memory();
  ImageSet changed = pixels;
  changed.pixels.clear();
  for (int64_t i = 0; i < kImages; ++i) {
    const auto first = pixels.pixels.begin() + i * pixels.image_size();
    const Image image{20, 20, 3, {first, first + pixels.image_size()}, {}};
    const Image made =
        corrupted(image, Corruption::impulse_noise, 5, {.seed = 3}, std::to_string(i));
    changed.pixels.insert(changed.pixels.end(), made.pixels.begin(), made.pixels.end());
  }
  const auto files = memory_dataset(std::move(changed));
  const auto set = corrupted_set(*base, Corruption::impulse_noise, 5, {.seed = 3});
  const std::vector<int64_t> all = all_images(base->info());
  EXPECT_EQ(values(*set, all, 4), values(*files, all, 4));
  EXPECT_EQ(set->label(3), base->label(3));
  EXPECT_EQ(set->item_name(3), base->item_name(3));
  EXPECT_EQ(set->info().count, kImages);
  EXPECT_EQ(set->info().name, "impulse_noise 5");
}

TEST(CorruptedSet, WhereAFolderLiesChangesNothing) {
  const testing::TemporaryFolder folder;
  const ImageSet pixels = *base_set()->in_memory();
  for (const char* root : {"here", "else/where"})
    for (int64_t i = 0; i < 4; ++i) {
      const std::string place = fmt::format("{}/{}/{}", folder.path(), root, i % 2);
      make_folders(place);
      const auto first = pixels.pixels.begin() + i * pixels.image_size();
      write_png(fmt::format("{}/{}.png", place, i),
                {20, 20, 3, {first, first + pixels.image_size()}, {}});
    }
  const auto of = [&](const std::string& root) {
    const auto base = encoded_dataset(image_folder(folder.path() + "/" + root, ""), 20, 3);
    return values(*corrupted_set(*base, Corruption::gaussian_noise, 3, {}), {0, 1, 2, 3}, 4);
  };
  const auto wanted = of("here");
  EXPECT_EQ(of("else/where/"), wanted);
  EXPECT_NE(wanted.at(0), wanted.at(1));
}

TEST(CorruptedSet, RefusesNoiseAndWrongSeverities) {
  const auto base = base_set();
  const auto set = corrupted_set(*base, Corruption::fog, 1, {});
  LoaderOptions noisy = plain(1);
  noisy.noise = true;
  testing::expect_error(ErrorKind::usage, "without noise", [&] { set->batches({0}, noisy); });
  testing::expect_error(ErrorKind::usage, "severity",
                        [&] { corrupted_set(*base, Corruption::fog, 6, {}); });
}

}  // namespace
}  // namespace pal
