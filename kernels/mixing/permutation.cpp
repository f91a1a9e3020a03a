#include "kernels/mixing/permutation.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "runtime/error.h"

namespace pal {
namespace {

std::vector<int32_t> identity(int64_t size) {
  expect(size >= 1 && size <= std::numeric_limits<int32_t>::max(),
         "permutation: expected a size of at least 1, got {}", size);
  std::vector<int32_t> index(static_cast<size_t>(size));
  std::iota(index.begin(), index.end(), 0);
  return index;
}

}  // namespace

std::vector<int32_t> random_permutation(int64_t size, const Philox& random) {
  std::vector<int32_t> index = identity(size);
  for (size_t i = index.size() - 1; i > 0; --i)
    std::swap(index[i], index[random.below(static_cast<uint32_t>(i), i + 1)]);
  return index;
}

std::vector<int32_t> numpy_permutation(int64_t size, uint32_t seed) {
  std::vector<int32_t> index = identity(size);
  // The standard's engine is MT19937 with the plain initialisation.
  std::mt19937 generator(seed);
  for (size_t i = index.size() - 1; i > 0; --i) {
    const uint32_t mask = std::bit_ceil(static_cast<uint32_t>(i) + 1U) - 1U;
    uint32_t other = static_cast<uint32_t>(generator()) & mask;
    while (other > i) other = static_cast<uint32_t>(generator()) & mask;
    std::swap(index[i], index[other]);
  }
  return index;
}

std::vector<int32_t> invert_permutation(std::span<const int32_t> index) {
  std::vector<int32_t> inverse(index.size(), -1);
  for (size_t i = 0; i < index.size(); ++i) {
    const auto target = static_cast<size_t>(static_cast<uint32_t>(index[i]));
    if (index[i] < 0 || target >= index.size() || inverse[target] >= 0)
      fail(ErrorKind::data, "permutation: entry {} is {}; expected each of 0 to {} once", i,
           index[i], static_cast<int64_t>(index.size()) - 1);
    inverse[target] = static_cast<int32_t>(i);
  }
  return inverse;
}

Tensor index_tensor(std::span<const int32_t> index) {
  const Tensor tensor = Tensor::empty({static_cast<int64_t>(index.size())}, DType::i32,
                                      Tag::parameters, device_of_values());
  if (tensor.device().meta) return tensor;
  std::copy(index.begin(), index.end(), tensor.data<int32_t>());
  return tensor;
}

Tensor inverse_index(const Tensor& index) {
  if (index.device().meta) return index.clone(Tag::parameters);
  const Tensor here = index.to(Device());
  const std::span<const int32_t> values(here.data<int32_t>(), static_cast<size_t>(here.numel()));
  return index_tensor(invert_permutation(values)).to(index.device(), Tag::parameters);
}

}  // namespace pal
