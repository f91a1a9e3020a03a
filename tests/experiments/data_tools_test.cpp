#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <set>

#include "data/pictures/image_file.h"
#include "data/sources/tar_shards.h"
#include "experiments/datasets/child_process.h"
#include "experiments/datasets/data_check.h"
#include "experiments/datasets/data_pack.h"
#include "experiments/datasets/data_statistics.h"
#include "experiments/datasets/jobs.h"
#include "runtime/file.h"
#include "tests/data/image_writers.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::data_error;
using testing::TemporaryFolder;

Bytes plain_png(int width, int height, uint8_t level) {
  return testing::png_bytes(width, height, Bytes(static_cast<size_t>(3 * width * height), level));
}

Bytes plain_jpeg(int width, int height, uint8_t level) {
  return testing::jpeg_bytes(width, height, Bytes(static_cast<size_t>(3 * width * height), level));
}

std::string add(const TemporaryFolder& folder, const std::string& path, const Bytes& bytes) {
  fs::create_directories(fs::path(folder.path() + "/" + path).parent_path());
  return folder.write(path, bytes);
}

/// Classes a and b; 12 pictures for training, 5 for validation.
void add_set(const TemporaryFolder& folder) {
  for (int i = 0; i < 7; ++i)
    add(folder, "train/a/" + std::to_string(i) + ".png",
        plain_png(8 + i, 9, static_cast<uint8_t>(i)));
  for (int i = 0; i < 5; ++i)
    add(folder, "train/b/" + std::to_string(i) + ".jpg",
        plain_jpeg(16, 16, static_cast<uint8_t>(10 * i)));
  for (int i = 0; i < 5; ++i)
    add(folder, std::string("val/") + (i < 2 ? "a/" : "b/") + std::to_string(i) + ".png",
        plain_png(20, 10, static_cast<uint8_t>(200 + i)));
}

TEST(Check, FindsExactlyTheBadOnes) {
  const TemporaryFolder folder;
  add_set(folder);
  Bytes cut = plain_jpeg(64, 64, 90);
  cut.resize(cut.size() / 2);
  const std::string first = add(folder, "train/a/0_cut.jpg", cut);
  const std::string second = add(folder, "val/b/text.png", {'t', 'e', 'x', 't'});
  Bytes no_end = plain_jpeg(16, 16, 3);
  no_end.resize(no_end.size() - 2);
  add(folder, "val/b/no_end.jpg", no_end);
  for (const int64_t workers : {1, 3}) {
    CheckOptions options;
    options.workers = workers;
    const CheckResult result = check_pictures(open_parts({folder.path()}), options);
    EXPECT_EQ(result.pictures, 20);
    EXPECT_EQ(result.warnings, 1);
    ASSERT_EQ(result.bad.size(), 2U);
    EXPECT_EQ(result.bad[0].file, first);
    EXPECT_EQ(result.bad[1].file, second);
    EXPECT_EQ(result.bad[1].reason.rfind("neither PNG nor JPEG", 0), 0U) << result.bad[1].reason;
  }
  CheckOptions small;
  small.max_pixels = 100;
  // 9x12, 9x13 and 9x14 of a, all 16x16 of b, the cut one, and all of val.
  EXPECT_EQ(check_pictures(open_parts({folder.path()}), small).bad.size(), 3U + 5U + 1U + 7U);
}

TEST(Check, TakesFilesAndFlatFolders) {
  const TemporaryFolder folder;
  const std::string good = add(folder, "flat/x.JPG", plain_jpeg(5, 5, 1));
  const std::string bad = add(folder, "flat/y.png", {});
  add(folder, "flat/notes.txt", {'n'});
  add(folder, "flat/.hidden.png", {'n'});
  EXPECT_EQ(check_pictures(open_parts({folder.path() + "/flat"}), {}).pictures, 2);
  const CheckResult files =
      check_pictures(open_parts({good, bad, folder.path() + "/absent.jpg"}), {});
  EXPECT_EQ(files.pictures, 3);
  ASSERT_EQ(files.bad.size(), 2U);
  EXPECT_EQ(files.bad[1].reason, "no such file");
  add(folder, "other/notes.txt", {'n'});
  EXPECT_NE(data_error([&] { open_parts({folder.path() + "/other"}); }).find("no pictures"),
            std::string::npos);
}

