#pragma once
#include "layers/models/config.h"

namespace pal::testing {

/// A network of a few thousand parameters with all kinds of blocks, for images of 16x16x3.
inline ModelConfig tiny_config() {
  ModelConfig config;
  config.arch = "tiny";
  config.image_size = 16;
  config.channels = 3;
  config.classes = 4;
  config.entry = EntryKind::entry;
  config.entry_width = 4;
  config.blocks = {1, 2};
  config.strides = {1, 2};
  config.widths = {3, 4};
  config.rank = 5;
  config.head_permutation = true;
  return config;
}

}  // namespace pal::testing
