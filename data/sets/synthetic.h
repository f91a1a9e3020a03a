#pragma once
#include <string>

#include "data/sources/image_set.h"

namespace pal {

/// Sizes of a generated set; height and width in pixels.
struct SyntheticOptions {
  int64_t count = 2048;
  int64_t height = 28;
  int64_t width = 28;
  int64_t channels = 1;
  int64_t classes = 10;
  uint64_t seed = 0;
};

/// Images for tests and benches that need no files: stripes whose direction is the class, with a
/// random phase, width and contrast, a random bright blob and a little grain. Labels run through
/// the classes in turn. A pure function of the options; image i does not depend on the count.
ImageSet synthetic_set(const SyntheticOptions& options);

/// Makes the set of a name `synthetic:CLASSES[:COUNT[:SIZE[:CHANNELS]]]`; see `load_dataset`.
ImageSet load_synthetic(const std::string& name, Split split);

}  // namespace pal
