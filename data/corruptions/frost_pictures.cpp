#include "data/corruptions/frost_pictures.h"

#include <algorithm>
#include <filesystem>

#include "runtime/error.h"
#include "runtime/text.h"

namespace pal {
namespace {

namespace fs = std::filesystem;

Image in_colour(Image image) {
  if (image.channels == 3) return image;
  Image made{image.width, image.height, 3, {}, {}};
  for (const uint8_t level : image.pixels) made.pixels.insert(made.pixels.end(), 3, level);
  return made;
}

/// A fifth of each side by linear interpolation: every output falls on the middle of five pixels.
Image a_fifth(const Image& image) {
  constexpr int64_t kTimes = 5;
  Image made{std::max<int64_t>(image.width / kTimes, 1),
             std::max<int64_t>(image.height / kTimes, 1),
             3,
             {},
             {}};
  for (int64_t y = 0; y < made.height; ++y)
    for (int64_t x = 0; x < made.width; ++x) {
      const int64_t row = std::min(kTimes * y + 2, image.height - 1);
      const int64_t column = std::min(kTimes * x + 2, image.width - 1);
      const uint8_t* pixel = &image.pixels[static_cast<size_t>(row * image.row() + 3 * column)];
      made.pixels.insert(made.pixels.end(), pixel, pixel + 3);
    }
  return made;
}

}  // namespace

FrostPictures read_frost_pictures(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (has_picture_suffix(entry.path().filename().string()))
      paths.push_back(entry.path().string());
  if (error)
    fail(ErrorKind::data, "{}: cannot list the frost photographs: {}", one_line(folder),
         error.message());
  if (paths.size() != kFrostPictures)
    fail(ErrorKind::data,
         "{}: expected the {} frost photographs (frost1.png to frost6.jpg), got {} pictures",
         one_line(folder), kFrostPictures, paths.size());
  std::ranges::sort(paths);
  FrostPictures pictures;
  for (const std::string& path : paths) {
    pictures.full.push_back(in_colour(read_image(path)));
    pictures.small.push_back(a_fifth(pictures.full.back()));
  }
  return pictures;
}

}  // namespace pal
