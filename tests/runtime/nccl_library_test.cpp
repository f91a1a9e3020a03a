#include "runtime/communicator/nccl_library.h"

#include <gtest/gtest.h>

#include "runtime/communicator/nccl_communicator.h"
#include "runtime/cuda.h"
#include "tests/support/environment.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

TEST(NcclLibrary, IsLoadedWhenItIsUsedOrSaidToBeMissing) {
  if (cuda::emulated()) {
    EXPECT_EQ(nccl_version(), "2.28.9");
    return;
  }
  // Whether the build lacks it or the machine.
  const testing::Environment nowhere("PALINDROME_NCCL_LIBRARY", "/nonexistent/libnccl.so.2");
  testing::expect_error(ErrorKind::environment, "use --comm cpu", [] { nccl_version(); });
  testing::expect_error(ErrorKind::environment, "use --comm cpu", [] { nccl_symbol("ncclSend"); });
}

TEST(NcclLibrary, ACommunicatorWithoutItIsAnError) {
  if (cuda::emulated()) GTEST_SKIP() << "the emulator has it";
  const testing::Environment nowhere("PALINDROME_NCCL_LIBRARY", "/nonexistent");
  SingleCommunicator single;
  EXPECT_THROW(NcclCommunicator{single}, Error);
}

}  // namespace
}  // namespace pal
