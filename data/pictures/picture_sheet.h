#pragma once
#include <string>
#include <vector>

#include "data/pictures/image_file.h"

namespace pal {

/// Pictures side by side, and what they are called.
struct SheetRow {
  std::string title;                  ///< stands left of the pictures
  std::vector<std::string> captions;  ///< each stands over its picture; may be fewer, or none
  std::vector<Image> pictures;
  /// Each stands under its picture; may be fewer, or none. Line feeds part its lines.
  std::vector<std::string> notes = {};
};

/// Rows of equally sized pictures on white, with dark text.
struct PictureSheet {
  std::string headline;
  std::vector<SheetRow> rows;
  int64_t scale = 1;   ///< pixels in a row that each pixel of a picture becomes, and in a column
  bool labels = true;  ///< whether texts are drawn; without them there is no margin either
  /// Columns that a wide gap parts from those before them, rising.
  std::vector<int64_t> apart = {};
};

/// Pixels of the largest sheet.
inline constexpr int64_t kMostSheetPixels = int64_t{1} << 30;

/// The magnification at which pictures whose longer side has so many pixels are about 96 wide: 3
/// for 32, 1 from 96 on.
int64_t sheet_scale(int64_t pixels);

/// The sheet as one image, RGB if any picture is. Texts too long for their place end in
/// "...". Throws usage for no pictures, unequal sizes, a scale below 1 or a sheet of more than
/// kMostSheetPixels.
Image sheet_image(const PictureSheet& sheet);

}  // namespace pal
