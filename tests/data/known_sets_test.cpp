#include "data/sets/known_sets.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/pictures/image_file.h"
#include "data/sets/idx_set.h"
#include "data/sets/synthetic.h"
#include "runtime/parallel.h"
#include "tests/data/byte_builder.h"
#include "tests/support/environment.h"

namespace pal {
namespace {

using testing::Bytes;
using testing::data_error;
using testing::Environment;
using testing::idx_bytes;

Bytes ramp(size_t count) {
  Bytes bytes(count);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  return bytes;
}

/// The four files of a tiny set: 3 training and 2 test images of 2x3.
void write_family(const testing::TemporaryFolder& folder, const Bytes& train_labels = {0, 2, 1}) {
  folder.write("train-images-idx3-ubyte", idx_bytes({3, 2, 3}, ramp(18)));
  folder.write("train-labels-idx1-ubyte.gz", testing::gzip(idx_bytes({3}, train_labels)));
  folder.write("t10k-images-idx3-ubyte.gz", testing::gzip(idx_bytes({2, 2, 3}, ramp(12))));
  folder.write("t10k-labels-idx1-ubyte", idx_bytes({2}, {0, 1}));
}

TEST(Dataset, LoadsAFolderOfTheMnistFamily) {
  const testing::TemporaryFolder folder;
  write_family(folder);
  const ImageSet train = load_dataset(folder.path(), Split::train);
  EXPECT_EQ(train.count, 3);
  EXPECT_EQ(train.height, 2);
  EXPECT_EQ(train.width, 3);
  EXPECT_EQ(train.channels, 1);
  EXPECT_EQ(train.classes, 3);
  EXPECT_EQ(train.class_names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(train.labels, (std::vector<int32_t>{0, 2, 1}));
  EXPECT_EQ(train.pixels, ramp(18));
  const ImageSet test = load_dataset(folder.path(), Split::test);
  EXPECT_EQ(test.count, 2);
  EXPECT_EQ(test.classes, 3) << "the test labels alone would say 2";
  EXPECT_NE(test.fingerprint, train.fingerprint);
  EXPECT_THROW(load_dataset(folder.path(), Split::all), Error);
}

TEST(Dataset, LoadsFashionMnistFromAGivenFolder) {
  const testing::TemporaryFolder folder;
  write_family(folder);
  const ImageSet set = load_dataset("fashion-mnist", Split::train, folder.path());
  EXPECT_EQ(set.name, "fashion-mnist");
  EXPECT_EQ(set.classes, 10);
  EXPECT_EQ(set.class_names[9], "ankle boot");
  const Environment data("PALINDROME_DATA", folder.path());
  EXPECT_EQ(load_dataset("fashion-mnist", Split::train).fingerprint, set.fingerprint);
}

TEST(Dataset, SaysWhichPackageBringsMissingFiles) {
  const testing::TemporaryFolder folder;
  const std::string fashion =
      data_error([&] { load_dataset("fashion-mnist", Split::train, folder.path()); });
  EXPECT_NE(fashion.find(folder.path()), std::string::npos) << fashion;
  EXPECT_NE(fashion.find("dataset-fashion-mnist"), std::string::npos);
  const std::string digits = data_error([&] { load_dataset("digits", Split::all, folder.path()); });
  EXPECT_NE(digits.find("opencv-doc"), std::string::npos) << digits;
  EXPECT_NE(data_error([] { load_dataset("no-such-set", Split::train); }).find("nor a folder"),
            std::string::npos);
  folder.write("train-images-idx3-ubyte", idx_bytes({1, 1, 1}, {0}));
  EXPECT_NE(data_error([&] {
              load_dataset(folder.path(), Split::train);
            }).find("holds neither train-labels-idx1-ubyte nor"),
            std::string::npos);
}

/// What loading one part or the other, and checking the folder, complains of.
std::string folder_error(const testing::TemporaryFolder& folder, Split split) {
  const std::string loading = data_error([&] { load_dataset(folder.path(), split); });
  EXPECT_EQ(data_error([&] { check_idx_folder(folder.path()); }), loading);
  return loading;
}

TEST(Dataset, FilesOfAFamilyMustFit) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(holds_idx_family(folder.path()));
  write_family(folder);
  EXPECT_TRUE(holds_idx_family(folder.path()));
  EXPECT_TRUE(check_idx_folder(folder.path()).empty());
  folder.write("t10k-labels-idx1-ubyte", idx_bytes({2}, {0, 3}));
  EXPECT_EQ(folder_error(folder, Split::test),
            folder.file("t10k-labels-idx1-ubyte") + ":9: label 3 of image 1, expected 0 to 2");
  folder.write("t10k-labels-idx1-ubyte", idx_bytes({3}, {0, 1, 1}));
  EXPECT_NE(folder_error(folder, Split::test).find(":4: 3 labels for 2 images of"),
            std::string::npos);
  write_family(folder);
  folder.write("train-labels-idx1-ubyte.gz", testing::gzip(idx_bytes({2}, {0, 1})));
  EXPECT_NE(folder_error(folder, Split::train).find(":4: 2 labels for 3 images of"),
            std::string::npos);
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz",
                           "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"}) {
    write_family(folder);
    std::filesystem::remove(folder.file(name));
    EXPECT_TRUE(holds_idx_family(folder.path()));
    EXPECT_NE(data_error([&] { check_idx_folder(folder.path()); }).find("holds neither"),
              std::string::npos)
        << name;
  }
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz",
                           "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"})
    std::filesystem::remove(folder.file(name));
  folder.write("other-images-idx3-ubyte", idx_bytes({1, 1, 1}, {0}));
  EXPECT_FALSE(holds_idx_family(folder.path()));
}

