#include "data/sources/image_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utime.h>

#include "tests/data/tar_builder.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::bytes_of;
using testing::data_error;
using testing::usage_error;

/// An image folder that is made file by file.
class ImageFolderTest : public ::testing::Test {
 protected:
  ImageFolderTest() {
    fs::create_directories(root_);
    fs::create_directories(cache_);
  }
  void add(const std::string& path, const std::string& content = "x") {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    folder_.write("root/" + path, bytes_of(content));
  }
  /// Waits until the folders count as settled: the time of the last change cannot be set.
  static void settle() { ::usleep(2'700'000); }

  std::vector<std::string> names(const ImageFolder& source) const {
    std::vector<std::string> all;
    for (int64_t i = 0; i < source.count(); ++i)
      all.push_back(source.item_name(i).substr(root_.size() + 1));
    return all;
  }
  size_t cached_files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(cache_), fs::directory_iterator()));
  }

  testing::TemporaryFolder folder_;
  std::string root_ = folder_.path() + "/root";
  std::string cache_ = folder_.path() + "/cache";
};

TEST_F(ImageFolderTest, ListsAsTorchvisionDoes) {
  for (const std::string path : {"dog/b.jpg", "dog/a/z.PNG", "dog/a-b/y.JpEg",
                                 "dog/a/deep/er/q.jpg", "dog/B.jpg", "Cat/10.jpg", "Cat/2.jpg"})
    add(path, path);
  const auto source = image_folder(root_ + "//", "");
  EXPECT_EQ(source->name(), root_);
  EXPECT_EQ(source->class_names(), (std::vector<std::string>{"Cat", "dog"}));
  // '-' sorts before '/': the order of whole paths, not of a walk.
  EXPECT_EQ(names(*source),
            (std::vector<std::string>{"Cat/10.jpg", "Cat/2.jpg", "dog/B.jpg", "dog/b.jpg",
                                      "dog/a/z.PNG", "dog/a-b/y.JpEg", "dog/a/deep/er/q.jpg"}));
  Bytes bytes(1000, 1);
  for (int64_t i = 0; i < source->count(); ++i) {
    source->read(i, bytes, 100);
    EXPECT_EQ(bytes, bytes_of(names(*source)[static_cast<size_t>(i)]));
    EXPECT_EQ(source->label(i), i < 2 ? 0 : 1);
  }
}

