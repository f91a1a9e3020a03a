#include "data/batches/order.h"

#include <limits>
#include <numeric>
#include <utility>

#include "runtime/error.h"
#include "runtime/philox.h"

namespace pal {
namespace {

constexpr uint64_t kSplitStream = std::numeric_limits<uint64_t>::max();

std::vector<int64_t> shuffled(int64_t count, uint64_t seed, uint64_t stream) {
  expect(count > 0 && count <= std::numeric_limits<uint32_t>::max(),
         "order: expected 1 to 2^32 - 1 images, got {}", count);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  const Philox random(seed, RandomPurpose::shuffle, stream);
  for (uint64_t left = static_cast<uint64_t>(count); left > 1; --left)
    std::swap(order[left - 1], order[random.below(static_cast<uint32_t>(left), left)]);
  return order;
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch) {
  expect(epoch >= 0, "order: expected an epoch from 0 on, got {}", epoch);
  return shuffled(count, seed, static_cast<uint64_t>(epoch));
}

std::vector<int64_t> split_order(int64_t count, uint64_t seed) {
  return shuffled(count, seed, kSplitStream);
}

}  // namespace pal
