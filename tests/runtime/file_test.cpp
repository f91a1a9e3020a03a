#include "runtime/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "runtime/paths.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryFolder;

std::string content_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

std::span<const uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

int64_t entries_in(const std::string& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

/// Runs `body` in a child process and returns its wait status.
template <typename Body>
int status_of_child(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(WriteAtomic, ReplacesTheContent) {
  const TemporaryFolder folder;
  const std::string path = folder.file("data");
  write_atomic(path, "old");
  EXPECT_EQ(content_of(path), "old");
  write_atomic(path, [](const ByteSink& sink) {
    sink(as_bytes("new "));
    sink({});
    sink(as_bytes(std::string(100000, 'x')));
  });
  EXPECT_EQ(content_of(path), "new " + std::string(100000, 'x'));
  write_atomic(path, "");
  EXPECT_EQ(content_of(path), "");
  EXPECT_EQ(entries_in(folder.path()), 1);
}

TEST(WriteAtomic, AFailingProducerLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("data");
  write_atomic(path, "old");
  EXPECT_THROW(write_atomic(path,
                            [](const ByteSink& sink) {
                              sink(as_bytes("half of the n"));
                              throw std::domain_error("no more");
                            }),
               std::domain_error);
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(entries_in(folder.path()), 1);
}

TEST(WriteAtomic, ErrorsNameThePathAndTheReason) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::environment, "nowhere/data: cannot write: No such file or directory",
               [&] { write_atomic(folder.file("nowhere/data"), "x"); });
  fs::create_directory(folder.file("taken"));
  expect_error(ErrorKind::environment, "taken: cannot rename into place",
               [&] { write_atomic(folder.file("taken"), "x"); });
  EXPECT_EQ(entries_in(folder.path()), 1);
}

TEST(WriteAtomic, AFullFileSystemLeavesTheOldFile) {
  // A limit on file sizes stands for a full disk; it binds the child alone.
  const TemporaryFolder folder;
  const std::string path = folder.file("data");
  write_atomic(path, "old");
  const int status = status_of_child([&] {
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::signal(SIGXFSZ, SIG_IGN);
    try {
      write_atomic(path, std::string(5000, 'x'));
    } catch (const Error& error) {
      ::_exit(error.kind() == ErrorKind::environment &&
                      std::string(error.what()).find("File too large") != std::string::npos
                  ? 7
                  : 8);
    }
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(content_of(path), "old");
  EXPECT_EQ(entries_in(folder.path()), 1);
}

TEST(WriteAtomic, AKillInTheMiddleLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.file("data");
  write_atomic(path, "old");
  constexpr int kPieces = 4;
  for (int kill_at = 0; kill_at <= kPieces; ++kill_at) {
    const int status = status_of_child([&] {
      write_atomic(path, [&](const ByteSink& sink) {
        for (int piece = 0; piece <= kPieces; ++piece) {
          if (piece == kill_at) ::_exit(9);
          sink(as_bytes("new"));
        }
      });
    });
    ASSERT_EQ(WEXITSTATUS(status), 9);
    EXPECT_EQ(content_of(path), "old");
  }
  EXPECT_GT(entries_in(folder.path()), 1);
  remove_leftovers(folder.path());
  EXPECT_EQ(entries_in(folder.path()), 1);
  EXPECT_EQ(content_of(path), "old");
}

TEST(RemoveLeftover, OfOneFileAlone) {
  const TemporaryFolder folder;
  for (const char* name : {"kept", "kept.tmp-pal", "other.tmp-pal"})
    write_atomic(folder.file(name), "1");
  remove_leftover(folder.file("kept"));
  EXPECT_TRUE(path_exists(folder.file("kept")));
  EXPECT_FALSE(path_exists(folder.file("kept.tmp-pal")));
  EXPECT_TRUE(path_exists(folder.file("other.tmp-pal")));
}

TEST(RemoveFile, WarnsOfWhatStays) {
  const TemporaryFolder folder;
  write_atomic(folder.file("old"), "1");
  ::testing::internal::CaptureStderr();
  remove_file(folder.file("old"));
  remove_file(folder.file("old"));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(entries_in(folder.path()), 0);
  fs::create_directories(folder.file("full/inner"));
  ::testing::internal::CaptureStderr();
  remove_file(folder.file("full"));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find(
                "full: cannot remove the file: Directory not empty"),
            std::string::npos);
}

TEST(LinkAtomic, MakesAndReplacesALink) {
  const TemporaryFolder folder;
  write_atomic(folder.file("one"), "1");
  write_atomic(folder.file("two"), "2");
  const std::string link = folder.file("last");
  link_atomic("one", link);
  EXPECT_EQ(content_of(link), "1");
  link_atomic("two", link);
  EXPECT_EQ(content_of(link), "2");
  EXPECT_EQ(fs::read_symlink(link), "two");
  EXPECT_EQ(entries_in(folder.path()), 3);
  expect_error(ErrorKind::environment, "cannot make the link",
               [&] { link_atomic("one", folder.file("nowhere/last")); });
  fs::create_directory(folder.file("taken"));
  expect_error(ErrorKind::environment, "taken: cannot rename into place",
               [&] { link_atomic("one", folder.file("taken")); });
  EXPECT_EQ(entries_in(folder.path()), 4);
}

TEST(ReadFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::data, "missing: no such file",
               [&] { (void)read_file(folder.file("missing")); });
  expect_error(ErrorKind::data, "expected a regular file", [&] { (void)read_file(folder.path()); });
  // A pipe without a writer must not hang.
  ASSERT_EQ(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  expect_error(ErrorKind::data, "expected a regular file",
               [&] { (void)read_file(folder.file("pipe")); });
  expect_error(ErrorKind::data, "expected a regular file", [] { (void)read_file("/dev/zero"); });
  write_atomic(folder.file("ten"), "0123456789");
  EXPECT_EQ(read_file(folder.file("ten"), 10).size(), 10U);
  expect_error(ErrorKind::data, "10 bytes, expected at most 9",
               [&] { (void)read_file(folder.file("ten"), 9); });
  fs::create_symlink("loop", folder.file("loop"));
  expect_error(ErrorKind::environment, "cannot open",
               [&] { (void)read_file(folder.file("loop")); });
}

TEST(Folders, AreMadeWithTheirParents) {
  const TemporaryFolder folder;
  const std::string deep = folder.file("a/b/c");
  make_folders(deep);
  make_folders(deep);
  EXPECT_TRUE(fs::is_directory(deep));
  EXPECT_GT(free_bytes(deep), 0);
  EXPECT_EQ(free_bytes(folder.file("missing")), -1);
  write_atomic(folder.file("file"), "x");
  expect_error(ErrorKind::environment, "cannot make the folder",
               [&] { make_folders(folder.file("file/below")); });
}

}  // namespace
}  // namespace pal
