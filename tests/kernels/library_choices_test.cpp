#include "kernels/library/library_choices.h"

#include <gtest/gtest.h>

#include "kernels/library/cuda_settings.h"
#include "runtime/file.h"
#include "tests/support/environment.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::Environment;
using testing::expect_error;
using testing::TemporaryFolder;

TEST(LibraryChoices, AreExportedAndImported) {
  EXPECT_EQ(chosen_algorithm("gpu a", "conv 1"), std::nullopt);
  choose_algorithm("gpu a", "conv 1", "engine 7 2=1");
  const std::string exported = library_choices();
  EXPECT_NE(exported.find("engine 7 2=1"), std::string::npos) << exported;
  set_library_choices(R"({"gpu a": {"conv 1": "engine 8"}, "gpu b": {"conv 2": "engine 9"}})");
  EXPECT_EQ(chosen_algorithm("gpu a", "conv 1"), "engine 8");
  EXPECT_EQ(chosen_algorithm("gpu b", "conv 2"), "engine 9");
  EXPECT_EQ(chosen_algorithm("gpu b", "conv 1"), std::nullopt);
  set_library_choices(exported);
  EXPECT_EQ(chosen_algorithm("gpu a", "conv 1"), "engine 7 2=1");
  set_library_choices("{}");
  EXPECT_EQ(chosen_algorithm("gpu b", "conv 2"), "engine 9");
}

TEST(LibraryChoices, RefusesWhatIsNoTable) {
  const std::string before = library_choices();
  for (const char* text : {"", "{", "[]", "7", R"({"gpu": 7})", R"({"gpu": {"conv": 7}})",
                           R"({"gpu": {"conv": "engine"}, "other": []})"})
    expect_error(ErrorKind::data, "library choices: expected JSON",
                 [&] { set_library_choices(text); });
  EXPECT_EQ(library_choices(), before);
}

TEST(LibraryChoices, FilesAreReadLenientlyAndWrittenAnew) {
  const TemporaryFolder folder;
  const std::string path = folder.file("deep/er/choices.json");
  EXPECT_TRUE(read_choices(path).empty());
  save_choice(path, "conv 1", "engine 1");
  save_choice(path, "conv 2", "engine 2");
  save_choice(path, "conv 1", "engine 3");
  const AlgorithmChoices wanted = {{"conv 1", "engine 3"}, {"conv 2", "engine 2"}};
  EXPECT_EQ(read_choices(path), wanted);
  for (const char* broken : {"", "{\"conv 1\": ", "[1, 2]", "{\"conv 1\": 5}"}) {
    write_atomic(path, broken);
    EXPECT_TRUE(read_choices(path).empty()) << broken;
    save_choice(path, "conv 3", "engine 4");
    EXPECT_EQ(read_choices(path), (AlgorithmChoices{{"conv 3", "engine 4"}})) << broken;
  }
  // No place to write to is no error: the choice holds for this process.
  write_atomic(folder.file("file"), "x");
  save_choice(folder.file("file/choices.json"), "conv 1", "engine 1");
}

TEST(LibraryChoices, HaveAFilePerDevice) {
  const TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path());
  EXPECT_EQ(choices_path("nvidia-h200-sm90-cudnn9.19.0"),
            folder.file("palindrome/algorithms-nvidia-h200-sm90-cudnn9.19.0.json"));
}

}  // namespace
}  // namespace pal
