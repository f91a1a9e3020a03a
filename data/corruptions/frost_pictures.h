#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/image_file.h"

namespace pal {

/// The photographs of frozen panes that frost is laid over images from.
struct FrostPictures {
  std::vector<Image> full;   ///< RGB, as they are
  std::vector<Image> small;  ///< a fifth as large, for the small set
};

/// How many photographs there are, and how many the published sets drew from.
inline constexpr size_t kFrostPictures = 6;
inline constexpr size_t kFrostDrawn = 5;

/// Reads the photographs of a folder in the byte order of their names (frost1.png to frost6.jpg).
/// Throws data, naming the folder, unless there are six, or as `read_image`.
FrostPictures read_frost_pictures(const std::string& folder);

}  // namespace pal
