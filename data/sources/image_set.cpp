#include "data/sources/image_set.h"

#include <xxhash.h>

namespace pal {

const char* name_of(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::validation:
      return "val";
    case Split::test:
      return "test";
    case Split::all:
      break;
  }
  return "all";
}

void set_fingerprint(ImageSet& set) {
  XXH3_state_t* const state = XXH3_createState();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, set.pixels.data(), set.pixels.size());
  XXH3_64bits_update(state, set.labels.data(), set.labels.size() * sizeof(int32_t));
  set.fingerprint = XXH3_64bits_digest(state);
  XXH3_freeState(state);
}

}  // namespace pal
