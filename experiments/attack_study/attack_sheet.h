#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/image_file.h"

// Attacked images as a picture, in the manner of the paper's Figs. 21 to 32.
namespace pal {

/// An image as one attack left it.
struct SheetVersion {
  std::vector<float> pixels;  ///< [height, width, channels] in [0, 1]; empty: a blank place
  std::string note;           ///< below it, such as "coat -> shirt\n98 %"; line feeds part lines
  std::string size;           ///< below its difference, such as "L2 0.43"
};

/// An image and its versions, one for each column of the sheet.
struct SheetImage {
  std::string title;                 ///< left of it, such as "image 17"
  std::string note;                  ///< below the original, such as "coat\n99 %"
  std::vector<float> original = {};  ///< [height, width, channels] in [0, 1]
  std::vector<SheetVersion> versions = {};
};

struct AttackSheet {
  std::string headline = {};
  int64_t height = 0, width = 0;
  int64_t channels = 1;                    ///< 1 or 3
  std::vector<std::string> settings = {};  ///< headings of the columns, such as "kappa 0.01, d 0"
  std::vector<SheetImage> images = {};
};

/// What the differences of a column are multiplied by so that the largest of them just fits between
/// black and white around middle grey: 1, 2 or 5 times a power of ten; 1 if there are none.
double difference_factor(const AttackSheet& sheet, size_t column);

/// The sheet: for each image a row with the original and its versions, and below it a row with
/// factor * (version - original) around middle grey, by colour channel, the factor above it; small images are enlarged
/// by a whole factor, so that they can be seen and their texts fit. Throws usage for no images or
/// settings, and for lists and images of other sizes than the sheet says; numerics for pixels that
/// are not finite.
Image attack_sheet_image(const AttackSheet& sheet);

}  // namespace pal
