#include "data/sources/tar_shards.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "tests/data/tar_builder.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::bytes_of;
using testing::data_error;
using testing::TarBuilder;
using testing::usage_error;

class TarShardsTest : public ::testing::Test {
 protected:
  /// A shard of some samples KEY.jpg with content "PREFIX-KEY".
  std::string shard(const std::string& name, int first, int count, int classes = 3) const {
    TarBuilder builder;
    for (int i = first; i < first + count; ++i) {
      const std::string key = "d/" + std::to_string(i);
      builder.file(key + ".jpg", name + "-" + key).file(key + ".cls", std::to_string(i % classes));
    }
    return folder_.write(name, builder.end().bytes());
  }
  size_t cached_files() const {
    fs::create_directories(cache_);
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(cache_), fs::directory_iterator()));
  }

  testing::TemporaryFolder folder_;
  std::string cache_ = folder_.path() + "/cache";
};

TEST_F(TarShardsTest, JoinsShardsInOrder) {
  const std::vector<std::string> paths = {shard("b.tar", 0, 5), shard("a.tar", 5, 2)};
  const auto source = tar_shards(paths, "some\nshards", {}, "");
  EXPECT_EQ(source->name(), "some\\x0ashards");
  ASSERT_EQ(source->count(), 7);
  EXPECT_EQ(source->class_names(), (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(source->item_name(4), paths[0] + ":d/4.jpg");
  EXPECT_EQ(source->item_name(5), paths[1] + ":d/5.jpg");
  Bytes bytes(1000, 1);
  for (int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(source->label(i), i % 3);
    source->read(i, bytes, 100);
    EXPECT_EQ(bytes, bytes_of((i < 5 ? "b.tar-d/" : "a.tar-d/") + std::to_string(i)));
  }
  EXPECT_EQ(data_error([&] { source->read(5, bytes, 5); }),
            paths[1] + ":d/5.jpg: 9 bytes, expected at most 5");
}

TEST_F(TarShardsTest, TakesClassNames) {
  const auto path = shard("a.tar", 0, 5);
  EXPECT_EQ(tar_shards({path}, "x", {"cat", "dog", "eel", "fox"}, "")->class_names().size(), 4U);
  EXPECT_EQ(data_error([&] {
              tar_shards({path}, "x", {"cat", "dog"}, "");
            }),
            path + ":d/2.jpg: label 2, but there are 2 class names");
}

TEST_F(TarShardsTest, RefusesWhatIsNoDataSet) {
  EXPECT_EQ(usage_error([&] { tar_shards({}, "x", {}, ""); }), "x: no tar shards");
  const auto path = shard("a.tar", 0, 5);
  EXPECT_EQ(usage_error([&] {
              tar_shards({path, path}, "x", {}, "");
            }),
            "x: " + path + " comes twice");
  const auto empty = shard("e.tar", 0, 0);
  EXPECT_EQ(data_error([&] {
              tar_shards({path, empty}, "x", {}, "");
            }).rfind(empty + ":0: no sample", 0),
            0U);
  EXPECT_EQ(usage_error([&] { tar_shards({shard("one.tar", 0, 3, 1)}, "x", {}, ""); }),
            "x: one class; expected at least two");
  EXPECT_EQ(data_error([&] {
              tar_shards({path, folder_.path() + "/none"}, "x", {}, "");
            }),
            folder_.path() + "/none: cannot open: No such file or directory");
  EXPECT_EQ(data_error([&] { tar_shards({folder_.path()}, "x", {}, ""); }),
            folder_.path() + ": expected a regular file");
  const auto broken = folder_.write("broken.tar", Bytes(600, 'x'));
  EXPECT_EQ(data_error([&] {
              tar_shards({path, broken}, "x", {}, "");
            }).rfind(broken + ":148:", 0),
            0U);
}

TEST_F(TarShardsTest, AShardThatShrinksIsADataError) {
  const auto path = shard("a.tar", 0, 5);
  const auto source = tar_shards({path}, "x", {}, "");
  const auto size = fs::file_size(path);
  ASSERT_EQ(::truncate(path.c_str(), 1000), 0);
  Bytes bytes;
  EXPECT_EQ(
      data_error([&] { source->read(4, bytes, 100); }),
      fmt::format("{}:d/4.jpg: the shard has 1000 bytes, {} when it was indexed", path, size));
  fs::remove(path);
  EXPECT_EQ(data_error([&] { source->read(0, bytes, 100); }),
            path + ":d/0.jpg: cannot open: No such file or directory");
}

TEST_F(TarShardsTest, WorksWithFewDescriptorsAndManyThreads) {
  std::vector<std::string> paths;
  for (int i = 0; i < 50; ++i) paths.push_back(shard(std::to_string(i) + ".tar", i, 3));
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const rlimit few{32, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  std::atomic<int64_t> bad = 0;
  const auto source = tar_shards(paths, "x", {}, cache_);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      Bytes bytes;
      for (int64_t i = 0; i < source->count(); ++i) {
        source->read(i, bytes, 100);
        if (bytes != bytes_of(fmt::format("{}.tar-d/{}", i / 3, i / 3 + i % 3))) ++bad;
      }
    });
  for (auto& thread : threads) thread.join();
  ::setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(source->count(), 150);
  EXPECT_EQ(bad, 0);
}

TEST_F(TarShardsTest, WarnsAFewTimesOnly) {
  std::vector<std::string> paths;
  for (int i = 0; i < 5; ++i)
    paths.push_back(folder_.write(
        std::to_string(i),
        TarBuilder().file("a.jpg", "x").file("a.cls", std::to_string(i % 2)).bytes()));
  ::testing::internal::CaptureStderr();
  tar_shards(paths, "x", {}, "");
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("warning: " + paths[2] + ": no end-of-archive blocks"), std::string::npos);
  EXPECT_EQ(log.find("warning: " + paths[3]), std::string::npos);
  EXPECT_NE(log.find("warning: x: 2 more shards are bent"), std::string::npos);
}

