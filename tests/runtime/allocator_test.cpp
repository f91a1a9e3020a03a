#include "runtime/allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "runtime/byte_count.h"
#include "runtime/tensor.h"
#include "tests/support/numeric.h"

namespace pal {
namespace {

using testing::expect_error;

constexpr int64_t kMiB = int64_t{1} << 20;

Tensor bytes(int64_t count, Tag tag) { return Tensor::empty({count}, DType::u8, tag); }

/// Whatever a failing test leaves behind, the next one starts without a limit.
class AllocatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Allocator::cpu().reset_peaks();
    before_ = Allocator::cpu().stats();
  }
  void TearDown() override { Allocator::cpu().set_limit(0); }
  int64_t grown(Tag tag) const {
    return Allocator::cpu().stats().current_of(tag) - before_.current_of(tag);
  }
  MemoryStats before_;
};

TEST_F(AllocatorTest, CountsByTagAndKeepsPeaks) {
  {
    const Tensor a = bytes(100, Tag::stream);
    const Tensor b = bytes(64, Tag::parameters);
    EXPECT_EQ(grown(Tag::stream), 128);  // rounded to 64
    EXPECT_EQ(grown(Tag::parameters), 64);
    const Tensor shared = a;
    EXPECT_EQ(grown(Tag::stream), 128);
  }
  EXPECT_EQ(grown(Tag::stream), 0);
  EXPECT_EQ(grown(Tag::parameters), 0);
  const MemoryStats stats = Allocator::cpu().stats();
  EXPECT_EQ(stats.peak_of(Tag::stream), before_.current_of(Tag::stream) + 128);
  EXPECT_EQ(stats.peak_total, before_.current_total + 192);
  Allocator::cpu().reset_peaks();
  EXPECT_EQ(Allocator::cpu().stats().peak_of(Tag::stream), before_.current_of(Tag::stream));
  EXPECT_EQ(Allocator::cpu().stats().peak_total, before_.current_total);
}

TEST_F(AllocatorTest, ActivationsAreStreamSubnetAndWorkspaceTogether) {
  {
    const Tensor kept = bytes(1024, Tag::parameters);
    const Tensor stream = bytes(1024, Tag::stream);
    { const Tensor subnet = bytes(2048, Tag::subnet); }
    const Tensor workspace = bytes(512, Tag::workspace);
    const Tensor anchor = bytes(4096, Tag::anchors);
  }
  // stream and subnet lived together; subnet was gone when workspace came.
  EXPECT_EQ(Allocator::cpu().stats().peak_activations - before_.peak_activations, 3072);
}

TEST_F(AllocatorTest, ScopesGiveTheTag) {
  EXPECT_EQ(TagScope::current(), Tag::workspace);
  const TagScope outer(Tag::stream);
  {
    const TagScope inner(Tag::data);
    const Tensor x = Tensor::empty({64}, DType::u8);
    EXPECT_EQ(grown(Tag::data), 64);
    const Tensor copy = x.clone(Tag::anchors);
    EXPECT_EQ(grown(Tag::anchors), 64);
    // A scope belongs to its thread.
    Tag elsewhere = Tag::data;
    std::thread([&] { elsewhere = TagScope::current(); }).join();
    EXPECT_EQ(elsewhere, Tag::workspace);
  }
  EXPECT_EQ(TagScope::current(), Tag::stream);
}

TEST_F(AllocatorTest, ReleasedBlocksServeTheNextRequestOfTheirSize) {
  Allocator::cpu().trim();
  void* first = Allocator::cpu().allocate(100000, Tag::workspace);
  Allocator::cpu().release(first);
  void* second = Allocator::cpu().allocate(99000, Tag::stream);
  EXPECT_EQ(second, first);
  // A block far too large is not wasted on a small request.
  Allocator::cpu().release(second);
  void* small = Allocator::cpu().allocate(64, Tag::stream);
  EXPECT_NE(small, first);
  Allocator::cpu().release(small);
  EXPECT_EQ(grown(Tag::stream), 0);
  Allocator::cpu().trim();
}

TEST_F(AllocatorTest, EvenNoBytesGiveMemory) {
  void* nothing = Allocator::cpu().allocate(0, Tag::workspace);
  EXPECT_NE(nothing, nullptr);
  Allocator::cpu().release(nothing);
  Allocator::cpu().release(nullptr);
}

