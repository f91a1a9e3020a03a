#include "data/sets/digits.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "data/pictures/image_file.h"
#include "data/sources/places.h"
#include "runtime/error.h"

namespace pal {
namespace {

constexpr int64_t kRows = 50;
constexpr int64_t kColumns = 100;
constexpr int64_t kTrainColumns = 80;
constexpr int64_t kRowsPerDigit = 5;
constexpr int64_t kSide = 20;
constexpr int64_t kBorder = 4;
constexpr const char* kDebianFolder = "/usr/share/doc/opencv-doc/examples/data";

std::string find_sheet(const std::string& folder) {
  std::vector<std::string> places = {folder};
  if (folder.empty()) {
    places = {kDebianFolder};
    if (const std::string cache = cache_folder(); !cache.empty())
      places.insert(places.begin(), cache);
    places = data_places("digits", places);
  }
  for (const std::string& place : places) {
    std::string path = (std::filesystem::path(place) / "digits.png").string();
    if (std::filesystem::exists(path)) return path;
  }
  fail(ErrorKind::data,
       "digits: no digits.png in {}; take it from the Debian package opencv-doc "
       "(examples/data/digits.png) and put it there",
       fmt::join(places, ", "));
}

}  // namespace

ImageSet load_digits(Split split, const std::string& folder) {
  const std::string path = find_sheet(folder);
  const Image sheet = read_image(path);
  if (sheet.width != kColumns * kSide || sheet.height != kRows * kSide || sheet.channels != 1)
    fail(ErrorKind::data, "{}: expected a grey sheet of {}x{}, got {}x{} with {} channels", path,
         kColumns * kSide, kRows * kSide, sheet.width, sheet.height, sheet.channels);
  const int64_t first = split == Split::test ? kTrainColumns : 0;
  const int64_t last = split == Split::train ? kTrainColumns : kColumns;
  ImageSet set;
  set.name = "digits";
  set.count = kRows * (last - first);
  set.height = set.width = kSide + 2 * kBorder;
  set.channels = 1;
  set.classes = kRows / kRowsPerDigit;
  for (int64_t c = 0; c < set.classes; ++c) set.class_names.push_back(std::to_string(c));
  set.pixels.assign(static_cast<size_t>(set.count * set.image_size()), 0);
  auto target = set.pixels.begin();
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t column = first; column < last; ++column, target += set.image_size()) {
      set.labels.push_back(static_cast<int32_t>(row / kRowsPerDigit));
      for (int64_t y = 0; y < kSide; ++y)
        std::copy_n(sheet.pixels.begin() + (row * kSide + y) * sheet.width + column * kSide, kSide,
                    target + (y + kBorder) * set.width + kBorder);
    }
  }
  set_fingerprint(set);
  return set;
}

}  // namespace pal
