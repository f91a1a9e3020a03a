#include "data/variants/variant_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/numeric.h"

namespace pal {
namespace {

/// Three images of 2 x 3 pixels in two colours, all levels different.
std::unique_ptr<Dataset> base_set() {
  ImageSet set;
  set.name = "base";
  set.count = 3;
  set.height = 2;
  set.width = 3;
  set.channels = 2;
  set.classes = 1;
  set.class_names = {"a"};
  for (int i = 0; i < 36; ++i) set.pixels.push_back(static_cast<uint8_t>(7 * i));
  set.labels = {0, 0, 0};
  set_fingerprint(set);
  return memory_dataset(std::move(set));
}

LoaderOptions plain(int64_t batch) {
  LoaderOptions options;
  options.batch_size = batch;
  options.noise = false;
  options.mean = {0.25F, 0.5F};
  options.std = {0.5F, 0.25F};
  return evaluation_options(options);
}

/// The levels of all images of a set.
std::vector<double> levels(const Dataset& set, int64_t batch = 3) {
  const LoaderOptions options = plain(batch);
  const auto batches = set.batches({0, 1, 2}, options);
  std::vector<double> found;
  for (int64_t step = 0; step < batches->steps(); ++step) {
    const Batch made = batches->batch(0, step);
    for (int64_t i = 0; i < made.images.numel(); ++i) {
      const size_t c = static_cast<size_t>(i % 2);
      found.push_back(255.0 * (made.images.data<float>()[i] * options.std[c] + options.mean[c]));
    }
  }
  for (const double v : found) EXPECT_NEAR(v, std::round(v), 1e-3);
  for (double& v : found) v = std::round(v);
  return found;
}

TEST(VariantSet, ChangesWhatItSays) {
  const auto base = base_set();
  const auto own = levels(*base);
  std::map<Variant, std::vector<double>> made;
  for (const std::string& name : variant_names()) {
    const Variant variant = *variant_of(name);
    EXPECT_EQ(name_of(variant), name);
    const auto set = variant_set(*base, variant);
    EXPECT_EQ(set->info().name, name);
    made[variant] = levels(*set);
    // Neither the batch nor another call changes anything.
    EXPECT_EQ(levels(*set, 2), made[variant]) << name;
    for (const double v : made[variant]) {
      EXPECT_GE(v, 0.0);
      EXPECT_LE(v, 255.0);
    }
  }
  EXPECT_EQ(made[Variant::hflip][0], own[4]);  // row 0: pixel 2 first
  EXPECT_EQ(made[Variant::hflip][1], own[5]);
  EXPECT_EQ(made[Variant::vflip][0], own[6]);
  EXPECT_EQ(made[Variant::inverted][3], 255.0 - own[3]);
  double mean = 0.0;
  for (int i = 0; i < 12; i += 2) mean += own[static_cast<size_t>(i)] / 6.0;
  EXPECT_EQ(made[Variant::low_contrast][0], std::round(mean + 0.3 * (own[0] - mean)));
  for (int image = 0; image < 3; ++image) {
    const auto part = [&](std::vector<double> values) {
      values.erase(values.begin() + 12 * (image + 1), values.end());
      values.erase(values.begin(), values.begin() + 12 * image);
      return values;
    };
    auto shuffled = part(made[Variant::shuffled]);
    auto before = part(own);
    // Colours stay together.
    for (size_t i = 0; i < 12; i += 2) EXPECT_EQ(shuffled[i + 1], shuffled[i] + 7.0);
    std::ranges::sort(shuffled);
    std::ranges::sort(before);
    EXPECT_EQ(shuffled, before);
    const auto constant = part(made[Variant::constant]);
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(constant[i], constant[i % 2]);
  }
  EXPECT_NE(made[Variant::constant][0], made[Variant::constant][12]);
  EXPECT_NE(made[Variant::noise], own);
  EXPECT_FALSE(variant_of("digits").has_value());
}

TEST(VariantSet, IsForScoresWithoutNoise) {
  const auto base = base_set();
  const auto set = variant_set(*base, Variant::vflip);
  LoaderOptions noisy = plain(1);
  noisy.noise = true;
  testing::expect_error(ErrorKind::usage, "without noise", [&] { set->batches({0}, noisy); });
}

}  // namespace
}  // namespace pal
