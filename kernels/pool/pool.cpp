#include "kernels/pool/pool.h"

#include <algorithm>
#include <vector>

#include "kernels/pool/pool_check.h"
#include "kernels/pool/pool_math.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

pool_math::TapRange<int64_t> taps_of(int64_t window, int64_t size, const PoolGeometry& g) {
  return {window, size, g.kernel, g.stride, g.padding};
}

pool_math::WindowRange<int64_t> windows_of(int64_t at, int64_t windows, const PoolGeometry& g) {
  const auto by_stride = [&](int64_t number) { return number / g.stride; };
  return {at, windows, g.kernel, g.stride, g.padding, by_stride};
}

/// Takes one place of a window into account for all channels: where its value wins, it is kept in
/// `best` and its place in `tap`.
template <typename T>
void take_larger(const T* __restrict in, int64_t channels, uint8_t place, T* __restrict best,
                 uint8_t* __restrict tap) {
  for (int64_t c = 0; c < channels; ++c) {
    const auto value = static_cast<Compute<T>>(in[c]);
    const auto old = static_cast<Compute<T>>(best[c]);
    const bool wins = pool_math::wins(value, old);
    best[c] = wins ? in[c] : best[c];
    tap[c] = wins ? place : tap[c];
  }
}

/// to[c] += from[c] where tap[c] is `place`.
template <typename T>
void add_where(const T* __restrict from, const uint8_t* __restrict tap, uint8_t place,
               int64_t channels, Compute<T>* __restrict to) {
  for (int64_t c = 0; c < channels; ++c)
    to[c] += tap[c] == place ? static_cast<Compute<T>>(from[c]) : Compute<T>{0};
}

}  // namespace

void average_pool_forward(const Tensor& x, const Tensor& y) {
  check_average_pool("average_pool_forward", x, y);
  const ProfileScope scope("average_pool_forward", x.bytes() + y.bytes(), x.numel());
  dispatch_floating("average_pool_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    using Real = Compute<T>;
    const int64_t channels = x.channels();
    const int64_t pixels = x.size(1) * x.size(2);
    parallel_for(x.size(0), row_grain(pixels * channels), [&](int64_t begin, int64_t end) {
      std::vector<Real> sums(static_cast<size_t>(channels));
      for (int64_t n = begin; n < end; ++n) {
        std::fill(sums.begin(), sums.end(), Real{0});
        Real* __restrict sum = sums.data();
        for (int64_t pixel = 0; pixel < pixels; ++pixel) {
          const T* __restrict in = x.data<T>() + (n * pixels + pixel) * x.pitch();
          for (int64_t c = 0; c < channels; ++c) sum[c] += static_cast<Real>(in[c]);
        }
        T* out = y.data<T>() + n * y.pitch();
        for (int64_t c = 0; c < channels; ++c)
          out[c] = static_cast<T>(sum[c] / static_cast<Real>(pixels));
      }
    });
  });
}

void average_pool_backward(const Tensor& grad_y, const Tensor& grad_x) {
  check_average_pool("average_pool_backward", grad_x, grad_y);
  const ProfileScope scope("average_pool_backward", grad_x.bytes() + grad_y.bytes());
  dispatch_floating("average_pool_backward", grad_x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    using Real = Compute<T>;
    const int64_t channels = grad_x.channels();
    const int64_t pixels = grad_x.size(1) * grad_x.size(2);
    const T* from = grad_y.data<T>();
    T* to = grad_x.data<T>();
    parallel_for(grad_x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        const T* __restrict in = from + pixel / pixels * grad_y.pitch();
        T* __restrict out = to + pixel * grad_x.pitch();
        for (int64_t c = 0; c < channels; ++c)
          out[c] = static_cast<T>(static_cast<Real>(in[c]) / static_cast<Real>(pixels));
      }
    });
  });
}

void max_pool_forward(const Tensor& x, const PoolGeometry& geometry, const Tensor& y,
                      const Tensor& taps) {
  check_max_pool("max_pool_forward", x, y, taps, geometry);
  const ProfileScope scope("max_pool_forward", x.bytes() + y.bytes() + taps.bytes());
  dispatch_floating("max_pool_forward", x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    const int64_t channels = x.channels();
    const int64_t width = x.size(2);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    uint8_t* places = taps.data<uint8_t>();
    parallel_for(y.rows(), row_grain(channels * geometry.kernel), [&](int64_t begin, int64_t end) {
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        const int64_t line = pixel / y.size(2);
        const auto rows = taps_of(line % y.size(1), x.size(1), geometry);
        const auto columns = taps_of(pixel % y.size(2), width, geometry);
        const int64_t top = line / y.size(1) * x.size(1) + rows.start;
        T* best = to + pixel * y.pitch();
        uint8_t* tap = places + pixel * channels;
        // The first tap starts the comparison, so that a window of -infinity has a winner too.
        const T* first =
            from + ((top + rows.begin) * width + columns.start + columns.begin) * x.pitch();
        std::copy_n(first, channels, best);
        std::fill_n(tap, channels,
                    static_cast<uint8_t>(rows.begin * geometry.kernel + columns.begin));
        for (int64_t dy = rows.begin; dy < rows.end; ++dy)
          for (int64_t dx = columns.begin; dx < columns.end; ++dx)
            take_larger(from + ((top + dy) * width + columns.start + dx) * x.pitch(), channels,
                        static_cast<uint8_t>(dy * geometry.kernel + dx), best, tap);
      }
    });
  });
}

void max_pool_backward(const Tensor& grad_y, const Tensor& taps, const PoolGeometry& geometry,
                       const Tensor& grad_x) {
  check_max_pool("max_pool_backward", grad_x, grad_y, taps, geometry);
  const ProfileScope scope("max_pool_backward", grad_x.bytes() + grad_y.bytes() + taps.bytes());
  dispatch_floating("max_pool_backward", grad_x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    using Real = Compute<T>;
    const int64_t channels = grad_x.channels();
    const int64_t stride = geometry.stride;
    const T* from = grad_y.data<T>();
    const uint8_t* places = taps.data<uint8_t>();
    T* to = grad_x.data<T>();
    // Each input pixel gathers from its windows, so that no two threads write to one place.
    parallel_for(grad_x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
      std::vector<Real> sums(static_cast<size_t>(channels));
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        const int64_t column = pixel % grad_x.size(2);
        const int64_t row = pixel / grad_x.size(2) % grad_x.size(1);
        const int64_t image = pixel / (grad_x.size(1) * grad_x.size(2));
        std::fill(sums.begin(), sums.end(), Real{0});
        const auto rows = windows_of(row, grad_y.size(1), geometry);
        const auto columns = windows_of(column, grad_y.size(2), geometry);
        for (int64_t oy = rows.first; oy <= rows.last; ++oy)
          for (int64_t ox = columns.first; ox <= columns.last; ++ox) {
            const int64_t window = (image * grad_y.size(1) + oy) * grad_y.size(2) + ox;
            const int64_t dy = row + geometry.padding - oy * stride;
            const int64_t dx = column + geometry.padding - ox * stride;
            add_where(from + window * grad_y.pitch(), places + window * channels,
                      static_cast<uint8_t>(dy * geometry.kernel + dx), channels, sums.data());
          }
        T* out = to + pixel * grad_x.pitch();
        for (int64_t c = 0; c < channels; ++c)
          out[c] = static_cast<T>(sums[static_cast<size_t>(c)]);
      }
    });
  });
}

}  // namespace pal::cpu
