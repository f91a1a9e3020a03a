#include "experiments/training/choices_metadata.h"

#include <gtest/gtest.h>

#include "kernels/library/library_choices.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(ChoicesMetadata, AreWrittenAndRead) {
  choose_algorithm("gpu of metadata", "a problem", "an algorithm");
  std::map<std::string, std::string> metadata;
  export_library_choices(metadata);
  choose_algorithm("gpu of metadata", "a problem", "another");
  import_library_choices(metadata);
  EXPECT_EQ(chosen_algorithm("gpu of metadata", "a problem"), "an algorithm");
  import_library_choices({});
}

TEST(ChoicesMetadata, OfConvolutionsAloneAreReadToo) {
  import_library_choices(
      {{"convolution_choices", R"({"gpu of metadata": {"a convolution": "engine 7"}})"}});
  EXPECT_EQ(chosen_algorithm("gpu of metadata", "a convolution"), "engine 7");
  testing::expect_error(ErrorKind::data, "library choices: expected JSON", [] {
    import_library_choices({{"convolution_choices", "[]"}});
  });
}

}  // namespace
}  // namespace pal
