#include "kernels/mixing/permutation.h"

#include <bit>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "kernels/mixing/permutation_check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

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

namespace cpu {

void permute_channels(const Tensor& x, const Tensor& index, const Tensor& y) {
  check_permute_channels(x, index, y);
  const int64_t channels = x.channels();
  const ProfileScope scope("permute_channels", x.bytes() + y.bytes());
  const int32_t* source = index.data<int32_t>();
  for (int64_t c = 0; c < channels; ++c)
    if (source[c] < 0 || source[c] >= channels)
      fail(ErrorKind::data, "permute_channels: index {} is {}; expected 0 to {}", c, source[c],
           channels - 1);
  dispatch_floating("permute_channels", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    parallel_for(x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* __restrict in = from + row * x.pitch();
        T* __restrict out = to + row * y.pitch();
        for (int64_t c = 0; c < channels; ++c) out[c] = in[source[c]];
      }
    });
  });
}

}  // namespace cpu
}  // namespace pal
