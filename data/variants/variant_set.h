#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

// Foreign images made of a set's own: what a density should find unfamiliar although nothing else
// was photographed.
namespace pal {

enum class Variant : uint8_t {
  hflip,         ///< mirrored left to right
  vflip,         ///< upside down
  inverted,      ///< 255 - level
  low_contrast,  ///< 0.3 of the contrast around the image's mean, by colour
  noise,         ///< every value a level drawn on its own
  shuffled,      ///< the image's pixels in random places
  constant,      ///< one drawn level everywhere, by colour
};

/// "hflip", "vflip", "inverted", "low-contrast", "noise", "shuffled" or "constant".
const char* name_of(Variant variant);
/// The variant of a name; none for another name.
std::optional<Variant> variant_of(const std::string& name);
/// All names.
std::vector<std::string> variant_names();

/// The images of a set, each as the variant has it, at the same place; levels stay whole numbers.
/// What is drawn depends on the loader's seed and the image's place alone. `base` must outlive the
/// set. Its batches throw usage under noise, augmentation or several views: variants serve scores
/// that go without.
std::unique_ptr<Dataset> variant_set(const Dataset& base, Variant variant);

}  // namespace pal
