#include "kernels/library/conv_choices.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/library/cuda_settings.h"
#include "runtime/file.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

TEST(ConvChoices, AreExportedAndImported) {
  EXPECT_EQ(chosen_engine("gpu a", "conv 1"), std::nullopt);
  choose_engine("gpu a", "conv 1", "engine 7 2=1");
  const std::string exported = convolution_choices();
  EXPECT_NE(exported.find("engine 7 2=1"), std::string::npos) << exported;
  set_convolution_choices(R"({"gpu a": {"conv 1": "engine 8"}, "gpu b": {"conv 2": "engine 9"}})");
  EXPECT_EQ(chosen_engine("gpu a", "conv 1"), "engine 8");
  EXPECT_EQ(chosen_engine("gpu b", "conv 2"), "engine 9");
  EXPECT_EQ(chosen_engine("gpu b", "conv 1"), std::nullopt);
  set_convolution_choices(exported);
  EXPECT_EQ(chosen_engine("gpu a", "conv 1"), "engine 7 2=1");
  set_convolution_choices("{}");
  EXPECT_EQ(chosen_engine("gpu b", "conv 2"), "engine 9");
}

TEST(ConvChoices, RefusesWhatIsNoTable) {
  const std::string before = convolution_choices();
  for (const char* text : {"", "{", "[]", "7", R"({"gpu": 7})", R"({"gpu": {"conv": 7}})",
                           R"({"gpu": {"conv": "engine"}, "other": []})"})
    expect_error(ErrorKind::data, "convolution choices: expected JSON",
                 [&] { set_convolution_choices(text); });
  EXPECT_EQ(convolution_choices(), before);
}

TEST(ConvChoices, FilesAreReadLenientlyAndWrittenAnew) {
  const TemporaryFolder folder;
  const std::string path = folder.file("deep/er/choices.json");
  EXPECT_TRUE(read_choices(path).empty());
  save_choice(path, "conv 1", "engine 1");
  save_choice(path, "conv 2", "engine 2");
  save_choice(path, "conv 1", "engine 3");
  const EngineChoices wanted = {{"conv 1", "engine 3"}, {"conv 2", "engine 2"}};
  EXPECT_EQ(read_choices(path), wanted);
  for (const char* broken : {"", "{\"conv 1\": ", "[1, 2]", "{\"conv 1\": 5}"}) {
    write_atomic(path, broken);
    EXPECT_TRUE(read_choices(path).empty()) << broken;
    save_choice(path, "conv 3", "engine 4");
    EXPECT_EQ(read_choices(path), (EngineChoices{{"conv 3", "engine 4"}})) << broken;
  }
  // No place to write to is no error: the choice holds for this process.
  write_atomic(folder.file("file"), "x");
  save_choice(folder.file("file/choices.json"), "conv 1", "engine 1");
}

TEST(ConvChoices, HaveAFilePerDevice) {
  const TemporaryFolder folder;
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("XDG_CACHE_HOME", folder.path().c_str(), 1);
  EXPECT_EQ(choices_path("nvidia-h200-sm90-cudnn9.19.0"),
            folder.file("palindrome/convolutions-nvidia-h200-sm90-cudnn9.19.0.json"));
  if (before == nullptr)
    ::unsetenv("XDG_CACHE_HOME");
  else
    ::setenv("XDG_CACHE_HOME", saved.c_str(), 1);
}

}  // namespace
}  // namespace pal