TEST_F(AllocatorTest, TheLimitNamesWhatIsInUse) {
  const Tensor held = bytes(3 * kMiB, Tag::subnet);
  Allocator::cpu().set_limit(before_.current_total + 4 * kMiB);
  expect_error(ErrorKind::environment, "subnet 3.0 MiB",
               [] { (void)bytes(2 * kMiB, Tag::stream); });
  expect_error(ErrorKind::environment, "2.0 MiB more for stream would exceed the limit",
               [] { (void)bytes(2 * kMiB, Tag::stream); });
  // The refusal changed nothing, and what fits still passes.
  EXPECT_EQ(grown(Tag::stream), 0);
  const Tensor fits = bytes(kMiB, Tag::stream);
  EXPECT_EQ(grown(Tag::stream), kMiB);
  Allocator::cpu().set_limit(0);
  const Tensor more = bytes(2 * kMiB, Tag::stream);
}

TEST_F(AllocatorTest, ARequestNoMachineCanServeIsAnError) {
  expect_error(ErrorKind::environment, "", [] { (void)bytes(int64_t{1} << 60, Tag::data); });
  expect_error(ErrorKind::environment, "",
               [] { (void)bytes(std::numeric_limits<int64_t>::max(), Tag::data); });
  Allocator::cpu().set_limit(before_.current_total + kMiB);
  expect_error(ErrorKind::environment, "would exceed the limit",
               [] { (void)bytes(std::numeric_limits<int64_t>::max(), Tag::data); });
  EXPECT_EQ(grown(Tag::data), 0);
}

TEST_F(AllocatorTest, ThreadsMayAllocateAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int64_t i = 0; i < 500; ++i) {
        const Tensor x = bytes(64 * (1 + (i * 7 + t) % 13), Tag::data);
        x.fill(static_cast<double>(t));
        ASSERT_EQ(x.data<uint8_t>()[x.numel() - 1], t);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(grown(Tag::data), 0);
}

TEST_F(AllocatorTest, TheTableHasALinePerUsedTag) {
  const Tensor held = bytes(5 * kMiB, Tag::optimizer);
  const std::string table = Allocator::cpu().stats().table();
  EXPECT_NE(table.find("optimizer 5.0 MiB (peak 5.0 MiB)"), std::string::npos) << table;
}

TEST_F(AllocatorTest, APoolKeepsItsBlocksToItself) {
  Tensor survivor;
  {
    Allocator::Pool pool{Device()};
    void* inside = nullptr;
    {
      const Allocator::PoolScope scope(pool);
      inside = bytes(kMiB, Tag::data).raw();
      EXPECT_EQ(pool.reserved(), kMiB);
      EXPECT_EQ(bytes(kMiB, Tag::data).raw(), inside);
      survivor = bytes(kMiB, Tag::data);
      survivor.fill(7.0);
    }
    EXPECT_NE(bytes(kMiB, Tag::data).raw(), inside);
    EXPECT_EQ(grown(Tag::data), kMiB);
  }
  EXPECT_EQ(survivor.data<uint8_t>()[kMiB - 1], 7);
}

TEST_F(AllocatorTest, KnowsWhatItHoldsForLater) {
  Allocator& allocator = Allocator::cpu();
  const auto held = [&] { return allocator.stats().reserved - before_.reserved; };
  allocator.trim();
  before_ = allocator.stats();
  allocator.reset_peaks();
  bytes(kMiB, Tag::data);
  EXPECT_EQ(held(), kMiB);
  EXPECT_FALSE(allocator.pooled());
  {
    Allocator::Pool pool{Device()};
    const Allocator::PoolScope scope(pool);
    EXPECT_TRUE(allocator.pooled());
    bytes(kMiB / 2, Tag::data);
    EXPECT_EQ(held(), kMiB / 2 * 3);
  }
  EXPECT_EQ(held(), kMiB);
  allocator.trim();
  EXPECT_EQ(held(), 0);
  EXPECT_EQ(allocator.stats().peak_reserved - before_.reserved, kMiB / 2 * 3);
}

TEST(FormatBytes, PicksTheUnit) {
  EXPECT_EQ(format_bytes(768), "768 B");
  EXPECT_EQ(format_bytes(12 * kMiB), "12.0 MiB");
  EXPECT_EQ(format_bytes(1536 * kMiB), "1.50 GiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
}

}  // namespace
}  // namespace pal
