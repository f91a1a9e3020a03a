#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/pictures/image_file.h"
#include "data/sets/dataset.h"

namespace pal {

/// Makes another image of the same size of the one at a place of a set; `seed` is the loader's. Any
/// number of threads may ask.
using ImageChange = std::function<Image(const Image& image, int64_t index, uint64_t seed)>;

/// The images of a set, each changed as a network would see it (its levels after crop and resize), at
/// the same place and with the same label; the bits are those of a set of such levels. `base` must
/// outlive the set. Its batches throw usage under noise, augmentation or several views: changed
/// images serve scores that go without.
std::unique_ptr<Dataset> changed_set(const Dataset& base, const std::string& name,
                                     ImageChange change);

}  // namespace pal
