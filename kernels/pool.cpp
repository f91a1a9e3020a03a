#include "kernels/pool.h"

#include <algorithm>
#include <vector>

#include "kernels/check.h"
#include "runtime/parallel.h"
#include "runtime/profiler.h"

namespace pal::cpu {
namespace {

void check_average(const char* op, const Tensor& image, const Tensor& means) {
  expect_rank(op, "image", image, 4);
  expect_tensor(op, "means", means, {image.size(0), image.channels()}, image.dtype());
}

void check_max(const char* op, const Tensor& fine, const Tensor& coarse, const Tensor& taps,
               const PoolGeometry& g) {
  expect_rank(op, "image", fine, 4);
  expect(g.kernel >= 1 && g.kernel <= 15 && g.stride >= 1 && g.padding >= 0 &&
             g.padding < g.kernel && g.out_size(fine.size(1)) >= 1 && g.out_size(fine.size(2)) >= 1,
         "{}: a window of {} with stride {} and padding {} does not fit {}", op, g.kernel, g.stride,
         g.padding, fine.shape().str());
  expect_tensor(op, "pooled image", coarse,
                {fine.size(0), g.out_size(fine.size(1)), g.out_size(fine.size(2)), fine.size(3)},
                fine.dtype());
  expect_tensor(op, "taps", taps, coarse.shape(), DType::u8);
  expect_dense(op, "taps", taps);
}

/// The taps of window `out` that lie inside [0, size).
struct TapRange {
  TapRange(int64_t out, int64_t size, const PoolGeometry& g)
      : start(out * g.stride - g.padding),
        begin(std::max<int64_t>(0, -start)),
        end(std::min(g.kernel, size - start)) {}
  int64_t start;
  int64_t begin;
  int64_t end;
};

/// Largest values over one window for all channels; the value kept is in `best`, its place in
/// `tap`.
template <typename T>
void take_larger(const T* __restrict in, int64_t channels, uint8_t place, T* __restrict best,
                 uint8_t* __restrict tap) {
  for (int64_t c = 0; c < channels; ++c) {
    const auto value = static_cast<Compute<T>>(in[c]);
    const auto old = static_cast<Compute<T>>(best[c]);
    const bool wins = value > old || value != value;
    best[c] = wins ? in[c] : best[c];
    tap[c] = wins ? place : tap[c];
  }
}

/// to += from where the tap is `place`.
template <typename T>
void add_where(const T* __restrict from, const uint8_t* __restrict tap, uint8_t place,
               int64_t channels, Compute<T>* __restrict to) {
  for (int64_t c = 0; c < channels; ++c)
    to[c] += tap[c] == place ? static_cast<Compute<T>>(from[c]) : Compute<T>{0};
}

}  // namespace

void average_pool_forward(const Tensor& x, const Tensor& y) {
  check_average("average_pool_forward", x, y);
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
  check_average("average_pool_backward", grad_x, grad_y);
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
  check_max("max_pool_forward", x, y, taps, geometry);
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
        const TapRange rows(line % y.size(1), x.size(1), geometry);
        const TapRange columns(pixel % y.size(2), width, geometry);
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
  check_max("max_pool_backward", grad_x, grad_y, taps, geometry);
  const ProfileScope scope("max_pool_backward", grad_x.bytes() + grad_y.bytes() + taps.bytes());
  dispatch_floating("max_pool_backward", grad_x.dtype(), [&](auto typed) {
    using T = decltype(typed);
    using Real = Compute<T>;
    const int64_t channels = grad_x.channels();
    const int64_t stride = geometry.stride;
    const T* from = grad_y.data<T>();
    const uint8_t* places = taps.data<uint8_t>();
    T* to = grad_x.data<T>();
    // First and last window along one axis that contains an input coordinate.
    const auto first = [&](int64_t at) {
      const int64_t shifted = at + geometry.padding - geometry.kernel + 1;
      return shifted <= 0 ? int64_t{0} : (shifted + stride - 1) / stride;
    };
    const auto last = [&](int64_t at, int64_t windows) {
      return std::min(windows - 1, (at + geometry.padding) / stride);
    };
    // Each input pixel gathers from its windows, so that no two threads write to one place.
    parallel_for(grad_x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
      std::vector<Real> sums(static_cast<size_t>(channels));
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        const int64_t column = pixel % grad_x.size(2);
        const int64_t row = pixel / grad_x.size(2) % grad_x.size(1);
        const int64_t image = pixel / (grad_x.size(1) * grad_x.size(2));
        std::fill(sums.begin(), sums.end(), Real{0});
        for (int64_t oy = first(row); oy <= last(row, grad_y.size(1)); ++oy)
          for (int64_t ox = first(column); ox <= last(column, grad_y.size(2)); ++ox) {
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
