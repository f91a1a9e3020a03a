#pragma once
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "data/pictures/image_decoders.h"
#include "runtime/philox.h"
#include "tests/data/byte_builder.h"
#include "tests/support/source_file.h"

namespace pal::testing {

/// Hard edges, ramps and noise in every channel: what upsampling and filters get wrong first.
inline Bytes rough_values(int64_t width, int64_t height, int64_t channels) {
  const Philox random(3, RandomPurpose::test, static_cast<uint64_t>(width * 1000 + height));
  Bytes values;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c) {
        const bool edge = (x / (3 + c) + y / (5 - c % 3)) % 2 == 0;
        const uint32_t noise = random.words(static_cast<uint32_t>(values.size()))[0] % 40;
        values.push_back(
            static_cast<uint8_t>((edge ? 190 : 20) + static_cast<int64_t>(noise) - (x + y) % 21));
      }
  return values;
}

inline Image cut_out(const Image& image, const Region& region) {
  Image part;
  part.width = region.width;
  part.height = region.height;
  part.channels = image.channels;
  for (int64_t y = region.y; y < region.y + region.height; ++y) {
    const auto row = image.pixels.begin() + y * image.row() + region.x * image.channels;
    part.pixels.insert(part.pixels.end(), row, row + part.row());
  }
  return part;
}

/// How far two pictures are apart.
struct Distance {
  int worst = 0;
  int64_t differing = 0;
};

inline Distance distance(const Bytes& a, const Bytes& b) {
  Distance result;
  if (a.size() != b.size()) return {256, static_cast<int64_t>(std::max(a.size(), b.size()))};
  for (size_t i = 0; i < a.size(); ++i) {
    result.worst = std::max(result.worst, std::abs(a[i] - b[i]));
    result.differing += a[i] != b[i] ? 1 : 0;
  }
  return result;
}

/// A row of tests/data/pillow/cases.tsv; make.py there says what its numbers are.
struct PillowCase {
  std::string kind;
  std::string source;
  std::string wanted;
  std::vector<double> numbers;
};

inline std::vector<PillowCase> pillow_cases() {
  const std::string folder = source_file("tests/data/pillow/");
  std::ifstream table(folder + "cases.tsv");
  std::vector<PillowCase> cases;
  for (std::string line; std::getline(table, line);) {
    std::istringstream cells(line);
    PillowCase item;
    cells >> item.kind >> item.source >> item.wanted;
    item.source = folder + item.source;
    item.wanted = folder + item.wanted;
    for (double number = 0.0; cells >> number;) item.numbers.push_back(number);
    cases.push_back(item);
  }
  return cases;
}

}  // namespace pal::testing