TEST(Dataset, WarnsOfClassesWithoutTrainingImages) {
  const testing::TemporaryFolder folder;
  write_family(folder, {0, 9, 1});
  const std::vector<std::string> odd = check_idx_folder(folder.path());
  ASSERT_EQ(odd.size(), 1U);
  EXPECT_EQ(odd[0], "no training images of 7 of 10 classes: 2, 3, 4, 5, 6 and 2 more");
  ::testing::internal::CaptureStderr();
  load_dataset(folder.path(), Split::train);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(odd[0]), std::string::npos);
}

TEST(Dataset, RefusesLabelsThatDoNotFit) {
  const testing::TemporaryFolder folder;
  const std::string images = folder.write("images", idx_bytes({3, 2, 3}, ramp(18)));
  const std::string labels = folder.write("labels", idx_bytes({2}, {0, 1}));
  EXPECT_EQ(data_error([&] { load_idx_set(images, labels); }),
            labels + ":4: 2 labels for 3 images of " + images);
  const std::string high = folder.write("high", idx_bytes({3}, {0, 12, 1}));
  EXPECT_EQ(data_error([&] { load_idx_set(images, high, 10); }),
            high + ":9: label 12 of image 1, expected 0 to 9");
  EXPECT_EQ(load_idx_set(images, high).classes, 13);
  EXPECT_NE(data_error([&] { load_idx_set(high, high); }).find("expected images as"),
            std::string::npos);
  EXPECT_NE(data_error([&] { load_idx_set(images, images); }).find("expected labels"),
            std::string::npos);
}

TEST(Dataset, CutsTheDigitsFromTheirSheet) {
  Image sheet;
  sheet.width = 2000;
  sheet.height = 1000;
  sheet.channels = 1;
  sheet.pixels.resize(2000 * 1000);
  for (int64_t y = 0; y < 1000; ++y)
    for (int64_t x = 0; x < 2000; ++x)
      sheet.pixels[static_cast<size_t>(y * 2000 + x)] =
          static_cast<uint8_t>(1 + y / 20 + 2 * (x / 20));
  const testing::TemporaryFolder folder;
  folder.write("digits.png", encode_png(sheet));
  const ImageSet all = load_dataset("digits", Split::all, folder.path());
  EXPECT_EQ(all.count, 5000);
  EXPECT_EQ(all.height, 28);
  EXPECT_EQ(all.width, 28);
  EXPECT_EQ(all.classes, 10);
  EXPECT_EQ(all.labels[499], 0);
  EXPECT_EQ(all.labels[500], 1);
  const uint8_t* image = &all.pixels[(7 * 100 + 30) * 784];
  for (int y = 0; y < 28; ++y)
    for (int x = 0; x < 28; ++x) {
      const bool inside = y >= 4 && y < 24 && x >= 4 && x < 24;
      ASSERT_EQ(image[y * 28 + x], inside ? 1 + 7 + 60 : 0) << y << ' ' << x;
    }
  EXPECT_EQ(load_dataset("digits", Split::train, folder.path()).count, 4000);
  const ImageSet test = load_dataset("digits", Split::test, folder.path());
  EXPECT_EQ(test.count, 1000);
  EXPECT_EQ(test.pixels[4 * 28 + 4], 1 + 160);
  sheet.width = 1000;
  sheet.height = 2000;
  folder.write("digits.png", encode_png(sheet));
  EXPECT_NE(data_error([&] {
              load_dataset("digits", Split::all, folder.path());
            }).find("expected a grey"),
            std::string::npos);
}

TEST(Dataset, FingerprintsPixelsAndLabels) {
  ImageSet set = synthetic_set({.count = 20});
  const uint64_t before = set.fingerprint;
  set_fingerprint(set);
  EXPECT_EQ(set.fingerprint, before);
  set.pixels[100] ^= 1;
  set_fingerprint(set);
  EXPECT_NE(set.fingerprint, before);
  set.pixels[100] ^= 1;
  set.labels[3] = 4;
  set_fingerprint(set);
  EXPECT_NE(set.fingerprint, before);
}

TEST(Dataset, MakesSyntheticImages) {
  const ImageSet set = load_dataset("synthetic:3:40:13", Split::train);
  EXPECT_EQ(set.count, 40);
  EXPECT_EQ(set.width, 13);
  EXPECT_EQ(set.classes, 3);
  EXPECT_EQ(set.labels[4], 1);
  EXPECT_EQ(load_dataset("synthetic:3:40:13", Split::test).count, 10);
  EXPECT_EQ(load_dataset("synthetic:10", Split::train).count, 2048);
  for (const char* name : {"synthetic:", "synthetic:x", "synthetic:0", "synthetic:3:",
                           "synthetic:3:4:5:6:7", "synthetic:-1", "synthetic:99999999999999999999"})
    EXPECT_THROW(load_dataset(name, Split::train), Error) << name;
  const int threads = thread_count();
  set_thread_count(1);
  const uint64_t one = synthetic_set({.count = 100, .channels = 3}).fingerprint;
  set_thread_count(3);
  EXPECT_EQ(synthetic_set({.count = 100, .channels = 3}).fingerprint, one);
  set_thread_count(threads);
  EXPECT_THROW(synthetic_set({.count = int64_t{1} << 40}), Error);
}

}  // namespace
}  // namespace pal
