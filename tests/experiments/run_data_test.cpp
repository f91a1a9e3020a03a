#include "experiments/command_line/run_data.h"

#include <gtest/gtest.h>

#include "runtime/error.h"
#include "runtime/file.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

struct RunDataTest : ::testing::Test {
  RunDataTest() { make_folders(folder.file("run/checkpoints")); }
  void config(const std::string& text) const { write_atomic(folder.file("run/config.toml"), text); }
  /// The options of a program that named no data.
  DataOptions taken(const std::string& trained_on) const {
    DataOptions options;
    ::testing::internal::CaptureStderr();
    try {
      take_run_data(options, checkpoint, trained_on);
    } catch (...) {
      ::testing::internal::GetCapturedStderr();
      throw;
    }
    ::testing::internal::GetCapturedStderr();
    return options;
  }

  testing::TemporaryFolder folder;
  std::string checkpoint = folder.file("run/checkpoints/best");
};

TEST_F(RunDataTest, StandsInTheConfigOfTheRun) {
  EXPECT_FALSE(run_data(checkpoint).has_value()) << "no config.toml";
  config("lr = 0.1\n");
  EXPECT_FALSE(run_data(checkpoint).has_value()) << "no data in it";
  config("dataset = \"/pictures of mine\"\nlr = 0.1\nclass-names = \"names.txt\"\n");
  const auto data = run_data(checkpoint);
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(data->dataset, "/pictures of mine");
  EXPECT_EQ(data->class_names, "names.txt");
  EXPECT_EQ(data->config, folder.file("run/config.toml"));
  config("dataset = \"digits\"\ndir = \"/there\"\n");
  EXPECT_EQ(run_data(checkpoint)->folder, "/there");
  config("dir = \"/pictures\"\n");
  EXPECT_EQ(run_data(checkpoint)->dataset, "/pictures");
  EXPECT_FALSE(run_data(folder.file("run/best")).has_value()) << "not in a run's checkpoints";
  config("dataset = ");
  EXPECT_THROW(run_data(checkpoint), Error);
}

TEST_F(RunDataTest, IsTakenWhereNothingElseNamesData) {
  const std::string pictures = folder.file("pictures");
  make_folders(pictures);
  write_atomic(folder.file("names.txt"), "a\nb\n");
  config("dataset = \"" + pictures + "\"\nclass-names = \"" + folder.file("names.txt") + "\"\n");
  EXPECT_EQ(taken("folder").dataset, pictures);
  EXPECT_EQ(taken("folder").class_names, folder.file("names.txt"));
  EXPECT_EQ(taken("").dataset, pictures);
  EXPECT_EQ(taken("fashion-mnist").dataset, "") << "the checkpoint is of another set";
  DataOptions named;
  named.folder = "elsewhere";
  take_run_data(named, checkpoint, "folder");
  EXPECT_EQ(named.dataset, "");
  config("dataset = \"digits\"\ndir = \"/there\"\n");
  EXPECT_EQ(taken("digits").dataset, "digits");
  EXPECT_EQ(taken("digits").folder, "/there");
  config("dataset = \"" + folder.file("gone") + "\"\n");
  try {
    taken("folder");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("name the folder"), std::string::npos);
  }
}

}  // namespace
}  // namespace pal