TEST(Statistics, AreExact) {
  const TemporaryFolder folder;
  // Half of the pixels 0, half 255, in two pictures; a grey one in a class of its own.
  add(folder, "a/black.png", plain_png(300, 240, 0));
  add(folder, "a/white.png", plain_png(240, 260, 255));
  testing::PngOptions grey;
  grey.colour = PNG_COLOR_TYPE_GRAY;
  add(folder, "b/grey.png", testing::png_bytes(100, 50, Bytes(5000, 51), grey));
  add(folder, "b/bad.png", {1, 2, 3});
  StatisticsOptions options;
  options.transform.size = 32;
  for (const int64_t workers : {1, 2}) {
    options.workers = workers;
    const auto parts = open_parts({folder.path()});
    ASSERT_EQ(parts.size(), 1U);
    const PartStatistics part = part_statistics(parts[0], options);
    EXPECT_EQ(part.pictures, 3);
    EXPECT_EQ(part.bad, 1);
    EXPECT_EQ(part.png, 3);
    EXPECT_EQ(part.jpeg, 0);
    EXPECT_EQ(part.grey, 1);
    EXPECT_EQ(part.class_counts, (std::vector<int64_t>{2, 1}));
    EXPECT_EQ(part.per_class.min, 1);
    EXPECT_EQ(part.per_class.max, 2);
    EXPECT_EQ(part.width.min, 100);
    EXPECT_EQ(part.width.median, 240);
    EXPECT_EQ(part.width.max, 300);
    EXPECT_EQ(part.height.median, 240);
    // Levels 0, 1 and 0.2 with equal weight.
    for (int c = 0; c < 3; ++c) {
      EXPECT_NEAR(part.mean[static_cast<size_t>(c)], 0.4, 1e-12);
      EXPECT_NEAR(part.std[static_cast<size_t>(c)], std::sqrt((0.16 + 0.36 + 0.04) / 3), 1e-12);
    }
    EXPECT_EQ(part.small, 0.0);
  }
  options.transform.size = 224;
  EXPECT_NEAR(part_statistics(open_parts({folder.path()})[0], options).small, 1.0 / 3.0, 1e-12);
}

/// All members of all shards: what a reader gets.
std::multiset<std::pair<int32_t, Bytes>> samples_of(const PictureSource& source) {
  std::multiset<std::pair<int32_t, Bytes>> samples;
  for (int64_t i = 0; i < source.count(); ++i) {
    Bytes bytes;
    source.read(i, bytes, 1 << 20);
    samples.emplace(source.label(i), bytes);
  }
  return samples;
}

TEST(Pack, HoldsEveryPictureOnce) {
  const TemporaryFolder folder;
  add_set(folder);
  PackOptions options{folder.path(), folder.path() + "/out", 3, 5};
  options.workers = 2;
  const PackResult result = pack_shards(options);
  EXPECT_EQ(result.pictures, 17);
  EXPECT_EQ(result.shards, 4);
  const auto parts = open_parts({options.output});
  ASSERT_EQ(parts.size(), 2U);
  const auto folders = open_parts({folder.path()});
  ASSERT_EQ(folders.size(), 2U);
  for (size_t part = 0; part < 2; ++part) {
    EXPECT_EQ(parts[part].name, folders[part].name);
    EXPECT_EQ(parts[part].source->class_names(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(samples_of(*parts[part].source), samples_of(*folders[part].source));
  }
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < 12; ++i) labels.push_back(parts[0].source->label(i));
  EXPECT_FALSE(std::ranges::is_sorted(labels));
  EXPECT_EQ(check_pictures(parts, {}).bad.size(), 0U);
}

TEST(Pack, GivesTheSameBytes) {
  const TemporaryFolder folder;
  add_set(folder);
  const auto shard = [&](const std::string& name) {
    return read_file(folder.path() + "/" + name + "/train-000001.tar");
  };
  PackOptions options{folder.path(), folder.path() + "/one", 2};
  pack_shards(options);
  options.output = folder.path() + "/two";
  options.workers = 2;
  pack_shards(options);
  EXPECT_EQ(shard("one"), shard("two"));
  options.output = folder.path() + "/three";
  options.seed = 1;
  pack_shards(options);
  EXPECT_NE(shard("one"), shard("three"));
  EXPECT_FALSE(pack_shards(options).made);
}

/// A wide ramp from left to right: what is resized wrongly is seen.
Bytes ramp(int width, int height) {
  Bytes values;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      values.insert(values.end(), 3, static_cast<uint8_t>(255 * x / (width - 1)));
  return values;
}

TEST(Pack, ReducesLargerPicturesToJpegs) {
  const TemporaryFolder folder;
  testing::JpegOptions turned;
  turned.exif = testing::exif_bytes(6, true);
  const Bytes upright = testing::jpeg_bytes(90, 60, ramp(90, 60));
  const Bytes small = testing::png_bytes(90, 30, ramp(90, 30));
  const Bytes kept = testing::jpeg_bytes(90, 60, ramp(90, 60), turned);
  add(folder, "train/a/0.jpg", upright);
  add(folder, "train/a/1.png", testing::png_bytes(60, 91, ramp(60, 91)));
  add(folder, "train/a/2.png", small);
  add(folder, "train/b/3.jpg", kept);
  PackOptions options{folder.path(), folder.path() + "/out"};
  options.resize = 30;
  pack_shards(options);
  const auto parts = open_parts({options.output});
  const auto& source = *parts[0].source;
  std::map<std::pair<int64_t, int64_t>, Bytes> files;  // by size
  for (int64_t i = 0; i < source.count(); ++i) {
    Bytes bytes;
    source.read(i, bytes, 1 << 20);
    const ImageHeader header = read_image_header(bytes, source.item_name(i));
    files[{header.width, header.height}] = bytes;
  }
  ASSERT_EQ(files.size(), 4U);
  EXPECT_EQ((files[{90, 60}]), kept) << "EXIF would turn it";
  EXPECT_EQ((files[{90, 30}]), small);
  ASSERT_TRUE(files.contains({45, 30}));
  ASSERT_TRUE(files.contains({30, 45}));
  for (const auto& size : {std::pair{45, 30}, std::pair{30, 45}}) {
    EXPECT_EQ(sniff_format(files[size]), ImageFormat::jpeg);
    const Image image = decode_image(files[size], "a");
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 1; x + 1 < image.width; ++x)
        // A pixel covers two of the ramp; JPEG of quality 95 adds a few levels.
        EXPECT_NEAR(
            image.pixels[static_cast<size_t>(y * image.row() + 3 * x)],
            255.0 * (2.0 * static_cast<double>(x) + 0.5) / static_cast<double>(2 * image.width - 1),
            5.0);
  }
  const auto shard = [&] { return read_file(options.output + "/train-000000.tar"); };
  const Bytes fine = shard();
  options.output = folder.path() + "/coarse";
  options.quality = 10;
  pack_shards(options);
  EXPECT_NE(shard(), fine);
  options.resize = 65'501;
  options.output = folder.path() + "/none";
  EXPECT_THROW(pack_shards(options), Error);
}

