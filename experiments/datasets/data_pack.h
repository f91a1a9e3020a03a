#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "data/pictures/image_file.h"

namespace pal {

/// What is packed, and into how many shards.
struct PackOptions {
  std::string folder;  ///< with train/CLASS and perhaps val/CLASS and test/CLASS
  std::string output;
  int64_t shards = 1;  ///< of the training part; those of the others are as large
  uint64_t seed = 0;
  /// Shorter side that larger pictures are reduced to, in pixels; 0: every file as it is.
  int64_t resize = 0;
  int quality = 95;         ///< of the JPEGs that reduced pictures become
  ImageLimits limits = {};  ///< of pictures that are to be reduced
  int64_t workers = 1;
  std::function<void(const std::string&)> show = [](const std::string&) {};  ///< progress
};

/// What was packed, all parts together.
struct PackResult {
  std::string folder;
  bool made = false;  ///< false: the same shards were there already, and the counts are 0
  int64_t pictures = 0;
  int64_t shards = 0;
};

/// Writes train-000000.tar ..., val-000000.tar ... and test-000000.tar ... in WebDataset's convention (KEY.jpg or
/// KEY.png as the file is, KEY.cls with the label), pictures in an order shuffled by the seed, and
/// classes.txt with the names by label. The same set gives the same bytes. Reduced pictures are
/// JPEGs without EXIF, resampled as by the loader; pictures that EXIF turns stay as they are, and so
/// do those that are not larger. Throws usage for fewer pictures than shards, parts with other
/// classes, and a size or quality out of its range; data for a file that is no picture, or that
/// cannot be decoded where it must be, or a shard that was packed before and is gone; else as `image_folder` and `SetFolder`.
PackResult pack_shards(const PackOptions& options);

}  // namespace pal
