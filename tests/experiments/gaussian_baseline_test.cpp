#include "experiments/measures/gaussian_baseline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "data/sets/known_sets.h"
#include "data/sets/synthetic.h"
#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

TEST(GaussianBaseline, HandValues) {
  ImageSet set;
  set.count = 2;
  set.height = 1;
  set.width = 2;
  set.channels = 1;
  set.pixels = {10, 7, 20, 7};
  set.classes = 1;
  set.class_names = {"a"};
  set.labels = {0, 0};
  const GaussianBaseline fit = fit_gaussian(*memory_dataset(set));
  EXPECT_NEAR(fit.mean[0], 15.5 / 255, 1e-15);
  EXPECT_NEAR(fit.mean[1], 7.5 / 255, 1e-15);
  EXPECT_NEAR(fit.variance[0], (25.0 + 1.0 / 12) / (255 * 255), 1e-15);
  EXPECT_NEAR(fit.variance[1], 1.0 / 12 / (255 * 255), 1e-15);
  // On its own data the quadratic term is 1/2 nat; in units of levels delta is 1.
  const double nats =
      0.5 + 0.25 * (std::log(2 * M_PI * (25.0 + 1.0 / 12)) + std::log(2 * M_PI / 12));
  EXPECT_NEAR(bits_per_dim(fit, fit), nats / std::log(2.0), 1e-12);
}

TEST(GaussianBaseline, AgreesWithSampledNoise) {
  const ImageSet train = synthetic_set({.count = 300, .height = 5, .width = 4});
  const ImageSet test = synthetic_set({.count = 200, .height = 5, .width = 4, .seed = 1});
  const GaussianBaseline fit = fit_gaussian(*memory_dataset(train));
  const Philox random(2, RandomPurpose::test);
  double bits = 0.0;
  for (size_t i = 0; i < test.pixels.size(); ++i) {
    const size_t d = i % fit.mean.size();
    const double x = (test.pixels[i] + random.uniform4(static_cast<uint32_t>(i))[0]) / 255.0;
    const double density = std::exp(-0.5 * std::pow(x - fit.mean[d], 2) / fit.variance[d]) /
                           std::sqrt(2 * M_PI * fit.variance[d]);
    bits -= std::log2(density / 255.0);
  }
  bits /= static_cast<double>(test.pixels.size());
  // The noise moves a value's code length by some hundredths of a bit; 4,000 of them average out.
  EXPECT_NEAR(bits_per_dim(fit, fit_gaussian(*memory_dataset(test))), bits, 0.005);
}

TEST(GaussianBaseline, FashionMnist) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) GTEST_SKIP() << "no data set";
  const GaussianBaseline fit =
      fit_gaussian(*memory_dataset(load_dataset("fashion-mnist", Split::train)));
  EXPECT_NEAR(
      bits_per_dim(fit, fit_gaussian(*memory_dataset(load_dataset("fashion-mnist", Split::test)))),
      7.9215, 5e-4);
}

TEST(GaussianBaseline, RefusesOtherSizes) {
  const GaussianBaseline fit =
      fit_gaussian(*memory_dataset(synthetic_set({.count = 3, .height = 5, .width = 4})));
  EXPECT_THROW(
      bits_per_dim(
          fit, fit_gaussian(*memory_dataset(synthetic_set({.count = 3, .height = 5, .width = 5})))),
      Error);
}

}  // namespace
}  // namespace pal