TEST_F(TarShardsTest, KeepsAnIndexUntilAShardChanges) {
  const std::vector<std::string> paths = {shard("a.tar", 0, 5), shard("b.tar", 5, 4)};
  const uint64_t fingerprint = tar_shards(paths, "x", {}, cache_)->fingerprint();
  EXPECT_EQ(cached_files(), 0U);
  ::usleep(2'700'000);
  tar_shards(paths, "x", {}, cache_);
  ASSERT_EQ(cached_files(), 1U);
  const std::string kept = fs::directory_iterator(cache_)->path().string();
  const auto written = stamp_of(kept);
  const auto again = tar_shards(paths, "x", {}, cache_);
  EXPECT_EQ(stamp_of(kept), written);
  EXPECT_EQ(again->fingerprint(), fingerprint);
  EXPECT_EQ(again->item_name(8), paths[1] + ":d/8.jpg");
  EXPECT_EQ(again->label(8), 2);
  // Another shard of the same size under the same name.
  shard("b.tar", 15, 4);
  shard("b.tar", 6, 4);
  const auto changed = tar_shards(paths, "x", {}, cache_);
  EXPECT_NE(changed->fingerprint(), fingerprint);
  EXPECT_EQ(changed->label(8), 0);
  // Another order is another set.
  EXPECT_EQ(tar_shards({paths[1], paths[0]}, "x", {}, cache_)->label(0), 0);
}

TEST_F(TarShardsTest, FingerprintFollowsNamesLabelsAndSizes) {
  const auto fingerprint = [&](const std::string& key, const std::string& label,
                               const std::string& content) {
    const auto path = folder_.write("f.tar", TarBuilder()
                                                 .file("z.jpg", "z")
                                                 .file("z.cls", "3")
                                                 .file(key + ".jpg", content)
                                                 .file(key + ".cls", label)
                                                 .end()
                                                 .bytes());
    return tar_shards({path}, "x", {}, "")->fingerprint();
  };
  const uint64_t first = fingerprint("a", "1", "abc");
  EXPECT_EQ(fingerprint("a", "1", "xyz"), first);
  EXPECT_NE(fingerprint("b", "1", "abc"), first);
  EXPECT_NE(fingerprint("a", "2", "abc"), first);
  EXPECT_NE(fingerprint("a", "1", "abcd"), first);
}

}  // namespace
}  // namespace pal
