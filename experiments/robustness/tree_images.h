#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace pal {

/// What an image is called wherever its set lies: CLASS/NAME without a suffix, as pal-corrupt names
/// the picture that it makes of it.
std::string image_key(const Dataset& set, int64_t index);

/// Which clean images the pictures of a tree were made of, by their names.
class TreeImages {
 public:
  /// `tree`: the pictures of one corruption and severity. `clean` may have more images than these;
  /// `among`: those of it that may be evaluated, or empty for all. Of the rest at most `most` are
  /// chosen, evenly spread; 0: all. Throws data, naming the picture, for one that no clean image is
  /// called like.
  TreeImages(const Dataset& clean, const std::vector<int64_t>& among, const Dataset& tree,
             int64_t most);

  /// The clean images that were chosen.
  const std::vector<int64_t>& clean_indices() const { return indices_; }
  /// The pictures of the same images in another folder of the tree, in the same order. Throws data,
  /// naming what is missing, for a folder with other pictures.
  std::vector<int64_t> pictures_of(const Dataset& tree) const;

 private:
  std::vector<int64_t> indices_;
  std::vector<std::string> keys_;  // of the chosen images
  int64_t pictures_ = 0;           // in a folder
};

/// A number that changes with the names or sizes of the pictures below a folder, wherever it lies. Throws as pictures_below.
std::string picture_fingerprint(const std::string& folder);

/// Refuses pictures of another size than a network sees: they would be cut or blown up. Throws data
/// naming the first, and as pictures_below.
void expect_picture_sizes(const std::string& folder, int64_t side);

}  // namespace pal
