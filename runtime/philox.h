#pragma once
#include <array>
#include <cstdint>

#include "runtime/dtype.h"

namespace pal {

/// What a random number is for; streams of different purposes never overlap.
enum class RandomPurpose : uint32_t { init, shuffle, augment, noise, sample, test, monitor };

/// Counter-based random numbers (Philox 4x32, 10 rounds; Salmon et al. 2011): the numbers are a
/// pure function of (seed, purpose, stream, index), so neither threads nor restarts change them.
class Philox {
 public:
  Philox(uint64_t seed, RandomPurpose purpose, uint64_t stream = 0)
      : seed_(seed), purpose_(purpose), stream_(stream) {}

  /// Four independent 32-bit words for a 32-bit index.
  std::array<uint32_t, 4> words(uint32_t index) const;
  /// Four uniform numbers in [0, 1), multiples of 2^-24.
  std::array<float, 4> uniform4(uint32_t index) const;
  /// Four standard normal numbers (Box-Muller).
  std::array<float, 4> normal4(uint32_t index) const;
  /// A uniform integer in [0, bound), bound at least 1, without bias worth a bit (64-bit multiply).
  uint64_t below(uint32_t index, uint64_t bound) const;

 private:
  uint64_t seed_;
  RandomPurpose purpose_;
  uint64_t stream_;
};

/// The uniform number in [0, 1) of 24 of a word's bits.
PAL_HD float uniform_of(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

}  // namespace pal
