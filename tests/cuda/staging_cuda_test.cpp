#include "runtime/staging.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "tests/cuda/parity.h"

namespace pal {
namespace {

TEST(StagingRing, TakesTurnsAndGrows) {
  StagingRing ring;
  std::vector<void*> buffers;
  for (int i = 0; i < 2 * StagingRing::kDepth; ++i) {
    buffers.push_back(ring.acquire(100));
    // Without a submission the buffer is still the caller's.
    EXPECT_EQ(ring.acquire(60), buffers.back());
    ring.submitted();
  }
  EXPECT_EQ(std::set<void*>(buffers.begin(), buffers.end()).size(), size_t{StagingRing::kDepth});
  for (size_t i = 0; i < StagingRing::kDepth; ++i)
    EXPECT_EQ(buffers[i], buffers[i + StagingRing::kDepth]);
  std::memset(ring.acquire(5000), 1, 5000);
}

TEST(StagingRing, NeverOverwritesWhatTheDeviceStillReads) {
  constexpr int64_t kBytes = 1 << 20;
  StagingRing ring;
  std::vector<Tensor> arrived;
  for (int i = 0; i < 12; ++i) {
    void* staged = ring.acquire(kBytes);
    std::memset(staged, i, kBytes);
    arrived.push_back(Tensor::empty({kBytes}, DType::u8, Tag::data, test::gpu()));
    cuda::copy_to_device(arrived.back().raw(), kBytes, staged, kBytes, kBytes, 1);
    ring.submitted();
  }
  for (int i = 0; i < 12; ++i) {
    const Tensor wanted = Tensor::empty({kBytes}, DType::u8, Tag::data, Device());
    std::memset(wanted.raw(), i, kBytes);
    test::expect_same(wanted, arrived[static_cast<size_t>(i)], "upload " + std::to_string(i));
  }
}

}  // namespace
}  // namespace pal
