// Every picture of tests/badinput against its manifest.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "data/pictures/image_file.h"
#include "tests/data/byte_builder.h"
#include "tests/support/source_file.h"

namespace pal {
namespace {

struct Row {
  std::string file, wrong, expected, check;
};

std::vector<Row> picture_rows() {
  std::ifstream manifest(testing::source_file("tests/badinput/manifest.tsv"));
  std::vector<Row> rows;
  for (std::string line; std::getline(manifest, line);) {
    std::istringstream cells(line);
    Row row;
    std::getline(cells, row.file, '\t');
    std::getline(cells, row.wrong, '\t');
    std::getline(cells, row.expected, '\t');
    std::getline(cells, row.check, '\t');
    if (row.file.rfind("jpeg/", 0) == 0 || row.file.rfind("png/", 0) == 0) rows.push_back(row);
  }
  return rows;
}

std::array<double, 3> top_left_mean(const Image& image) {
  std::array<double, 3> mean{};
  const int64_t height = image.height / 2;
  const int64_t width = image.width / 2;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c)
        mean[static_cast<size_t>(c)] += image.pixels[static_cast<size_t>(
            y * image.row() + x * image.channels + std::min(c, image.channels - 1))];
  for (double& value : mean) value /= static_cast<double>(height * width);
  return mean;
}

TEST(BadInputImages, AreJudgedAsTheManifestSays) {
  const auto rows = picture_rows();
  ASSERT_GE(rows.size(), 12U);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.file + ": " + row.wrong);
    const std::string path = testing::source_file("tests/badinput/" + row.file);
    if (row.expected == "error") {
      const std::string message = testing::data_error([&] { read_image(path); });
      EXPECT_EQ(message.rfind(path + ":", 0), 0U) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos);
      continue;
    }
    const Image image = read_image(path);
    EXPECT_EQ(image.warnings.empty(), row.expected == "accept");
    int64_t width = 0;
    int64_t height = 0;
    std::array<double, 3> wanted{};
    ASSERT_EQ(std::sscanf(row.check.c_str(), "%ldx%ld tl=%lf,%lf,%lf", &width, &height, &wanted[0],
                          &wanted[1], &wanted[2]),
              5);
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
    const auto mean = top_left_mean(image);
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(mean[c], wanted[c], 6.0) << c;
  }
}

}  // namespace
}  // namespace pal
