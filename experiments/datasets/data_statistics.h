#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/pictures/transforms.h"
#include "experiments/datasets/picture_parts.h"

namespace pal {

/// How the statistics of pictures are taken.
struct StatisticsOptions {
  TransformSpec transform;  ///< what mean and deviation are taken of
  int64_t workers = 1;
  std::function<void(const std::string&)> show = [](const std::string&) {};  ///< progress
};

/// Where some whole numbers lie.
struct Range {
  int64_t min = 0;
  int64_t median = 0;  ///< of an even number the lower of the two in the middle
  int64_t max = 0;
};

/// Statistics of one part of a data set.
struct PartStatistics {
  std::string name;
  int64_t pictures = 0;  ///< that can be read
  int64_t bad = 0;
  int64_t bytes = 0;   ///< of their files
  int64_t jpeg = 0;    ///< pictures of this format
  int64_t png = 0;     ///< pictures of this format
  int64_t grey = 0;    ///< pictures of one channel
  int64_t turned = 0;  ///< pictures whose EXIF data asks for turning
  std::vector<std::string> class_names;
  std::vector<int64_t> class_counts;
  Range per_class;               ///< pictures
  Range width;                   ///< in pixels
  Range height;                  ///< in pixels
  double small = 0.0;            ///< share of pictures whose shorter side is below the wanted size
  std::array<double, 3> mean{};  ///< of the levels in [0, 1]; one channel uses the first only
  std::array<double, 3> std{};
};

/// Reads all pictures of one part. Bad ones are counted and left out. Sums are exact: the number of
/// workers changes nothing. Throws data if none can be read, usage for a transform that makes no
/// sense, and what is no fault of a picture.
PartStatistics part_statistics(const PicturePart& part, const StatisticsOptions& options);

/// The statistics of one part, lines for people.
std::string to_text(const PartStatistics& part, const TransformSpec& transform);
/// The statistics of all parts as one JSON object; shares, mean and deviation in [0, 1].
std::string to_json(const std::vector<PartStatistics>& parts, const TransformSpec& transform);

}  // namespace pal
