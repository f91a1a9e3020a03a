// What is drawn for corruptions, by statistics: mean, variance and the largest distance between the
// distribution functions (Kolmogorov and Smirnov), which 10^5 right draws exceed once in 10^4.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "data/corruptions/draws.h"
#include "data/corruptions/random_fill.h"
#include "data/corruptions/severities.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr size_t kCount = 100'000;

double bound_of(size_t count) {
  return std::sqrt(-0.5 * std::log(0.5e-4) / static_cast<double>(count));
}

/// Largest distance between the draws' distribution and a continuous one.
double distance(std::vector<float> draws, const std::function<double(double)>& cdf) {
  std::ranges::sort(draws);
  const auto count = static_cast<double>(draws.size());
  double worst = 0.0;
  for (size_t i = 0; i < draws.size(); ++i) {
    const double wanted = cdf(static_cast<double>(draws[i]));
    worst = std::max({worst, std::abs(wanted - static_cast<double>(i) / count),
                      std::abs(static_cast<double>(i + 1) / count - wanted)});
  }
  return worst;
}

struct Moments {
  double mean = 0.0, variance = 0.0;
};

template <typename Value>
Moments moments_of(const std::vector<Value>& draws) {
  Moments found;
  const auto count = static_cast<double>(draws.size());
  for (const Value draw : draws) found.mean += static_cast<double>(draw) / count;
  for (const Value draw : draws)
    found.variance += std::pow(static_cast<double>(draw) - found.mean, 2.0) / count;
  return found;
}

/// Mean and variance within four standard errors; `kurtosis` is the fourth moment over the squared
/// variance.
void expect_moments(const Moments& found, double mean, double variance, double kurtosis,
                    size_t count = kCount) {
  const double error = 4.0 / std::sqrt(static_cast<double>(count));
  EXPECT_NEAR(found.mean, mean, error * std::sqrt(variance));
  EXPECT_NEAR(found.variance, variance, error * variance * std::sqrt(kurtosis - 1.0));
}

Image grey_image(int64_t side, uint8_t level) {
  return {side, side, 1, std::vector<uint8_t>(static_cast<size_t>(side * side), level), {}};
}

/// The draws of one image of 320 x 320 pixels: 102,400.
Draws big_draws(Corruption corruption, int severity, uint8_t level = 128) {
  return draws_for(grey_image(320, level), corruption, severity, ParameterSet::imagenet, {}, "a/b");
}

void expect_uniform(const std::vector<float>& draws, double least, double most) {
  EXPECT_GE(*std::ranges::min_element(draws), static_cast<float>(least));
  EXPECT_LE(*std::ranges::max_element(draws), static_cast<float>(most));
  const double width = most - least;
  expect_moments(moments_of(draws), (least + most) / 2.0, width * width / 12.0, 1.8, draws.size());
  EXPECT_LT(distance(draws, [&](double x) { return (x - least) / width; }), bound_of(draws.size()));
}

TEST(CorruptionDraws, NormalNumbers) {
  std::vector<float> draws(kCount);
  fill_normal(3, 4, draws);
  expect_moments(moments_of(draws), 0.0, 1.0, 3.0);
  const auto cdf = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  EXPECT_LT(distance(draws, cdf), bound_of(kCount));
  EXPECT_LT(distance(big_draws(Corruption::gaussian_noise, 1).normal, cdf), bound_of(kCount));
  // Both numbers of a pair come from the same two words; they must not be correlated.
  double product = 0.0;
  for (size_t i = 0; i + 2 < draws.size(); i += 4)
    product += static_cast<double>(draws[i] * draws[i + 1]) / (kCount / 4.0);
  EXPECT_NEAR(product, 0.0, 4.0 / std::sqrt(kCount / 4.0));
}

TEST(CorruptionDraws, UniformNumbers) {
  std::vector<float> draws(kCount);
  fill_uniform(3, 4, draws);
  expect_uniform(draws, 0.0, 1.0);
  const Draws impulse = big_draws(Corruption::impulse_noise, 3);
  expect_uniform(impulse.flip, 0.0, 1.0);
  expect_uniform(impulse.salt, 0.0, 1.0);
  EXPECT_NE(impulse.flip, impulse.salt);
  expect_uniform(big_draws(Corruption::fog, 3).uniform, -1.0, 1.0);
  expect_uniform(big_draws(Corruption::elastic, 3).field, -1.0, 1.0);
}

