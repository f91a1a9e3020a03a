#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/sources/image_set.h"
#include "data/sources/picture_source.h"

// Some of a set's classes alone: their images in the set's order, with labels that count them.
namespace pal {

/// Which classes of a set are kept.
struct ClassChoice {
  std::vector<int32_t> label_of;   ///< the new label of each class of the set; -1: left out
  std::vector<std::string> names;  ///< of those that are kept
};
ClassChoice choose_classes(const std::vector<std::string>& names, const std::vector<bool>& kept);

/// Throws data if no image is left.
ImageSet image_subset(const ImageSet& set, const ClassChoice& choice);
/// The same of encoded pictures.
std::unique_ptr<PictureSource> picture_subset(std::unique_ptr<PictureSource> source,
                                              const ClassChoice& choice);

}  // namespace pal
