#include "experiments/measures/ood_score.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr OodTest kTests[] = {OodTest::one_tailed, OodTest::typicality, OodTest::quantile};

std::vector<double> skewed(int count, uint64_t stream) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    const auto u = Philox(3, RandomPurpose::test, stream).uniform4(static_cast<uint32_t>(i));
    values.push_back(-std::log(1.0 - static_cast<double>(u[0])));
  }
  return values;
}

TEST(RankAuc, CountsTiesHalf) {
  EXPECT_EQ(rank_auc({2.0, 3.0}, {0.0, 1.0}), 1.0);
  EXPECT_EQ(rank_auc({0.0}, {1.0}), 0.0);
  EXPECT_EQ(rank_auc({1.0, 1.0}, {1.0}), 0.5);
  EXPECT_EQ(rank_auc({1.0, 2.0}, {1.0, 0.0}), (0.75 + 1.0) / 2);
  EXPECT_THROW(rank_auc({}, {1.0}), Error);
  EXPECT_THROW(rank_auc({1.0}, {}), Error);
}

TEST(RankAuc, AgreesWithCountingPairs) {
  const auto positives = skewed(57, 1);
  auto negatives = skewed(83, 2);
  for (double& v : negatives) v = 0.7 * v + 0.1;
  double pairs = 0.0;
  for (const double p : positives)
    for (const double n : negatives) pairs += p > n ? 1.0 : (p == n ? 0.5 : 0.0);
  EXPECT_NEAR(rank_auc(positives, negatives), pairs / (57.0 * 83.0), 1e-12);
}

TEST(OodReference, FindsNothingInItself) {
  const OodReference reference(skewed(1000, 4));
  for (const OodTest test : kTests) {
    const auto own = reference.unfamiliarity(test, reference.scores());
    EXPECT_NEAR(rank_auc(own, own), 0.5, 1e-12) << name_of(test);
  }
}

TEST(OodReference, FindsNothingUnfamiliarAtItsMedian) {
  const OodReference reference(skewed(1001, 5));
  const std::vector<double> at_median(50, reference.median());
  const auto negatives = reference.unfamiliarity(OodTest::quantile, reference.scores());
  // Only the median itself ties.
  EXPECT_NEAR(rank_auc(reference.unfamiliarity(OodTest::quantile, at_median), negatives),
              0.5 / 1001, 1e-12);
}

TEST(OodReference, TellsTailsAsEachTestShould) {
  const OodReference reference(skewed(1000, 6));
  const std::vector<double> likely(20, 100.0);
  const std::vector<double> unlikely(20, -100.0);
  const auto auc = [&](OodTest test, const std::vector<double>& scores) {
    return rank_auc(reference.unfamiliarity(test, scores),
                    reference.unfamiliarity(test, reference.scores()));
  };
  EXPECT_EQ(auc(OodTest::one_tailed, likely), 0.0);
  EXPECT_EQ(auc(OodTest::one_tailed, unlikely), 1.0);
  for (const OodTest test : {OodTest::typicality, OodTest::quantile}) {
    EXPECT_GE(auc(test, likely), 0.999) << name_of(test);
    EXPECT_GE(auc(test, unlikely), 0.999) << name_of(test);
  }
}

TEST(OodReference, GivesUniformPValuesOnItself) {
  const OodReference reference(skewed(2000, 7));
  for (const OodTest test : kTests) {
    std::vector<double> p;
    for (const double s : reference.scores()) p.push_back(reference.p_value(test, s));
    std::ranges::sort(p);
    double distance = 0.0;  // Kolmogorov-Smirnov
    for (size_t i = 0; i < p.size(); ++i)
      distance = std::max(distance, std::abs(p[i] - (static_cast<double>(i) + 0.5) / 2000.0));
    EXPECT_LT(distance, 0.002) << name_of(test);
  }
}

TEST(OodReference, RefusesNothingAndNaN) {
  EXPECT_THROW(OodReference({}), Error);
  EXPECT_THROW(OodReference({1.0, std::numeric_limits<double>::quiet_NaN()}), Error);
}

}  // namespace
}  // namespace pal
