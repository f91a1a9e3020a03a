// A golden run that finds no files must not pass for a green one.
#include "tests/support/golden.h"

namespace pal {
namespace {

TEST(GoldenSet, HasFiles) { EXPECT_FALSE(testing::golden_files("").empty()); }

}  // namespace
}  // namespace pal