TEST(Pack, RefusesWhatItCannotPack) {
  const TemporaryFolder folder;
  add_set(folder);
  PackOptions options{folder.path(), folder.path() + "/out", 13};
  EXPECT_THROW(pack_shards(options), Error) << "more shards than pictures";
  options.shards = 0;
  EXPECT_THROW(pack_shards(options), Error);
  options.shards = 1;
  const std::string text = add(folder, "train/a/text.png", {'t'});
  EXPECT_EQ(data_error([&] { pack_shards(options); }).rfind(text + ": neither PNG nor JPEG", 0),
            0U);
  fs::remove(text);
  add(folder, "val/c/1.png", plain_png(3, 3, 1));
  EXPECT_THROW(pack_shards(options), Error) << "a class of val alone";
  EXPECT_FALSE(fs::exists(options.output));
  EXPECT_FALSE(fs::exists(options.output + ".partial"));
}

TEST(Command, GivesCodeAndBothOutputs) {
  const CommandResult result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.errors, "err\n");
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}).code, 128 + 9);
  EXPECT_EQ(run_command({"pwd"}, "/").output, "/\n");
  EXPECT_EQ(run_command({"cat"}).code, 0) << "nothing comes from stdin";
  EXPECT_THROW(run_command({"pal-no-such-program"}), Error);
}

TEST(Command, TakesOutputOfAnySize) {
  const CommandResult result = run_command({"sh", "-c", "yes | head -c 300000"});
  EXPECT_EQ(result.output.size(), 300000U);
}

TEST(Command, LastLine) {
  EXPECT_EQ(last_line("one\ntwo\n \n"), "two");
  EXPECT_EQ(last_line("one"), "one");
  EXPECT_EQ(last_line(" \n"), "");
}

TEST(Jobs, EachRunsOnceAndTheFirstErrorIsThrown) {
  std::vector<std::atomic<int>> runs(1000);
  run_jobs(1000, 3, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; }, {});
  for (const auto& count : runs) EXPECT_EQ(count, 1);
  std::atomic<int64_t> after = 0;
  EXPECT_THROW(run_jobs(1'000'000, 2,
                        [&](int64_t i) {
                          if (i == 10) fail(ErrorKind::data, "ten");
                          ++after;
                        },
                        {}),
               Error);
  EXPECT_LT(after, 1'000'000);
}

}  // namespace
}  // namespace pal
