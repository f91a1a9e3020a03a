#include "kernels/mixing/permute_channels.h"

#include "kernels/mixing/permute_channels_check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {

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

}  // namespace pal::cpu
