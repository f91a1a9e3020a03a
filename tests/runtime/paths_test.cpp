#include "runtime/paths.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

TEST(Paths, TellWhatLiesThere) {
  const TemporaryFolder folder;
  write_atomic(folder.file("one"), "1");
  fs::create_symlink("one", folder.file("link"));
  fs::create_symlink("none", folder.file("dangling"));
  for (const char* name : {"one", "link"}) {
    EXPECT_TRUE(path_exists(folder.file(name))) << name;
    EXPECT_TRUE(path_is_file(folder.file(name))) << name;
    EXPECT_FALSE(path_is_folder(folder.file(name))) << name;
  }
  EXPECT_FALSE(path_exists(folder.file("dangling")));
  EXPECT_FALSE(path_exists(folder.file("one/inner")));
  EXPECT_TRUE(path_is_folder(folder.path()));
  EXPECT_EQ(folder_entries(folder.path()).size(), 3U);
  EXPECT_TRUE(folder_entries(folder.file("none")).empty());
}

TEST(Paths, FollowLinks) {
  const TemporaryFolder folder;
  write_atomic(folder.file("one"), "1");
  fs::create_symlink("one", folder.file("link"));
  fs::create_symlink("none", folder.file("dangling"));
  EXPECT_EQ(canonical_path(folder.file("link")), canonical_path(folder.file("one")));
  EXPECT_EQ(canonical_path(folder.file("a/../one")), canonical_path(folder.file("one")));
  EXPECT_EQ(link_target(folder.file("link")), fs::path("one"));
  EXPECT_EQ(link_target(folder.file("dangling")), fs::path("none"));
  EXPECT_EQ(link_target(folder.file("one")), std::nullopt);
  EXPECT_EQ(link_target(folder.file("nothing")), std::nullopt);
}

}  // namespace
}  // namespace pal
