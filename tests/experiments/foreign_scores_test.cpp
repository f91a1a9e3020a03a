// The scores of pal-ood, on statistics and on a tiny flow.
#include "experiments/robustness/foreign_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/sets/known_sets.h"
#include "experiments/measures/detection.h"
#include "layers/models/ib_inn.h"
#include "runtime/parallel.h"
#include "runtime/philox.h"

namespace pal {
namespace {

std::vector<ImageStatistics> some_statistics(int count) {
  std::vector<ImageStatistics> images;
  for (int i = 0; i < count; ++i) {
    const auto g = Philox(9, RandomPurpose::test).normal4(static_cast<uint32_t>(i));
    ImageStatistics image;
    image.index = i;
    // A skewed density with ties.
    image.log_density = std::round(20.0 * std::exp(static_cast<double>(g[0]))) / 20.0;
    image.entropy = std::abs(static_cast<double>(g[1]));
    image.confidence = 1.0 / (1.0 + image.entropy);
    image.complexity = static_cast<double>(g[2]);
    image.excess = -image.log_density - image.complexity;
    image.distance = 1.0 + 0.1 * static_cast<double>(g[3]);
    image.mean_distance = 1.0 + 0.2 * static_cast<double>(g[2]);
    image.latent_norm = 2.0 + static_cast<double>(g[3]);
    image.log_det = static_cast<double>(g[1]);
    image.familiarity = 0.5;
    images.push_back(image);
  }
  return images;
}

std::vector<double> p_values(const OodReference& reference, OodTest test) {
  std::vector<double> p;
  for (const double s : reference.scores()) p.push_back(reference.p_value(test, s));
  std::ranges::sort(p);
  return p;
}

TEST(ForeignScores, TellNothingFromItself) {
  const auto images = some_statistics(500);
  const ForeignReference reference(images, true);
  for (const ForeignScore score : all_foreign_scores()) {
    const auto values = reference.values(score, images);
    const Detection found = judge_detection(values, values);
    EXPECT_NEAR(found.auc, 0.5, 1e-12) << name_of(score);
    EXPECT_TRUE(std::ranges::all_of(values, [](double v) { return std::isfinite(v); }))
        << name_of(score);
  }
}

TEST(ForeignScores, QuantileFindsNothingAtTheMedian) {
  auto images = some_statistics(1000);  // of which none is at the median
  for (size_t i = 0; i < images.size(); ++i) images[i].log_density = static_cast<double>(i);
  const ForeignReference even(images, true);
  std::vector<ImageStatistics> at_median(20, images[0]);
  for (ImageStatistics& image : at_median) image.log_density = even.density().median();
  const auto foreign = even.values(ForeignScore::quantile, at_median);
  EXPECT_EQ(rank_auc(foreign, even.values(ForeignScore::quantile, images)), 0.0);
}

TEST(ForeignScores, PValuesOfTheReferenceAreUniformWithTies) {
  const auto images = some_statistics(2000);
  const ForeignReference reference(images, true);
  const OodReference& density = reference.density();
  // The largest share of the reference that has one value.
  double tie = 0.0;
  for (const double s : density.scores())
    tie = std::max(tie, static_cast<double>(std::ranges::count(density.scores(), s)) / 2000.0);
  ASSERT_GT(tie, 0.005);
  for (const OodTest test : {OodTest::one_tailed, OodTest::typicality, OodTest::quantile}) {
    const auto p = p_values(density, test);
    double distance = 0.0;
    for (size_t i = 0; i < p.size(); ++i) {
      // Of equal ones the last: the step of the distribution is there.
      if (i + 1 < p.size() && p[i + 1] == p[i]) continue;
      distance = std::max(distance, std::abs(static_cast<double>(i + 1) / 2000.0 - p[i]));
    }
    // Typicality counts ties in full, which is exact there; mid-ranks halve them, twice over for two
    // tails.
    EXPECT_LE(distance, test == OodTest::typicality ? 1e-12 : tie + 1e-12) << name_of(test);
  }
}

TEST(ForeignScores, AcceptedRangesAreThoseOfThePValues) {
  const OodReference reference({0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0});
  const auto quantile = reference.accepted(OodTest::quantile, 0.2);
  EXPECT_EQ(quantile.low, 1.0);
  EXPECT_EQ(quantile.high, 8.0);
  const auto one_tailed = reference.accepted(OodTest::one_tailed, 0.2);
  EXPECT_EQ(one_tailed.low, 2.0);
  EXPECT_TRUE(std::isinf(one_tailed.high));
  const auto none = reference.accepted(OodTest::typicality, 1.0);
  EXPECT_GT(none.low, none.high);
}

TEST(ForeignScores, DensityOfStatesSeesWhatIsUnlikeInAnyOfThem) {
  const auto images = some_statistics(1000);
  const ForeignReference reference(images, true);
  auto foreign = some_statistics(100);
  for (ImageStatistics& image : foreign) image.log_det += 12.0;
  const auto own = reference.values(ForeignScore::density_of_states, images);
  EXPECT_GT(rank_auc(reference.values(ForeignScore::density_of_states, foreign), own), 0.99);
}

TEST(ForeignScores, NeedADensityButForTwo) {
  const auto images = some_statistics(10);
  const ForeignReference classifier(images, false);
  for (const ForeignScore score : all_foreign_scores())
    if (needs_density(score)) {
      EXPECT_THROW(classifier.values(score, images), Error) << name_of(score);
    } else {
      EXPECT_EQ(classifier.values(score, images).size(), 10U) << name_of(score);
    }
}

/// The statistics of a tiny flow's images with a number of threads.
std::vector<ImageStatistics> of_flow(IbInn& flow, int threads) {
  set_thread_count(threads);
  const auto set = memory_dataset(load_dataset("synthetic:3:40:8", Split::train));
  EvaluationSpec spec;
  spec.batch_size = 16;
  const InputSpec input = {{0.5F}, {0.25F}, {"0", "1", "2"}};
  const auto images = image_statistics(flow, input, *set, spec, nullptr);
  set_thread_count(0);
  return images;
}

TEST(ImageStatistics, AgreeWithTheDensityAtAnyNumberOfThreads) {
  ModelConfig config = preset("ibinn-mnist");
  config.image_size = 8;
  config.classes = 3;
  config.blocks = {1, 1};
  config.widths = {8, 8};
  IbInn flow(config, 3);
  const auto images = of_flow(flow, 1);
  ASSERT_EQ(images.size(), 40U);
  const auto again = of_flow(flow, 2);
  for (size_t i = 0; i < images.size(); ++i) {
    const ImageStatistics& one = images[i];
    EXPECT_EQ(one.distance, again[i].distance);
    EXPECT_EQ(one.log_density, again[i].log_density);
    EXPECT_EQ(one.complexity, again[i].complexity);
    EXPECT_EQ(one.latent_norm, again[i].latent_norm);
    // ln q(x) is the logarithm of a sum over classes, of which the likeliest is the largest term.
    const double dims = 64.0;
    const double largest = -0.5 * one.distance - 0.5 * std::log(2.0 * std::numbers::pi) +
                           one.log_det - std::log(3.0) / dims;
    EXPECT_GE(one.log_density, largest - 1e-5);
    EXPECT_LE(one.log_density, largest + std::log(3.0) / dims + 1e-5);
  }
}

}  // namespace
}  // namespace pal
