#include "runtime/error.h"

#include <gtest/gtest.h>

#include "runtime/device.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;

TEST(Error, KindsAreTheExitCodesOfThePrograms) {
  EXPECT_EQ(exit_code(ErrorKind::failure), 1);
  EXPECT_EQ(exit_code(ErrorKind::usage), 2);
  EXPECT_EQ(exit_code(ErrorKind::data), 3);
  EXPECT_EQ(exit_code(ErrorKind::environment), 4);
  EXPECT_EQ(exit_code(ErrorKind::numerics), 5);
  EXPECT_EQ(exit_code(ErrorKind::peer), 6);
}

TEST(Error, CarriesItsFormattedText) {
  try {
    fail(ErrorKind::data, "{}: {} bytes", "file", 3);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::data);
    EXPECT_STREQ(error.what(), "file: 3 bytes");
  }
  EXPECT_NO_THROW(expect(true, "never"));
  expect_error(ErrorKind::usage, "got 4", [] { expect(false, "got {}", 4); });
}

TEST(Device, NamesAreParsed) {
  EXPECT_TRUE(parse_device("auto").is_cpu());
  EXPECT_TRUE(parse_device("cpu").is_cpu());
  for (const char* text : {"", "gpu", "CPU", "cuda:", "cuda:x", "cuda:1x", "cuda1"})
    expect_error(ErrorKind::usage, "device: expected auto, cpu or cuda[:N]",
                 [&] { (void)parse_device(text); });
}

}  // namespace
}  // namespace pal