TEST_F(ImageFolderTest, SkipsByRuleAndCounts) {
  add("a/1.jpg");
  add("b/1.jpg");
  for (const std::string path : {"a/.DS_Store", "a/._1.jpg", ".git/x.jpg", "b/.thumbs/1.jpg"})
    add(path);
  for (const std::string path : {"a/Thumbs.db", "a/README", "b/1.gif", "stray.jpg", "a/jpg"})
    add(path);
  ASSERT_EQ(::mkfifo((root_ + "/a/fifo.jpg").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", root_ + "/b/zero.jpg");
  fs::create_symlink("nowhere", root_ + "/b/nowhere.txt");
  ::testing::internal::CaptureStderr();
  const auto source = image_folder(root_, "");
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(source->count(), 2);
  EXPECT_EQ(source->skipped().hidden, 4);
  EXPECT_EQ(source->skipped().suffix.count, 5);
  EXPECT_EQ(source->skipped().suffix.first,
            (std::vector<std::string>{"a/README", "a/Thumbs.db", "a/jpg"}));
  EXPECT_EQ(source->skipped().outside.count, 1);
  EXPECT_EQ(source->skipped().special, 2);
  EXPECT_NE(
      log.find(root_ + ": skipped 5 files that are no pictures: a/README, a/Thumbs.db, a/jpg, "
                       "...; 1 picture outside the class folders: stray.jpg; 4 hidden "
                       "entries; 2 entries that are neither files nor folders\n"),
      std::string::npos)
      << log;
}

TEST_F(ImageFolderTest, SaysOnlyWhatThereIs) {
  add("a/1.jpg");
  add("b/1.jpg");
  const auto log_of = [&] {
    ::testing::internal::CaptureStderr();
    image_folder(root_, "");
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(log_of().find("skipped"), std::string::npos);
  EXPECT_EQ(log_of().find("sub-folders"), std::string::npos);
  add("notes.txt");
  add("a/x/1.jpg");
  add("a/x/y/1.jpg");
  const std::string log = log_of();
  EXPECT_NE(log.find(root_ + ": skipped 1 file that is no picture: notes.txt\n"), std::string::npos)
      << log;
  EXPECT_NE(log.find(root_ + ": 2 pictures in sub-folders of a class count as its own\n"),
            std::string::npos)
      << log;
}

TEST_F(ImageFolderTest, TakesTheLabelsOfOtherClasses) {
  add("bee/1.jpg");
  add("cat/1.jpg");
  const std::vector<std::string> classes = {"ant", "bee", "cat", "dog"};
  const auto source = image_folder(root_, "", {"train", classes, true});
  EXPECT_EQ(source->class_names(), classes);
  EXPECT_EQ(source->label(0), 1);
  EXPECT_EQ(source->label(1), 2);
  // The same classes: nothing about the set changes, nor its fingerprint.
  EXPECT_EQ(image_folder(root_, "", {"train", {"bee", "cat"}, true})->fingerprint(),
            image_folder(root_, "")->fingerprint());
  const auto one = image_folder(root_, "", {"train", {"cat", "dog"}, false});
  EXPECT_EQ(one->class_names(), (std::vector<std::string>{"bee", "cat"}));
}

TEST_F(ImageFolderTest, ListsClassesWithoutTheirPictures) {
  for (const std::string path : {"b/1.jpg", "A/1.jpg", ".hidden/1.jpg", "file.jpg"}) add(path);
  fs::create_directories(folder_.path() + "/far");
  fs::create_directory_symlink(folder_.path() + "/far", root_ + "/c");
  fs::create_directory_symlink(".", root_ + "/self");
  fs::create_symlink("nowhere", root_ + "/lost");
  EXPECT_EQ(class_folders(root_), (std::vector<std::string>{"A", "b", "c"}));
  EXPECT_EQ(class_folders(root_), index_folders(root_).class_names);
  EXPECT_EQ(data_error([&] { class_folders(root_ + "/none"); }),
            root_ + "/none: cannot open the folder: No such file or directory");
}

TEST_F(ImageFolderTest, FollowsLinksButNotInCircles) {
  add("a/1.jpg");
  add("b/1.jpg");
  folder_.write("far.jpg", {1});
  fs::create_directories(folder_.path() + "/far");
  folder_.write("far/2.png", {2});
  fs::create_directory_symlink(folder_.path() + "/far", root_ + "/c");
  fs::create_directory_symlink(folder_.path() + "/far", root_ + "/a/sub");
  fs::create_symlink(folder_.path() + "/far.jpg", root_ + "/a/far.jpg");
  fs::create_symlink("nowhere", root_ + "/b/lost.jpg");
  fs::create_directory_symlink(".", root_ + "/a/loop");
  fs::create_directory_symlink("..", root_ + "/b/up");
  fs::create_directory_symlink(".", root_ + "/self");
  ::testing::internal::CaptureStderr();
  const auto source = image_folder(root_, cache_);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(source->class_names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(names(*source), (std::vector<std::string>{"a/1.jpg", "a/far.jpg", "a/sub/2.png",
                                                      "b/1.jpg", "b/lost.jpg", "c/2.png"}));
  EXPECT_EQ(source->skipped().loops, 3);
  for (const std::string loop : {"/a/loop", "/b/up", "/self"})
    EXPECT_NE(log.find("warning: " + root_ + loop + ": skipped, a link to a folder"),
              std::string::npos)
        << log;
  EXPECT_EQ(cached_files(), 0U);
  Bytes bytes;
  EXPECT_EQ(data_error([&] { source->read(4, bytes, 100); }),
            root_ + "/b/lost.jpg: cannot open: No such file or directory");
}

TEST_F(ImageFolderTest, TakesAnyName) {
  const std::string names[] = {"new\nline.jpg", "\xff\xfe.jpg", std::string(251, 'n') + ".jpg",
                               "caf\xc3\xa9.jpg", " .jpg"};
  for (const std::string& name : names) add("a\tb/" + name, name);
  add("b/1.jpg");
  const auto source = image_folder(root_, "");
  ASSERT_EQ(source->count(), 6);
  Bytes bytes;
  for (int64_t i = 0; i < source->count(); ++i) {
    const std::string name = source->item_name(i);
    EXPECT_EQ(name.find('\n'), std::string::npos);
    EXPECT_NO_THROW(source->read(i, bytes, 1000)) << name;
  }
  EXPECT_EQ(source->item_name(1), root_ + "/a\\x09b/caf\xc3\xa9.jpg");
  EXPECT_EQ(source->item_name(2), root_ + "/a\\x09b/new\\x0aline.jpg");
}

TEST_F(ImageFolderTest, ClassNamesAreUtf8) {
  // Latin-1, a cut character, a surrogate, bytes that begin no character.
  const std::vector<std::string> folders = {"caf\xc3", "caf\xc3\xa9", "caf\xe9", "\xed\xa0\x80",
                                            "\xff\xfe"};
  for (const std::string& folder : folders) add(folder + "/1.jpg", folder);
  const std::vector<std::string> wanted = {"caf\\xc3", "caf\xc3\xa9", "caf\\xe9", "\\xed\\xa0\\x80",
                                           "\\xff\\xfe"};
  const auto source = image_folder(root_, "");
  EXPECT_EQ(source->class_names(), wanted);
  EXPECT_EQ(class_folders(root_), wanted);
  Bytes bytes;
  for (int32_t i = 0; i < 5; ++i) {
    source->read(i, bytes, 100);
    EXPECT_EQ(bytes, bytes_of(folders[static_cast<size_t>(i)]));
    EXPECT_EQ(source->label(i), i);
  }
  // Another part has some of them: they go by name all the same.
  const std::vector<std::string> more = {"bee",      "caf\\xc3",        "caf\xc3\xa9",
                                         "caf\\xe9", "\\xed\\xa0\\x80", "\\xff\\xfe"};
  EXPECT_EQ(image_folder(root_, "", {"train", more, true})->label(2), 3);
  add("caf\\xe9/1.jpg");
  EXPECT_EQ(data_error([&] { image_folder(root_, ""); }),
            root_ + ": two class folders are called caf\\xe9, one in bytes that are not UTF-8");
}

TEST_F(ImageFolderTest, RefusesWhatIsNoDataSet) {
  EXPECT_EQ(usage_error([&] { image_folder(root_, ""); }),
            root_ + ": no class folders; expected FOLDER/CLASS/PICTURE");
  add("cat/1.jpg");
  EXPECT_EQ(usage_error([&] { image_folder(root_, ""); }),
            root_ + ": one class folder, cat; expected at least two");
  for (const std::string name : {"u", "v", "w", "x", "y", "z"}) add(name + "/notes.txt");
  EXPECT_EQ(usage_error([&] { image_folder(root_, ""); }),
            root_ +
                ": no picture (.jpg, .jpeg, .png) in class folder u, v, w, x, y and 1 more; fill "
                "it or remove it");
  EXPECT_EQ(data_error([&] { image_folder(root_ + "/none", ""); }),
            root_ + "/none: cannot open the folder: No such file or directory");
  EXPECT_EQ(data_error([&] { image_folder(root_ + "/cat/1.jpg", ""); }),
            root_ + "/cat/1.jpg: cannot open the folder: Not a directory");
}

TEST_F(ImageFolderTest, RefusesFoldersThatMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "permissions do not bind this user";
  add("a/1.jpg");
  add("b/sub/1.jpg");
  fs::permissions(root_ + "/b/sub", fs::perms::none);
  EXPECT_EQ(data_error([&] { image_folder(root_, ""); }),
            root_ + "/b/sub: cannot open the folder: Permission denied");
  fs::permissions(root_ + "/b/sub", fs::perms::owner_all);
}

TEST_F(ImageFolderTest, ReadingNeverBlocksAndNamesTheFile) {
  add("a/1.jpg", "content");
  add("b/1.jpg");
  const auto source = image_folder(root_, "");
  Bytes bytes;
  EXPECT_EQ(data_error([&] { source->read(0, bytes, 6); }),
            root_ + "/a/1.jpg: 7 bytes, expected at most 6");
  fs::remove(root_ + "/a/1.jpg");
  ASSERT_EQ(::mkfifo((root_ + "/a/1.jpg").c_str(), 0600), 0);
  EXPECT_EQ(data_error([&] { source->read(0, bytes, 100); }),
            root_ + "/a/1.jpg: expected a regular file");
  add("b/1.jpg", "");
  source->read(1, bytes, 100);
  EXPECT_TRUE(bytes.empty());
}

TEST_F(ImageFolderTest, LinksCannotMultiplyForEver) {
  // 2^30 paths to one file: refused by the number of folders, in time.
  add("z/1.jpg");
  add("a/1.jpg");
  for (int level = 0; level < 30; ++level) {
    const std::string here = root_ + "/.l" + std::to_string(level);
    fs::create_directory(here);
    const std::string next = "../.l" + std::to_string(level + 1);
    fs::create_directory_symlink(next, here + "/x");
    fs::create_directory_symlink(next, here + "/y");
  }
  fs::create_directory(root_ + "/.l30");
  fs::create_directory_symlink(".l0", root_ + "/bomb");
  EXPECT_NE(data_error([&] { index_folders(root_, 10000); }).find("more than 10000 folders"),
            std::string::npos);
}

TEST_F(ImageFolderTest, FingerprintFollowsNamesAlone) {
  add("a/1.jpg");
  add("b/1.jpg");
  const uint64_t before = image_folder(root_, "")->fingerprint();
  add("a/1.jpg", "other content");
  add("a/.hidden");
  fs::create_directory(root_ + "/a/empty");
  EXPECT_EQ(image_folder(root_, "")->fingerprint(), before);
  fs::rename(root_, folder_.path() + "/moved");
  EXPECT_EQ(image_folder(folder_.path() + "/moved", "")->fingerprint(), before);
  fs::rename(folder_.path() + "/moved", root_);
  fs::rename(root_ + "/a/1.jpg", root_ + "/a/2.jpg");
  const uint64_t renamed = image_folder(root_, "")->fingerprint();
  EXPECT_NE(renamed, before);
  fs::rename(root_ + "/a/2.jpg", root_ + "/a/1.jpg");
  fs::rename(root_ + "/b", root_ + "/c");
  EXPECT_NE(image_folder(root_, "")->fingerprint(), before);
  EXPECT_NE(image_folder(root_, "")->fingerprint(), renamed);
}

TEST_F(ImageFolderTest, WorksWithFewDescriptors) {
  for (int i = 0; i < 40; ++i) add("a/" + std::string(1, static_cast<char>('A' + i)) + "/1.jpg");
  add("b/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/1.jpg");
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const rlimit few{32, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  int64_t count = 0;
  EXPECT_NO_THROW(count = image_folder(root_, cache_)->count());
  ::setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_EQ(count, 41);
}

TEST_F(ImageFolderTest, KeepsAnIndexUntilAFolderChanges) {
  add("a/sub/1.jpg");
  add("a/note.txt");
  add("b/1.jpg");
  // Just written: the same mtime could still hide a change.
  image_folder(root_, cache_);
  EXPECT_EQ(cached_files(), 0U);
  settle();
  const auto first = image_folder(root_, cache_);
  ASSERT_EQ(cached_files(), 1U);

  // An index made anew would be written anew.
  const std::string kept = fs::directory_iterator(cache_)->path().string();
  const auto written = stamp_of(kept);
  const auto again = image_folder(root_, cache_);
  EXPECT_EQ(stamp_of(kept), written);
  EXPECT_EQ(names(*again), names(*first));
  EXPECT_EQ(again->class_names(), first->class_names());
  EXPECT_EQ(again->fingerprint(), first->fingerprint());
  EXPECT_EQ(again->skipped().suffix.first, (std::vector<std::string>{"a/note.txt"}));
  EXPECT_EQ(again->label(1), 1);

  add("a/sub/2.jpg");
  EXPECT_EQ(image_folder(root_, cache_)->count(), 3);
  fs::remove(root_ + "/a/sub/2.jpg");
  EXPECT_EQ(image_folder(root_, cache_)->count(), 2);
  add("c/1.jpg");
  EXPECT_EQ(image_folder(root_, cache_)->class_names().size(), 3U);
  fs::remove_all(root_ + "/c");
  // A folder's mtime that is set back does not hide a change.
  const struct utimbuf old_times { 1'000'000'000, 1'000'000'000 };
  add("b/2.jpg");
  ::utime((root_ + "/b").c_str(), &old_times);
  EXPECT_EQ(image_folder(root_, cache_)->count(), 3);
}

TEST_F(ImageFolderTest, BrokenOrForeignCachesAreRebuilt) {
  add("a/1.jpg");
  add("b/1.jpg");
  settle();
  image_folder(root_, cache_);
  ASSERT_EQ(cached_files(), 1U);
  const std::string kept = fs::directory_iterator(cache_)->path().string();
  std::ifstream file(kept, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (size_t at = 0; at < whole.size(); at += 13) {
    std::string bent = whole;
    bent[at] = static_cast<char>(bent[at] ^ 4);
    if (at % 3 == 0) bent.resize(at);
    folder_.write("cache/" + fs::path(kept).filename().string(), bytes_of(bent));
    ASSERT_EQ(image_folder(root_, cache_)->count(), 2) << at;
  }
  // Rebuilt means written anew.
  std::ifstream after(kept, std::ios::binary);
  const std::string rebuilt((std::istreambuf_iterator<char>(after)),
                            std::istreambuf_iterator<char>());
  EXPECT_EQ(rebuilt, whole);
}

TEST_F(ImageFolderTest, ACacheThatCannotBeWrittenIsNoError) {
  add("a/1.jpg");
  add("b/1.jpg");
  settle();
  folder_.write("file", {1});
  EXPECT_EQ(image_folder(root_, folder_.path() + "/file/cache")->count(), 2);
  EXPECT_EQ(image_folder(root_, "/proc/cache")->count(), 2);
  EXPECT_EQ(image_folder(root_, "")->count(), 2);
}

}  // namespace
}  // namespace pal
