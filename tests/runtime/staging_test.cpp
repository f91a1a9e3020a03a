#include "runtime/staging.h"

#include <gtest/gtest.h>

#include "tests/support/numeric.h"

namespace pal {
namespace {

// With a device: tests/cuda/staging_cuda_test.cpp.
TEST(StagingRing, NeedsADevice) {
  if (cuda::device_count() > 0) GTEST_SKIP() << "this machine has a GPU";
  StagingRing ring;
  testing::expect_error(ErrorKind::environment, "cuda", [&] { ring.acquire(16); });
}

}  // namespace
}  // namespace pal
