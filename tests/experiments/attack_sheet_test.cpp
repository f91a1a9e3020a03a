#include "experiments/attack_study/attack_sheet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <utility>

#include "tests/support/numeric.h"

namespace pal {
namespace {

constexpr int64_t kSide = 28;

/// One image of one grey, and versions whose first value differs by `differences`.
AttackSheet sheet_of(const std::vector<float>& differences, int64_t channels = 1) {
  AttackSheet sheet{.height = kSide, .width = kSide, .channels = channels};
  SheetImage image{.title = "image 17", .note = "coat"};
  image.original.assign(static_cast<size_t>(kSide * kSide * channels), 0.4F);
  for (const float difference : differences) {
    SheetVersion version{.pixels = image.original, .note = "shirt", .size = "L2 0.1"};
    version.pixels[0] += difference;
    image.versions.push_back(std::move(version));
    sheet.settings.push_back("kappa " + std::to_string(image.versions.size()));
  }
  sheet.images.push_back(std::move(image));
  return sheet;
}

TEST(AttackSheet, FactorFillsTheRangeWithARoundNumber) {
  // Middle grey plus the factor times the difference is at most white: factor * largest <= 1/2.
  for (const auto& [difference, factor] :
       std::initializer_list<std::pair<float, double>>{{0.5F, 1.0},
                                                       {0.05F, 10.0},
                                                       {-0.06F, 5.0},
                                                       {0.012F, 20.0},
                                                       {-0.009F, 50.0},
                                                       {0.6F, 0.5},
                                                       {1e-4F, 5000.0},
                                                       {0.0F, 1.0}})
    EXPECT_DOUBLE_EQ(difference_factor(sheet_of({difference}), 0), factor) << difference;
  EXPECT_DOUBLE_EQ(difference_factor(sheet_of({0.001F, -0.05F}), 0), 500.0);
  EXPECT_DOUBLE_EQ(difference_factor(sheet_of({0.001F, -0.05F}), 1), 10.0) << "one for a column";
}

TEST(AttackSheet, EnlargesSmallImagesByAWholeFactor) {
  const AttackSheet sheet = sheet_of({0.05F, -0.05F});
  const Image image = attack_sheet_image(sheet);
  EXPECT_EQ(image.channels, 1);
  // Three columns and two rows of at least 84 pixels.
  EXPECT_GE(image.width, 3 * 84);
  EXPECT_GE(image.height, 2 * 84);
  AttackSheet texts = sheet;
  texts.images[0].versions[0].note = "sandal to ankle boot";
  EXPECT_GE(attack_sheet_image(texts).width, image.width + 3 * kSide) << "room for the text";
  texts.images[0].versions[0].note = std::string(400, 'x');
  EXPECT_LE(attack_sheet_image(texts).width, 1000) << "but not for any text";
  AttackSheet more = sheet;
  more.images.push_back(more.images[0]);
  EXPECT_GT(attack_sheet_image(more).height, 2 * image.height - 40);
}

/// How many pixels have a level.
int64_t count_of(const Image& image, uint8_t level) {
  return std::ranges::count(image.pixels, level);
}

TEST(AttackSheet, ShowsDifferencesAroundMiddleGrey) {
  // 0.5 + 10 * 0.03 and 0.5 - 10 * 0.03, in 3 x 3 pixels each; 0.5 elsewhere.
  const Image image = attack_sheet_image(sheet_of({0.03F, -0.03F}));
  EXPECT_EQ(count_of(image, 204), 9) << "0.8";
  EXPECT_EQ(count_of(image, 51), 9) << "0.2";
  EXPECT_EQ(count_of(image, 128), 2 * 9 * (kSide * kSide - 1));
  // The picture itself: 0.4, and with the differences 0.43 and 0.37.
  EXPECT_EQ(count_of(image, 102), 9 * (3 * kSide * kSide - 2));
  EXPECT_EQ(count_of(image, 110), 9);
  EXPECT_EQ(count_of(image, 94), 9);
}

TEST(AttackSheet, AmplifiesColoursOneByOne) {
  const Image image = attack_sheet_image(sheet_of({0.05F}, 3));
  ASSERT_EQ(image.channels, 3);
  int64_t red = 0, grey = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    const std::vector<int> color(image.pixels.begin() + static_cast<std::ptrdiff_t>(i),
                                 image.pixels.begin() + static_cast<std::ptrdiff_t>(i) + 3);
    if (color == std::vector<int>{255, 128, 128}) ++red;
    if (color == std::vector<int>{128, 128, 128}) ++grey;
  }
  EXPECT_EQ(red, 9);
  EXPECT_EQ(grey, 9 * (kSide * kSide - 1));
}

TEST(AttackSheet, LeavesPlacesBlank) {
  AttackSheet sheet = sheet_of({0.04F, 0.04F});
  sheet.images[0].versions[1].pixels.clear();
  const Image image = attack_sheet_image(sheet);
  EXPECT_EQ(count_of(image, 128), 9 * (kSide * kSide - 1)) << "one difference";
}

TEST(AttackSheet, RefusesWhatDoesNotFit) {
  const auto refuses = [](const char* text, auto spoil) {
    AttackSheet sheet = sheet_of({0.04F});
    spoil(sheet);
    testing::expect_error(ErrorKind::usage, text, [&] { attack_sheet_image(sheet); });
  };
  refuses("0 images in 1 settings", [](AttackSheet& s) { s.images.clear(); });
  refuses("1 images in 0 settings", [](AttackSheet& s) { s.settings.clear(); });
  refuses("1 versions for 2 settings", [](AttackSheet& s) { s.settings.emplace_back("more"); });
  refuses("'image 17' has 784 values; expected 28 x 28 x 3",
          [](AttackSheet& s) { s.channels = 3; });
  refuses("images of 2 channels", [](AttackSheet& s) { s.channels = 2; });
  refuses("has 783 values", [](AttackSheet& s) { s.images[0].versions[0].pixels.pop_back(); });
  refuses("has 0 values", [](AttackSheet& s) { s.images[0].original.clear(); });
  AttackSheet sheet = sheet_of({0.04F});
  sheet.images[0].versions[0].pixels[5] = std::numeric_limits<float>::quiet_NaN();
  testing::expect_error(ErrorKind::numerics, "not finite", [&] { attack_sheet_image(sheet); });
}

}  // namespace
}  // namespace pal
