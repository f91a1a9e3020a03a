#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace pal {

/// Labelled 8-bit images of one size, in memory.
struct ImageSet {
  std::string name;
  int64_t count = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t classes = 0;
  std::vector<std::string> class_names;  ///< one per class
  std::vector<uint8_t> pixels;           ///< [count, height, width, channels]
  std::vector<int32_t> labels;           ///< [count], each in [0, classes)
  uint64_t fingerprint = 0;              ///< XXH3 of pixels and labels: equal data, equal number

  /// Values of one image.
  int64_t image_size() const { return height * width * channels; }
};

/// The part of a data set that is wanted.
enum class Split : uint8_t { train, validation, test, all };
/// "train", "val", "test" or "all", as folders and shards of the part are called.
const char* name_of(Split split);

/// Computes the fingerprint of a set from its pixels and labels.
void set_fingerprint(ImageSet& set);

}  // namespace pal
