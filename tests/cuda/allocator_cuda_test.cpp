// What the allocator does when the GPU has no memory left.
#include "runtime/allocator.h"

#include <gtest/gtest.h>

#include "runtime/cuda.h"
#include "tests/cuda/parity.h"
#include "tests/support/numeric.h"
#ifdef PAL_EMULATE_CUDA
#include "tests/emulator/control.h"
#endif

namespace pal::test {
namespace {

using testing::expect_error;

Tensor bytes(int64_t count) { return Tensor::empty({count}, DType::u8, Tag::workspace, gpu()); }
int64_t reserved() { return Allocator::of(gpu()).stats().reserved; }

TEST(CudaAllocator, KnowsWhatItHolds) {
  Allocator& allocator = Allocator::of(gpu());
  allocator.trim();
  const int64_t before = reserved();
  allocator.reset_peaks();
  {
    Allocator::Pool pool(gpu());
    {
      const Allocator::PoolScope scope(pool);
      EXPECT_TRUE(allocator.pooled());
      bytes(1 << 20);
    }
    EXPECT_FALSE(allocator.pooled());
    // Kept by the pool.
    EXPECT_EQ(reserved() - before, 1 << 20);
    bytes(1 << 19);
  }
  allocator.trim();
  EXPECT_EQ(reserved(), before);
  EXPECT_EQ(allocator.stats().peak_reserved - before, 3 << 19);
  const cuda::DeviceMemory memory = cuda::device_memory();
  EXPECT_GT(memory.total, 0);
  EXPECT_LE(memory.free, memory.total);
}

#ifdef PAL_EMULATE_CUDA
/// The device has so many bytes left while it lives.
class BytesLeft {
 public:
  explicit BytesLeft(int64_t count) {
    emulator::set_memory_limit(emulator::device_bytes() + static_cast<size_t>(count));
  }
  ~BytesLeft() { emulator::set_memory_limit(0); }
  BytesLeft(const BytesLeft&) = delete;
  BytesLeft& operator=(const BytesLeft&) = delete;
};

TEST(CudaAllocator, TakesBackWhatPoolsDoNotNeed) {
  Allocator::Pool pool(gpu());
  Tensor used;
  {
    const Allocator::PoolScope scope(pool);
    used = bytes(3000);
    used.zero();
    bytes(50000);
    bytes(70000);
  }
  EXPECT_EQ(pool.reserved(), 123000);
  const BytesLeft left(1000);
  bytes(900);
  EXPECT_EQ(pool.reserved(), 123000);
  bytes(1100);
  EXPECT_EQ(pool.reserved(), 3000);
  EXPECT_EQ(on_cpu(used).data<uint8_t>()[2999], 0);
  bytes(121000);
  expect_error(ErrorKind::environment, "are held", [] { bytes(121001); });
  // A pool's own blocks that are too small for it go, too.
  const Allocator::PoolScope scope(pool);
  bytes(20000);
  bytes(121000);
  EXPECT_EQ(pool.reserved(), 124000);
}

TEST(CudaAllocator, LeavesRecordingsAloneUnlessTheyAreForgotten) {
  int forgotten = 0;
  Allocator::Pool stays(gpu());
  Allocator::Pool goes(gpu(), [&] { ++forgotten; });
  for (Allocator::Pool* const pool : {&stays, &goes}) {
    const Allocator::PoolScope scope(*pool);
    bytes(10000);
    bytes(40000);
    const Allocator::RecordingScope recording(*pool);
    // The block that is there, and a new one.
    bytes(40000);
    bytes(20000);
  }
  EXPECT_EQ(stays.reserved(), 70000);
  const BytesLeft left(1000);
  bytes(21000);
  EXPECT_EQ(stays.reserved(), 60000);
  EXPECT_EQ(goes.reserved(), 60000);
  EXPECT_EQ(forgotten, 0);
  {
    // Inside its scope the recording may be in use.
    const Allocator::PoolScope scope(goes);
    expect_error(ErrorKind::environment, "the GPU refused", [] { bytes(80000); });
  }
  EXPECT_EQ(forgotten, 0);
  bytes(80000);
  EXPECT_EQ(forgotten, 1);
  EXPECT_EQ(goes.reserved(), 0);
  EXPECT_EQ(stays.reserved(), 60000);
  expect_error(ErrorKind::environment, "of its", [] { bytes(90000); });
  stays.drop_recording();
  bytes(90000);
  EXPECT_EQ(stays.reserved(), 0);
  EXPECT_EQ(forgotten, 1);
}
#endif

}  // namespace
}  // namespace pal::test
