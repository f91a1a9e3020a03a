#pragma once
#include <cstdint>
#include <span>
#include <vector>

// Many random numbers at once, from a key of 64 bits: number i depends on the key and i alone.
namespace pal {

/// Random words: those of Philox(seed, RandomPurpose::sample, stream), indices in order.
void fill_words(uint64_t seed, uint64_t stream, std::span<uint32_t> out);

/// Uniform in [0, 1), multiples of 2^-24.
void fill_uniform(uint64_t seed, uint64_t stream, std::span<float> out);

/// Standard normal (Box-Muller in float).
void fill_normal(uint64_t seed, uint64_t stream, std::span<float> out);

/// Poisson numbers by inversion, of the means `photons` * level / 255 for the 256 levels of an
/// image.
class PoissonTable {
 public:
  /// Photons above 0, at most 1,000.
  explicit PoissonTable(double photons);

  /// The number that a random word stands for at a level.
  int32_t at(uint8_t level, uint32_t word) const;

 private:
  struct Row {
    int32_t least = 0;                 ///< smallest number of the row
    std::vector<uint32_t> below;       ///< words below which `least`, least + 1, ... come
    std::vector<uint16_t> first = {};  ///< by a word's upper eight bits: where to begin the search
  };
  std::vector<Row> rows_;
};

/// The table of one of the published strengths, kept once made; any thread may ask.
const PoissonTable& poisson_table(double photons);

}  // namespace pal
