#include "runtime/philox.h"

#include <cmath>

#include "runtime/philox_math.h"

namespace pal {

std::array<uint32_t, 4> Philox::words(uint32_t index) const {
  const auto w = philox_math::words(seed_, purpose_, stream_, index);
  return {w.at[0], w.at[1], w.at[2], w.at[3]};
}

std::array<float, 4> Philox::uniform4(uint32_t index) const {
  const auto w = words(index);
  return {uniform_of(w[0]), uniform_of(w[1]), uniform_of(w[2]), uniform_of(w[3])};
}

std::array<float, 4> Philox::normal4(uint32_t index) const {
  const auto w = words(index);
  std::array<float, 4> values{};
  for (size_t pair = 0; pair < 2; ++pair) {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    const double radius =
        std::sqrt(-2.0 * std::log(1.0 - static_cast<double>(uniform_of(w[2 * pair]))));
    const double angle = 2.0 * M_PI * static_cast<double>(uniform_of(w[2 * pair + 1]));
    values[2 * pair] = static_cast<float>(radius * std::cos(angle));
    values[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return values;
}

uint64_t Philox::below(uint32_t index, uint64_t bound) const {
  const auto w = words(index);
  __extension__ using Wide = unsigned __int128;
  const uint64_t word = (static_cast<uint64_t>(w[1]) << 32) | w[0];
  return static_cast<uint64_t>((static_cast<Wide>(word) * bound) >> 64);
}

}  // namespace pal