TEST(CorruptionDraws, NumbersDependOnTheirPlaceAlone) {
  for (const size_t count : {1, 5, 255, 256, 257, 1000}) {
    std::vector<uint32_t> words(count);
    fill_words(9, 8, words);
    const Philox philox(9, RandomPurpose::sample, 8);
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(words[i], philox.words(static_cast<uint32_t>(i / 4))[i % 4]) << i;
  }
}

TEST(CorruptionDraws, PoissonNumbers) {
  std::vector<uint32_t> words(kCount);
  fill_words(5, 6, words);
  for (const double photons : {3.0, 60.0, 500.0})
    for (const int level : {1, 40, 255}) {
      SCOPED_TRACE(photons);
      SCOPED_TRACE(level);
      const double mean = photons * level / 255.0;
      const PoissonTable table(photons);
      std::vector<int32_t> draws;
      for (const uint32_t word : words)
        draws.push_back(table.at(static_cast<uint8_t>(level), word));
      expect_moments(moments_of(draws), mean, mean, 3.0 + 1.0 / mean);
      std::ranges::sort(draws);
      double cdf = 0.0;
      double worst = 0.0;
      for (int32_t k = 0; k <= draws.back(); ++k) {
        cdf += std::exp(k * std::log(mean) - mean - std::lgamma(k + 1.0));
        const auto below = std::ranges::upper_bound(draws, k) - draws.begin();
        worst = std::max(worst, std::abs(cdf - static_cast<double>(below) / kCount));
      }
      EXPECT_LT(worst, bound_of(kCount));
    }
  for (const int32_t number : big_draws(Corruption::shot_noise, 2, 0).poisson) ASSERT_EQ(number, 0);
  const auto drawn = big_draws(Corruption::shot_noise, 2, 51).poisson;
  expect_moments(moments_of(drawn), 5.0, 5.0, 3.2, drawn.size());
}

TEST(CorruptionDraws, MovesBehindGlass) {
  const Draws draws = big_draws(Corruption::glass_blur, 5);
  const int32_t reach = severities::kGlass.at(ParameterSet::imagenet, 5).reach;
  std::vector<double> seen(static_cast<size_t>(4 * reach * reach));
  for (size_t i = 0; i < draws.moves.size(); i += 2) {
    const int32_t dx = draws.moves[i] + reach;
    const int32_t dy = draws.moves[i + 1] + reach;
    ASSERT_TRUE(dx >= 0 && dx < 2 * reach && dy >= 0 && dy < 2 * reach);
    ++seen[static_cast<size_t>(dy * 2 * reach + dx)];
  }
  const double wanted = static_cast<double>(draws.moves.size() / 2) / seen.size();
  for (const double count : seen) EXPECT_NEAR(count, wanted, 5.0 * std::sqrt(wanted));
}

TEST(CorruptionDraws, DirectionsAndCorners) {
  const Image image = grey_image(32, 100);
  std::vector<float> motion;
  std::vector<float> snow;
  std::vector<float> corners;
  for (int i = 0; i < 3000; ++i) {
    const std::string path = "class/" + std::to_string(i);
    const auto of = [&](Corruption corruption) {
      return draws_for(image, corruption, 2, ParameterSet::cifar, {}, path);
    };
    motion.push_back(of(Corruption::motion_blur).degrees);
    snow.push_back(of(Corruption::snow).degrees);
    for (const float corner : of(Corruption::elastic).corners) corners.push_back(corner);
  }
  expect_uniform(motion, -45.0, 45.0);
  expect_uniform(snow, -135.0, -45.0);
  expect_uniform(corners, -0.07 * 32.0, 0.07 * 32.0);
}

TEST(CorruptionDraws, KeyedBySeedCorruptionSeverityAndPath) {
  const Image image = grey_image(16, 100);
  const auto normal = [&](uint64_t seed, Corruption corruption, int severity,
                          const std::string& path) {
    CorruptionOptions options;
    options.seed = seed;
    return draws_for(image, corruption, severity, ParameterSet::cifar, options, path).normal;
  };
  const auto first = normal(1, Corruption::gaussian_noise, 2, "a/1");
  EXPECT_EQ(first, normal(1, Corruption::gaussian_noise, 2, "a/1"));
  EXPECT_NE(first, normal(2, Corruption::gaussian_noise, 2, "a/1"));
  EXPECT_NE(first, normal(1, Corruption::speckle_noise, 2, "a/1"));
  EXPECT_NE(first, normal(1, Corruption::gaussian_noise, 3, "a/1"));
  EXPECT_NE(first, normal(1, Corruption::gaussian_noise, 2, "a/2"));
}

}  // namespace
}  // namespace pal
