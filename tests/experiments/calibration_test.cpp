#include "experiments/measures/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pal {
namespace {

ImageResult prediction(double confidence, bool right) {
  ImageResult r;
  r.confidence = confidence;
  r.rank = right ? 0 : 1;
  return r;
}

TEST(OneVersusAll, HasSeventeenBinsThatCoverTheUnitInterval) {
  OneVersusAll events;
  ASSERT_EQ(events.bins().size(), 17U);
  events.add(std::vector<double>{0.0, 1.0, 0.05, 0.0124999}, 1);
  EXPECT_EQ(events.bins().front().entries, 2);
  EXPECT_EQ(events.bins().back().entries, 1);
  EXPECT_EQ(events.bins().back().positives, 1);
  EXPECT_EQ(events.bins()[4].entries, 1) << "0.05 begins [0.05, 0.15)";
  EXPECT_NEAR(events.bins()[8].middle(), 0.5, 1e-12);
}

TEST(OneVersusAll, ComparesBinMiddlesWithHitRates) {
  OneVersusAll events;
  // 40 pairs (0.3, 0.7): the bin at 0.3 is hit 10 times, the one at 0.7 30 times.
  for (int i = 0; i < 40; ++i) events.add(std::vector<double>{0.3, 0.7}, i < 10 ? 0 : 1);
  EXPECT_NEAR(events.ece(), 0.05, 1e-12);
  EXPECT_NEAR(events.mce(), 0.05, 1e-12);
  // Twenty entries more elsewhere are too few to count.
  for (int i = 0; i < 20; ++i) events.add(std::vector<double>{0.5}, 0);
  EXPECT_NEAR(events.mce(), 0.05, 1e-12);
  events.add(std::vector<double>{0.5}, 0);
  EXPECT_NEAR(events.mce(), 0.5, 1e-12);
  EXPECT_NEAR(events.ece(), (80 * 0.05 + 21 * 0.5) / 101, 1e-12);
}

TEST(OneVersusAll, IsZeroWithoutFullBins) {
  OneVersusAll events;
  events.add(std::vector<double>{0.3, 0.7}, 0);
  EXPECT_EQ(events.ece(), 0.0);
  EXPECT_EQ(events.mce(), 0.0);
}

TEST(CalibrationBin, HasTheErrorBarOfItsRate) {
  CalibrationBin bin{0.0, 0.1, 100, 24};
  EXPECT_NEAR(bin.rate_error(), 0.24 * std::sqrt(1.0 / 25 + 1.0 / 100), 1e-15);
  EXPECT_EQ(CalibrationBin{}.rate_error(), 0.0);
}

TEST(Overconfidence, IsTheErrorRateOverWhatIsAllowed) {
  std::vector<ImageResult> results;
  for (int i = 0; i < 250; ++i) results.push_back(prediction(0.999, i >= 5));
  for (int i = 0; i < 100; ++i) results.push_back(prediction(0.96, i >= 10));
  const Overconfidence high = overconfidence(results, 0.997);
  EXPECT_EQ(high.confident, 250);
  EXPECT_EQ(high.errors, 5);
  EXPECT_NEAR(high.value(), 0.02 / 0.003, 1e-9);
  EXPECT_NEAR(high.standard_error(), std::sqrt(0.02 * 0.98 / 250) / 0.003, 1e-9);
  EXPECT_TRUE(high.sufficient());
  EXPECT_EQ(overconfidence(results, 0.95).confident, 350);
  const Overconfidence none = overconfidence(results, 0.9999);
  EXPECT_EQ(none.value(), 0.0);
  EXPECT_FALSE(none.sufficient());
}

TEST(TopLabelEce, WeighsBinsByTheirEntries) {
  std::vector<ImageResult> results;
  for (int i = 0; i < 10; ++i) results.push_back(prediction(0.9, i < 6));   // gap 0.3
  for (int i = 0; i < 30; ++i) results.push_back(prediction(0.5, i < 15));  // gap 0
  results.push_back(prediction(1.0, true));
  EXPECT_NEAR(top_label_ece(results), 0.3 * 10 / 41, 1e-12);
  EXPECT_EQ(top_label_ece({}), 0.0);
}

}  // namespace
}  // namespace pal
