#pragma once
#include <Random123/philox.h>

#include "runtime/philox.h"

namespace pal::philox_math {

/// Four independent 32-bit words.
struct Words {
  uint32_t at[4];
};

/// What Philox(seed, purpose, stream).words(index) gives, also in a kernel.
PAL_HD Words words(uint64_t seed, RandomPurpose purpose, uint64_t stream, uint32_t index) {
  const philox4x32_ctr_t counter = {{index, static_cast<uint32_t>(purpose),
                                     static_cast<uint32_t>(stream),
                                     static_cast<uint32_t>(stream >> 32)}};
  const philox4x32_key_t key = {{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}};
  const philox4x32_ctr_t result = philox4x32_R(10, counter, key);
  return {{result.v[0], result.v[1], result.v[2], result.v[3]}};
}

}  // namespace pal::philox_math
