#pragma once
#include <cstdint>
#include <vector>

namespace pal {

/// The numbers 0 to count - 1 in the order of one epoch: a Fisher-Yates shuffle from Philox(seed,
/// shuffle, epoch), a pure function of its arguments. Throws usage unless 0 < count < 2^32 and
/// epoch is from [0, 2^63).
std::vector<int64_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch);

/// The numbers 0 to count - 1 in the order that splits off validation images, with a random stream
/// that no epoch has. Throws usage for a count as `epoch_order`.
std::vector<int64_t> split_order(int64_t count, uint64_t seed);

}  // namespace pal
