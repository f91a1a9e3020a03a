#include "data/corruptions/corruption.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/corruptions/cores.h"
#include "data/corruptions/edges.h"
#include "data/corruptions/filters.h"
#include "tests/support/numeric.h"
#include "tests/support/temporary_folder.h"

namespace pal {
namespace {

using testing::expect_error;

/// A picture with edges, slopes and, in colour, three hues.
Image test_image(int64_t width, int64_t height, int64_t channels) {
  Image image{width, height, channels, {}, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(
            static_cast<uint8_t>((x / 5 + y / 7 + c) % 2 == 0 ? 40 + 3 * (x % 30) : 200 - y % 50));
  return image;
}

double change_of(const Image& a, const Image& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.pixels.size(); ++i)
    sum += std::abs(static_cast<double>(a.pixels[i]) - static_cast<double>(b.pixels[i]));
  return sum / static_cast<double>(a.pixels.size());
}

TEST(Corruption, NamesGoBothWays) {
  std::set<std::string> groups;
  for (const Corruption corruption : all_corruptions(true)) {
    EXPECT_EQ(corruption_of(name_of(corruption)), corruption);
    EXPECT_EQ(corruption_of(published_name(corruption)), corruption);
    EXPECT_EQ(is_extra(corruption), std::string(group_of(corruption)) == "extra");
    groups.insert(group_of(corruption));
  }
  EXPECT_EQ(groups.size(), 5);
  EXPECT_EQ(all_corruptions().size(), 15);
  EXPECT_EQ(corruption_of("elastic_transform"), Corruption::elastic);
  EXPECT_FALSE(corruption_of("rain").has_value());
}

TEST(Corruption, AnySizeColourAndStrength) {
  for (const auto& [width, height] :
       {std::pair<int64_t, int64_t>(8, 8), {9, 31}, {64, 40}, {70, 97}, {300, 120}})
    for (const int64_t channels : {1, 3}) {
      const Image image = test_image(width, height, channels);
      for (const Corruption corruption : all_corruptions(true)) {
        if (corruption == Corruption::saturate && channels == 1) continue;
        for (const int severity : {1, 5})
          for (const auto set : {ParameterSet::imagenet, ParameterSet::cifar}) {
            SCOPED_TRACE(fmt::format("{} {} {} {}x{}x{}", name_of(corruption), severity,
                                     name_of(set), width, height, channels));
            const CorruptionOptions options{.parameters = set};
            const Image made = corrupted(image, corruption, severity, options, "a");
            EXPECT_EQ(made.width, width);
            EXPECT_EQ(made.height, height);
            EXPECT_EQ(made.channels, channels);
            ASSERT_EQ(made.pixels.size(), image.pixels.size());
            EXPECT_EQ(made.pixels, corrupted(image, corruption, severity, options, "a").pixels);
          }
      }
    }
}

TEST(Corruption, HigherSeveritiesChangeMore) {
  const Image image = test_image(96, 96, 3);
  // The others do not grow evenly from one severity to the next.
  const std::set<Corruption> even = {
      Corruption::gaussian_noise, Corruption::shot_noise, Corruption::impulse_noise,
      Corruption::speckle_noise,  Corruption::brightness, Corruption::contrast,
      Corruption::pixelate,       Corruption::jpeg,       Corruption::gaussian_blur};
  for (const Corruption corruption : all_corruptions(true)) {
    SCOPED_TRACE(name_of(corruption));
    double before = 0.0;
    for (int severity = 1; severity <= kSeverities; ++severity) {
      const double change = change_of(image, corrupted(image, corruption, severity, {}, "a"));
      EXPECT_GT(change, even.contains(corruption) ? before : 0.5);
      before = change;
    }
  }
}

TEST(Corruption, FlatAreasDoNotFall) {
  // What only moves or averages leaves an even image as it was.
  Image even = test_image(64, 64, 3);
  std::ranges::fill(even.pixels, uint8_t{131});
  for (const Corruption corruption :
       {Corruption::defocus_blur, Corruption::glass_blur, Corruption::motion_blur,
        Corruption::zoom_blur, Corruption::contrast, Corruption::elastic, Corruption::pixelate,
        Corruption::gaussian_blur})
    for (int severity = 1; severity <= kSeverities; ++severity)
      for (const auto set : {ParameterSet::imagenet, ParameterSet::cifar}) {
        const Image made = corrupted(even, corruption, severity, {.parameters = set}, "a");
        // The published kernels of the two widest discs add up to a little more than 1.
        const bool wide = corruption == Corruption::defocus_blur && set == ParameterSet::imagenet &&
                          severity >= 4;
        const auto [least, most] = std::ranges::minmax_element(made.pixels);
        EXPECT_EQ(*least, wide ? 132 : 131) << name_of(corruption) << severity << name_of(set);
        EXPECT_EQ(*most, *least);
      }
}

TEST(Corruption, DefaultsFollowSizeAndColour) {
  EXPECT_EQ(default_parameters(63, 500), ParameterSet::cifar);
  EXPECT_EQ(default_parameters(64, 64), ParameterSet::imagenet);
  const Image colour = test_image(70, 70, 3);
  const auto glass = [&](const Image& image, std::optional<bool> copy) {
    return corrupted(image, Corruption::glass_blur, 5, {.glass_copy = copy}, "a").pixels;
  };
  EXPECT_EQ(glass(colour, std::nullopt), glass(colour, true));
  EXPECT_NE(glass(colour, std::nullopt), glass(colour, false));
  const Image grey = test_image(70, 70, 1);
  EXPECT_EQ(glass(grey, std::nullopt), glass(grey, false));
  const Image encoded = corrupted(colour, Corruption::brightness, 1, {.jpeg_quality = 85}, "a");
  const double change = change_of(encoded, corrupted(colour, Corruption::brightness, 1, {}, "a"));
  EXPECT_GT(change, 0.0);
  EXPECT_LT(change, 40.0);
}

TEST(Corruption, RefusesWhatMakesNoSense) {
  const Image grey = test_image(32, 32, 1);
  const auto refused = [](const Image& image, Corruption corruption, int severity,
                          const std::string& text) {
    expect_error(ErrorKind::usage, text, [&] { corrupted(image, corruption, severity, {}, "a"); });
  };
  refused(grey, Corruption::fog, 0, "fog: expected a severity of 1 to 5, got 0");
  refused(grey, Corruption::fog, 6, "got 6");
  refused(grey, Corruption::saturate, 1, "no colours");
  refused(test_image(32, 32, 2), Corruption::fog, 1, "2 channels");
  refused(test_image(7, 32, 1), Corruption::fog, 1, "7x32");
  refused(test_image(5000, 8, 1), Corruption::fog, 1, "5000x8");
}

TEST(Corruption, PathsDoNotDependOnWhereASetLies) {
  EXPECT_EQ(path_in_set("/some/set/test", "/some/set/test/cat/1.jpg"), "cat/1.jpg");
  EXPECT_EQ(path_in_set("shards/val-{0..3}.tar", "shards/val-2.tar:17.jpg"), "val-2.tar:17.jpg");
  EXPECT_EQ(path_in_set("fashion-mnist", "17"), "17");
}

TEST(Corruption, LongFiltersFoldAtTheBorders) {
  // A kernel far wider than the image against the plain sum over mirrored pixels.
  FloatImage image = to_float(test_image(11, 9, 1));
  const double sigma = 7.0;
  const FloatImage made = gaussian_filter(image, sigma, 3.0, Border::symmetric);
  const int64_t y = 2;
  const int64_t x = 10;
  double sum = 0.0;
  double weights = 0.0;
  for (int64_t dy = -21; dy <= 21; ++dy)
    for (int64_t dx = -21; dx <= 21; ++dx) {
      const double weight =
          std::exp(-static_cast<double>(dx * dx + dy * dy) / (2.0 * sigma * sigma));
      weights += weight;
      sum +=
          weight * static_cast<double>(image.row_at(border_index(
                       y + dy, image.height,
                       Border::symmetric))[border_index(x + dx, image.width, Border::symmetric)]);
    }
  EXPECT_NEAR(static_cast<double>(made.row_at(y)[x]), sum / weights, 1e-3);
  EXPECT_EQ(border_index(-1, 4, Border::mirror), 1);
  EXPECT_EQ(border_index(-1, 4, Border::symmetric), 0);
  EXPECT_EQ(border_index(9, 4, Border::symmetric), 1);
  EXPECT_EQ(border_index(7, 4, Border::mirror), 1);
  EXPECT_EQ(border_index(-5, 4, Border::replicate), 0);
}

TEST(Corruption, EdgesAndDistances) {
  // A bright square from (4, 5) to (8, 9): its edge is found on one side of the step, closed.
  FloatImage plane(16, 18, 1);
  for (int64_t y = 4; y <= 8; ++y)
    for (int64_t x = 5; x <= 9; ++x) plane.row_at(y)[x] = 200.0F;
  const EdgeMap edges = edges_of(plane, 50.0F, 150.0F);
  EXPECT_EQ(edges.marked[6 * 18 + 4] + edges.marked[6 * 18 + 5], 1);
  EXPECT_EQ(edges.marked[6 * 18 + 7], 0);
  EXPECT_EQ(edges.marked[1 * 18 + 1], 0);
  EdgeMap dot{9, 9, std::vector<uint8_t>(81)};
  dot.marked[4 * 9 + 4] = 1;
  const FloatImage distance = edge_distance(dot);
  EXPECT_FLOAT_EQ(distance.row_at(4)[4], 0.0F);
  EXPECT_FLOAT_EQ(distance.row_at(4)[8], 4.0F);
  EXPECT_FLOAT_EQ(distance.row_at(2)[2], 2.8F);
  EXPECT_FLOAT_EQ(distance.row_at(6)[5], 2.1969F);
  EXPECT_FLOAT_EQ(distance.row_at(2)[3], 2.1969F);
  EXPECT_GT(edge_distance({9, 9, std::vector<uint8_t>(81)}).row_at(0)[0], 1000.0F);
}

TEST(Corruption, SpatterIsWaterThatBrightensOrMudThatCovers) {
  const Image image = test_image(96, 96, 3);
  for (const int severity : {1, 2, 3}) {
    const Image water = corrupted(image, Corruption::spatter, severity, {}, "a");
    for (size_t i = 0; i < image.pixels.size(); ++i) ASSERT_GE(water.pixels[i], image.pixels[i]);
  }
  const Image mud = corrupted(image, Corruption::spatter, 5, {}, "a");
  int64_t covered = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    covered += mud.pixels[i] != image.pixels[i] ? 1 : 0;
  EXPECT_GT(covered, 96 * 96 / 20);
  EXPECT_LT(covered, 96 * 96 * 19 / 20);
}

TEST(Corruption, FrostOfPhotographs) {
  const testing::TemporaryFolder folder;
  const std::string place = folder.path();
  expect_error(ErrorKind::data, "got 0 pictures", [&] { read_frost_pictures(place); });
  expect_error(ErrorKind::data, "cannot list", [&] { read_frost_pictures(place + "/absent"); });
  for (int i = 1; i <= 6; ++i) {
    Image picture = test_image(50, 45, 3);
    std::ranges::fill(picture.pixels, static_cast<uint8_t>(i));
    write_png(fmt::format("{}/frost{}.png", place, i), picture);
  }
  CorruptionOptions options;
  options.frost_pictures = std::make_shared<FrostPictures>(read_frost_pictures(place));
  EXPECT_EQ(options.frost_pictures->small.at(0).width, 10);
  // Even pictures tell which was drawn; larger images than they are work, too.
  for (const bool five : {false, true}) {
    options.frost_five = five;
    std::set<uint8_t> drawn;
    for (int i = 0; i < 60; ++i)
      for (const auto set : {ParameterSet::imagenet, ParameterSet::cifar}) {
        const Draws draws =
            draws_for(test_image(64, 32, 3), Corruption::frost, 1, set, options, std::to_string(i));
        ASSERT_EQ(draws.picture.pixels.size(), 64U * 32U * 3U);
        drawn.insert(draws.picture.pixels[0]);
      }
    EXPECT_EQ(drawn,
              five ? (std::set<uint8_t>{1, 2, 3, 4, 5}) : (std::set<uint8_t>{1, 2, 3, 4, 5, 6}));
  }
}

}  // namespace
}  // namespace pal
