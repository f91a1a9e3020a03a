#include "runtime/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "runtime/parallel.h"

namespace pal {
namespace {

struct KnownAnswer {
  std::array<uint32_t, 4> counter;
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> result;
};

// philox4x32, 10 rounds, from the known-answer file of Random123 (Salmon et al. 2011).
const KnownAnswer kAnswers[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};

TEST(Philox, KnownAnswers) {
  for (const KnownAnswer& known : kAnswers) {
    const uint64_t seed = (static_cast<uint64_t>(known.key[1]) << 32) | known.key[0];
    const uint64_t stream = (static_cast<uint64_t>(known.counter[3]) << 32) | known.counter[2];
    const Philox random(seed, static_cast<RandomPurpose>(known.counter[1]), stream);
    EXPECT_EQ(random.words(known.counter[0]), known.result);
  }
}

TEST(Philox, PurposesSeedsAndStreamsNeverShareANumber) {
  std::set<std::array<uint32_t, 4>> seen;
  size_t drawn = 0;
  for (const uint64_t seed : {0ULL, 1ULL, 1ULL << 32})
    for (uint32_t purpose = 0; purpose <= static_cast<uint32_t>(RandomPurpose::monitor); ++purpose)
      for (const uint64_t stream : {0ULL, 1ULL, 1ULL << 32})
        for (const uint32_t index : {0U, 1U, 2U, 0xffffffffU}) {
          seen.insert(Philox(seed, static_cast<RandomPurpose>(purpose), stream).words(index));
          ++drawn;
        }
  EXPECT_EQ(seen.size(), drawn);
}

TEST(Philox, ThreadsDoNotChangeTheNumbers) {
  const Philox random(7, RandomPurpose::test);
  const auto draw = [&](int threads) {
    set_thread_count(threads);
    std::vector<float> values(4000);
    parallel_for(1000, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        for (size_t k = 0; k < 4; ++k)
          values[static_cast<size_t>(4 * i) + k] = random.normal4(static_cast<uint32_t>(i))[k];
    });
    return values;
  };
  const auto one = draw(1);
  EXPECT_EQ(draw(3), one);
  EXPECT_EQ(draw(2), one);
}

TEST(Philox, UniformNumbersFillTheUnitInterval) {
  EXPECT_EQ(uniform_of(0), 0.0F);
  EXPECT_EQ(uniform_of(0xffffffffU), 1.0F - 0x1p-24F);
  const Philox random(1, RandomPurpose::test);
  double sum = 0.0;
  double squares = 0.0;
  constexpr int kDraws = 40000;
  for (uint32_t i = 0; i < kDraws / 4; ++i)
    for (const float u : random.uniform4(i)) {
      ASSERT_TRUE(u >= 0.0F && u < 1.0F);
      sum += static_cast<double>(u);
      squares += static_cast<double>(u) * static_cast<double>(u);
    }
  // Four standard deviations of the mean of 40000 uniform numbers and of their squares.
  EXPECT_NEAR(sum / kDraws, 0.5, 4 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 4 * std::sqrt(4.0 / 45 / kDraws));
}

TEST(Philox, NormalNumbersHaveUnitVariance) {
  const Philox random(2, RandomPurpose::test);
  double sum = 0.0;
  double squares = 0.0;
  int beyond_two = 0;
  constexpr int kDraws = 40000;
  for (uint32_t i = 0; i < kDraws / 4; ++i)
    for (const float value : random.normal4(i)) {
      ASSERT_TRUE(std::isfinite(value));
      sum += static_cast<double>(value);
      squares += static_cast<double>(value) * static_cast<double>(value);
      beyond_two += std::abs(value) > 2.0F ? 1 : 0;
    }
  EXPECT_NEAR(sum / kDraws, 0.0, 4 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0, 4 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(static_cast<double>(beyond_two) / kDraws, 0.0455, 0.0042);
}

TEST(Philox, BelowStaysBelow) {
  const Philox random(3, RandomPurpose::shuffle);
  std::vector<int> counts(7);
  for (uint32_t i = 0; i < 7000; ++i) {
    EXPECT_EQ(random.below(i, 1), 0U);
    ++counts[random.below(i, 7)];
    EXPECT_LT(random.below(i, uint64_t{1} << 63), uint64_t{1} << 63);
  }
  // Four standard deviations of a count of 1000.
  for (const int count : counts) EXPECT_NEAR(count, 1000, 118);
}

}  // namespace
}  // namespace pal
